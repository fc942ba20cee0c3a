// A batch: a table of its jobs.
const { make, call, remember } = window.motionTransfer;
let id = "";
let timer = null;
const WORDS = { queued: "waiting", running: "running", done: "done", failed: "failed", cancelled: "cancelled" };

function act(job, name) {
  return make("button", {
    type: "button", class: "mt-small", "aria-label": `${name} ${job.title}`,
    onclick: async () => { await call(`jobs/${job.id}/${name}`, "POST").catch((error) => alert(error.message)); poll(); },
  }, name === "cancel" ? "Cancel" : "Try again");
}
function row(job) {
  const [photo, dance] = job.title.split("--");
  const isOpen = job.state === "queued" || job.state === "running";
  const last = job.state === "done"
    ? make("a", { href: `jobs/${job.id}/files/${job.answer.output}?download=1`, download: true }, "Download")
    : act(job, isOpen ? "cancel" : "retry");
  const state = make("td", {}, make("span", { class: `mt-state mt-is-${job.state}` }, WORDS[job.state]));
  if (job.state === "running") state.append(" ", make("progress", { max: 1, value: job.share_done, "aria-label": "done" }));
  if (job.state === "failed") state.append(make("div", { class: "mt-hint" }, job.error));
  return make("tr", {}, make("td", {}, photo), make("td", {}, dance || ""), state, make("td", {}, last));
}
function draw(jobs) {
  const host = element.querySelector(".mt-host");
  if (!host) return;
  const done = jobs.filter((job) => job.state === "done").length;
  const stuck = jobs.filter((job) => job.state === "failed" || job.state === "cancelled");
  const zip = make("a", { class: `mt-button mt-primary`, href: `batches/${id}/zip`, download: true }, `Download ${done} as ZIP`);
  const resume = make("button", {
    type: "button", class: "mt-button",
    onclick: async () => { for (const job of stuck) await call(`jobs/${job.id}/retry`, "POST").catch(() => {}); poll(); },
  }, `Go on with ${stuck.length} that did not finish`);
  host.replaceChildren(
    make("p", { class: "mt-eta", role: "status" }, `${done} of ${jobs.length} done`),
    make("div", { class: "mt-scroll" }, make("table", { class: "mt-table" },
      make("thead", {}, make("tr", {}, ...["Photo", "Dance", "State", ""].map((t) => make("th", { scope: "col" }, t)))),
      make("tbody", {}, ...jobs.map(row)))),
    make("div", { class: "mt-bar" }, ...(done ? [zip] : []), ...(stuck.length ? [resume] : [])));
  return jobs.some((job) => job.state === "queued" || job.state === "running");
}
async function poll() {
  clearTimeout(timer);
  if (!id || !element.isConnected) return;
  try {
    const isOpen = draw((await call(`batches/${id}`)).jobs);
    if (isOpen) timer = setTimeout(poll, document.hidden ? 4000 : 1000);
  } catch (error) {
    if (error instanceof TypeError) { timer = setTimeout(poll, 3000); return; }
    remember("batch", "");
  }
}
function follow(wanted) { id = wanted || ""; remember("batch", id); poll(); }

const initial = props.value || new URL(location.href).searchParams.get("batch");
if (initial) follow(initial);
watch("value", () => props.value && follow(props.value));
