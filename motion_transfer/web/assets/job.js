// One render: waiting, progress with the newest picture, the result, or what went wrong.
const { make, duration, call, remember } = window.motionTransfer;
const STAGES = [["photo", "Photo"], ["track", "Tracking"], ["render", "Rendering"], ["finish", "Sound"]];
const KEPT = props.remember;
let id = "";
let shownState = "";
let timer = null;

function setHost(...children) {
  element.querySelector(".mt-host")?.replaceChildren(...children.filter((child) => child !== null));
}
function button(label, act, kind = "") {
  const made = make("button", { type: "button", class: `mt-button ${kind}` }, label);
  made.addEventListener("click", async () => {
    made.disabled = true;
    try { await act(); } catch (error) { fail(error.message); }
    made.disabled = false;
  });
  return made;
}
function fail(message) {
  element.querySelector(".mt-host")?.append(make("p", { class: "mt-note mt-error", role: "alert" }, message));
}
function act(name) {
  return async () => { await call(`jobs/${id}/${name}`, "POST"); shownState = ""; poll(); };
}
async function again(format) {
  const job = await call(`jobs/${id}/again?format=${format}`, "POST");
  follow(job.id);
}

function drawWaiting(job) {
  const before = job.num_before ? `${job.num_before} before it` : "it is next";
  setHost(make("div", { class: "mt-job mt-queued" }, make("h3", {}, "In the queue"),
    make("p", {}, `${before}. You may close this page; its address leads back to the job.`),
    button("Cancel", act("cancel"))));
}
function drawRunning(job) {
  if (shownState !== "running") {
    setHost(make("div", { class: "mt-job mt-running" },
      make("div", { class: "mt-live" }, make("img", { alt: "The newest finished picture", hidden: true }),
        make("p", { class: "mt-hint" }, "The first picture appears here in a moment.")),
      make("div", { class: "mt-progress" },
        make("ol", { class: "mt-stages" }, ...STAGES.map(([key, label]) => make("li", { "data-stage": key }, label))),
        make("progress", { max: 1, value: 0, "aria-label": "Share of the render that is done" }),
        make("p", { class: "mt-eta", role: "status" }), button("Cancel", act("cancel")))));
  }
  const host = element.querySelector(".mt-host");
  const now = STAGES.findIndex(([key]) => key === job.stage);
  host.querySelectorAll(".mt-stages li").forEach((item, number) => {
    item.classList.toggle("mt-over", number < now);
    item.classList.toggle("mt-now", number === now);
    if (number === now) item.setAttribute("aria-current", "step"); else item.removeAttribute("aria-current");
  });
  host.querySelector("progress").value = Math.max(job.share_done, 0.01);
  const frames = job.stage === "render" && job.total ? `frame ${job.done} of ${job.total}, ` : "";
  const left = job.seconds_left === null ? "estimating the time left…" : `about ${duration(job.seconds_left)} left`;
  host.querySelector(".mt-eta").textContent = `${Math.round(100 * job.share_done)} %, ${frames}${left}`;
  if (job.files.includes("live.jpg")) {
    const image = host.querySelector(".mt-live img");
    image.src = `jobs/${id}/files/live.jpg?frame=${job.done}`;
    image.hidden = false;
    host.querySelector(".mt-live p")?.remove();
  }
}
function drawDone(job) {
  const file = (name) => `jobs/${id}/files/${name}`;
  const output = job.answer.output;
  const isPicture = output.endsWith(".gif");
  const result = isPicture
    ? make("img", { src: file(output), alt: "The result" })
    : make("video", { src: file(output), poster: file("live.jpg"), preload: "auto", controls: true, loop: true, playsinline: true, "aria-label": "The result" });
  const row = make("div", { class: "mt-pair" }, make("figure", {}, result, make("figcaption", {}, "Result")));
  if (!isPicture && job.has_dance_video) {
    const dance = make("video", { src: `jobs/${id}/dance`, preload: "auto", muted: true, playsinline: true, "aria-label": "The driving video" });
    dance.muted = true;
    const figure = make("figure", {}, dance, make("figcaption", {}, "Dance"));
    dance.addEventListener("error", () => figure.remove());  // a track, or a codec of another time
    const start = job.settings.start || 0;
    const follow = () => { if (Math.abs(dance.currentTime - start - result.currentTime) > 0.15) dance.currentTime = start + result.currentTime; };
    result.addEventListener("play", () => { follow(); dance.play().catch(() => {}); });
    result.addEventListener("pause", () => dance.pause());
    for (const name of ["seeked", "timeupdate"]) result.addEventListener(name, follow);
    dance.addEventListener("loadedmetadata", follow);
    row.prepend(figure);
  }
  const download = (name, label, kind = "") => make("a", { href: `${file(name)}?download=1`, download: true, class: `mt-button ${kind}` }, label);
  const format = output.split(".").pop();
  const others = [["mp4", "MP4"], ["webm", "WebM, transparent"], ["gif", "GIF"]].filter(([key]) => key !== format);
  const missing = job.answer.num_missing ? ` Nobody was found in ${job.answer.num_missing} of ${job.answer.num_frames} frames.` : "";
  setHost(make("div", { class: "mt-job mt-done" }, row,
    make("p", { class: "mt-eta", role: "status" }, `Done in ${duration(job.seconds_running)}: ${job.answer.num_frames} frames.${missing}`),
    make("div", { class: "mt-bar" }, download(output, `Download ${format.toUpperCase()}`, "mt-primary"),
      download(job.answer.sidecar, "Settings (JSON)"),
      ...others.map(([key, label]) => button(`Render as ${label}`, () => again(key))))));
}
function drawEnded(job) {
  const isFailed = job.state === "failed";
  setHost(make("div", { class: `mt-job mt-${job.state}` }, make("h3", {}, isFailed ? "It did not work" : "Cancelled"),
    make("p", { role: isFailed ? "alert" : "status", class: isFailed ? "mt-note mt-error" : "" }, isFailed ? job.error : "Nothing was kept but what was uploaded."),
    button(isFailed ? "Try again" : "Go on", act("retry"))));
}
function draw(job) {
  const shows = { queued: drawWaiting, running: drawRunning, done: drawDone, failed: drawEnded, cancelled: drawEnded };
  if (job.state === "queued" || job.state === "running" || job.state !== shownState) shows[job.state](job);
  if (job.state !== shownState && shownState) trigger("changed", { state: job.state });
  shownState = job.state;
}
async function poll() {
  clearTimeout(timer);
  if (!id || !element.isConnected) return;
  const asked = id;
  try {
    const job = await call(`jobs/${id}`);
    if (asked !== id) return;
    draw(job);
    if (job.state === "queued" || job.state === "running") timer = setTimeout(poll, document.hidden ? 3000 : 400);
  } catch (error) {
    if (error instanceof TypeError) { timer = setTimeout(poll, 2000); return; }  // the server is away
    setHost(make("p", { class: "mt-note mt-error", role: "alert" }, error.message));
    if (KEPT) remember("job", "");
  }
}
function follow(wanted) {
  id = wanted || "";
  shownState = "";
  if (KEPT) remember("job", id);
  if (id) poll();
  else setHost();
}

const initial = props.value || (KEPT && new URL(location.href).searchParams.get("job"));
if (initial) {
  follow(initial);
  setTimeout(() => element.scrollIntoView({ block: "start" }), 500);  // after the page is laid out
}
watch("value", () => {
  if (!props.value) return;
  follow(props.value);
  element.scrollIntoView({ behavior: "smooth", block: "start" });
});
