// A pose track: the skeleton, and confidence and speed over time with bad spans marked.
const { make, duration, play } = window.motionTransfer;

function curve(times, values, most, seconds) {
  const parts = [];
  let isOpen = false;
  values.forEach((value, k) => {
    if (value === null) { isOpen = false; return; }
    const x = (1000 * times[k]) / seconds;
    const y = 200 - (190 * Math.min(value, most)) / most;
    parts.push(`${isOpen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`);
    isOpen = true;
  });
  return parts.join("");
}
function draw() {
  const host = element.querySelector(".mt-host");
  const value = props.value;
  if (!host) return;
  host.replaceChildren();
  if (!value || !value.seconds) return;
  const canvas = make("canvas", { width: 420, height: 420, class: "mt-canvas", role: "img", "aria-label": "The tracked dance as a moving skeleton" });
  const fastest = Math.max(2, ...value.speed.filter((v) => v !== null));
  const bad = value.bad.map(([start, end, reason]) => make("rect", {
    x: (1000 * start) / value.seconds, width: Math.max(3, (1000 * (end - start)) / value.seconds), y: 0, height: 200, class: "mt-bad",
  }, make("title", {}, `${reason}: ${start} to ${end} s`)));
  const plot = make("svg", { viewBox: "0 0 1000 200", preserveAspectRatio: "none", class: "mt-plot", role: "img",
    "aria-label": `Confidence and speed over ${duration(value.seconds)}; ${value.bad.length} bad spans` },
    ...bad,
    make("path", { d: curve(value.times, value.confidence, 1, value.seconds), class: "mt-confidence" }),
    make("path", { d: curve(value.times, value.speed, fastest, value.seconds), class: "mt-speed" }));
  const list = value.bad.length
    ? make("ul", { class: "mt-list" }, ...value.bad.slice(0, 12).map(([a, b, reason]) => make("li", {}, `${a.toFixed(1)}–${b.toFixed(1)} s: ${reason}`)))
    : make("p", { class: "mt-hint" }, "No bad spans.");
  const download = value.download
    ? make("a", { href: value.download, download: true, class: "mt-button mt-primary" }, "Download the track")
    : null;
  host.append(
    make("p", { class: "mt-eta" }, `${value.num_frames} frames, ${duration(value.seconds)}, ${value.fps.toFixed(2)} frames/s; ` +
      `the dancer is found in ${Math.round(100 * value.share_found)} % of them.`),
    make("div", { class: "mt-track" }, canvas, make("figure", {}, plot, make("figcaption", {},
      make("span", { class: "mt-key mt-confidence" }, "confidence, 0 to 1"),
      make("span", { class: "mt-key mt-speed" }, `speed, 0 to ${fastest.toFixed(1)} m/s`),
      make("span", { class: "mt-key mt-bad" }, "bad")), list)));
  if (download) host.append(make("div", { class: "mt-bar" }, download));
  play(canvas, value.skeleton);
}

draw();
watch("value", draw);
