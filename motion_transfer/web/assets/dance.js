// The dance: its dancer chosen by a click, its range by two handles; a track's skeleton plays.
const { make, duration, play } = window.motionTransfer;

function draw() {
  const host = element.querySelector(".mt-host");
  const value = props.value;
  if (!host) return;
  host.replaceChildren();
  if (!value || !value.seconds) return;
  const [height, width] = value.size_hw;
  const unit = Math.max(width, height) / 100;

  if (value.skeleton) {
    const canvas = make("canvas", {
      width: 480, height: Math.round((480 * Math.min(height, width)) / width), class: "mt-canvas",
      role: "img", "aria-label": `The dance ${value.title} as a moving skeleton`,
    });
    host.append(canvas);
    play(canvas, value.skeleton);
  } else {
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, class: "mt-photo", role: "group",
      "aria-label": "First picture of the dance with the people in it" });
    svg.append(make("image", { href: value.still, width, height }));
    value.people.forEach(([x0, y0, x1, y1], number) => {
      const isChosen = value.person === String(number) || (value.person === "largest" && number === value.largest);
      const choose = () => trigger("chosen", { person: String(number) });
      svg.append(make("rect", {
        x: x0, y: y0, width: x1 - x0, height: y1 - y0, rx: unit, "stroke-width": unit * 0.5,
        class: isChosen ? "mt-person mt-chosen" : "mt-person", tabindex: 0, role: "button",
        "aria-pressed": String(isChosen), "aria-label": `Dancer ${number + 1}`,
        onclick: choose, onkeydown: (event) => event.key === "Enter" && choose(),
      }));
    });
    host.append(svg);
    if (value.people.length === 0) {
      host.append(make("p", { class: "mt-hint" }, "Nobody is in the first picture; whoever comes later is followed."));
    } else if (value.people.length > 1) {
      host.append(make("p", { class: "mt-hint" }, "Click the dancer to follow."));
    }
  }

  const label = make("span", { class: "mt-range-label", "aria-live": "polite" });
  const handle = (name, at) => make("input", {
    type: "range", min: 0, max: value.seconds, step: 0.1, value: at, class: `mt-handle mt-${name}`,
    "aria-label": name === "start" ? "Start of the dance in seconds" : "End of the dance in seconds",
  });
  const start = handle("start", value.start);
  const end = handle("end", value.end);
  const band = make("div", { class: "mt-band" });
  function show() {
    const [a, b] = [Number(start.value), Number(end.value)];
    band.style.left = `${(100 * a) / value.seconds}%`;
    band.style.width = `${(100 * (b - a)) / value.seconds}%`;
    const tooLong = b - a > value.max_seconds + 0.05;
    label.textContent = `${duration(a)} to ${duration(b)}: ${duration(b - a)}` +
      (tooLong ? `, at most ${duration(value.max_seconds)} here` : "");
    label.classList.toggle("mt-error-text", tooLong);
  }
  const least = Math.min(0.3, value.seconds);
  start.addEventListener("input", () => { start.value = Math.min(start.value, end.value - least); show(); });
  end.addEventListener("input", () => { end.value = Math.max(end.value, Number(start.value) + least); show(); });
  for (const input of [start, end]) {
    input.addEventListener("change", () => {
      value.start = Number(start.value);
      value.end = Number(end.value);
      trigger("trimmed", { start: value.start, end: value.end });
    });
  }
  const strip = make("div", { class: "mt-strip" }, band, start, end);
  if (value.strip) strip.style.backgroundImage = `url("${value.strip}")`;
  show();
  host.append(strip, make("div", { class: "mt-bar" }, label,
    make("button", { type: "button", class: "mt-small", onclick: () => trigger("removed", {}) }, "Another dance")));
}

draw();
watch("value", draw);
