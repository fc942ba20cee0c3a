// The webcam drives the photo: one picture goes up, one comes down, then the next.
const { make, call } = window.motionTransfer;
const SIDE = 480;
const WORDS = {
  nobody: "Nobody is seen: step back until you are in the picture from head to foot.",
  measuring: "Measuring you against the photo: stand still for a second.",
  dancing: "Dance.",
};
let session = "";
let stream = null;
let pending = new AbortController(); // of the picture that is under way

function draw() {
  const host = element.querySelector(".mt-host");
  if (!host) return;
  stop();
  host.replaceChildren();
  const photo = props.value && props.value.photo;
  if (!photo) {
    host.append(make("p", { class: "mt-empty" }, "Give a photo first; then the camera can be started here."));
    return;
  }
  const image = make("img", { src: props.value.url, alt: "The photographed person", class: "mt-live-result" });
  const self = make("video", { playsinline: true, muted: true, class: "mt-live-self", "aria-label": "Your camera" });
  self.muted = true;
  const words = make("p", { class: "mt-eta", role: "status" }, "The camera is off.");
  const button = make("button", { type: "button", class: "mt-button mt-primary" }, "Start the camera");
  button.addEventListener("click", async () => {
    if (stream) { stop(); words.textContent = "The camera is off."; button.textContent = "Start the camera"; return; }
    button.disabled = true;
    let camera = null;
    try {
      words.textContent = "Waiting for the camera…";
      camera = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
      self.srcObject = camera;
      await self.play();
      words.textContent = "Taking the photo apart; this takes some seconds…";
      const started = (await call(`live/start?photo=${photo}&background=original`, "POST")).session;
      if (!button.isConnected) { end(camera, started); return; } // another photo was given meanwhile
      stream = camera;
      session = started;
      button.textContent = "Stop";
      loop(self, image, words, button);
    } catch (error) {
      end(camera, "");
      const isCamera = error instanceof DOMException;
      words.textContent = isCamera ? "The camera cannot be used: allow it in the browser, or plug one in." : error.message;
    }
    button.disabled = false;
  });
  host.append(make("div", { class: "mt-pair" }, make("figure", {}, self, make("figcaption", {}, "You")),
    make("figure", {}, image, make("figcaption", {}, "The photo"))), words, make("div", { class: "mt-bar" }, button));
}

async function loop(self, image, words, button) {
  const canvas = make("canvas");
  const mine = session;
  let latency = 0;
  let rate = 0;
  let before = performance.now();
  while (session === mine && element.isConnected) {
    if (document.hidden || !self.videoWidth) { await new Promise((done) => setTimeout(done, 200)); continue; }
    const scale = Math.min(1, SIDE / Math.max(self.videoWidth, self.videoHeight));
    canvas.width = Math.round(self.videoWidth * scale);
    canvas.height = Math.round(self.videoHeight * scale);
    canvas.getContext("2d").drawImage(self, 0, 0, canvas.width, canvas.height);
    const taken = performance.now();
    const body = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.8));
    if (session !== mine) return;
    const answer = await step(`live/${mine}/step?seconds=${taken / 1000}`, body);
    if (session !== mine) return;
    if (answer.error) {
      words.textContent = answer.error;
      button.textContent = "Start the camera";
      stop();
      return;
    }
    const old = image.src;
    image.src = URL.createObjectURL(answer.picture);
    await image.decode().catch(() => {});
    if (old.startsWith("blob:")) URL.revokeObjectURL(old);
    if (session !== mine) return; // or the words would say that it goes on
    const now = performance.now();
    latency = latency ? 0.8 * latency + 0.2 * (now - taken) : now - taken;
    rate = 0.8 * rate + 0.2 * (1000 / (now - before));
    before = now;
    const server = Number(answer.headers.get("x-seconds")) * 1000;
    words.textContent = `${WORDS[answer.headers.get("x-state")]} Latency ${Math.round(latency)} ms, ` +
      `of which the server ${Math.round(server)} ms; ${rate.toFixed(1)} pictures/s.`;
  }
}

/** The server's picture for one of the camera's, or what is wrong. */
async function step(path, body) {
  const { signal } = pending;
  try {
    const answer = await fetch(path, { method: "POST", body, signal });
    if (answer.ok) return { picture: await answer.blob(), headers: answer.headers };
    const content = await answer.json().catch(() => ({}));
    return { error: content.error || `The server answered ${answer.status}.` };
  } catch {
    return { error: "The server does not answer." };
  }
}

function end(camera, started) {
  if (started) call(`live/${started}/stop`, "POST").catch(() => {});
  camera?.getTracks().forEach((track) => track.stop());
}

function stop() {
  pending.abort(); // a picture that reaches a session after its end is an error
  pending = new AbortController();
  end(stream, session);
  session = "";
  stream = null;
}

draw();
watch("value", draw);
addEventListener("pagehide", () => session && navigator.sendBeacon(`live/${session}/stop`));
