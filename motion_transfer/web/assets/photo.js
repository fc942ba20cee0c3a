// The photo with the people found, joints that can be dragged, and the matte.
const { make } = window.motionTransfer;
// which other joints go along with a dragged one
const FOLLOW = {
  nose: ["left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye",
    "right_eye_outer", "left_ear", "right_ear", "mouth_left", "mouth_right"],
  left_shoulder: [], right_shoulder: [], left_elbow: [], right_elbow: [],
  left_wrist: ["left_pinky", "left_index", "left_thumb"],
  right_wrist: ["right_pinky", "right_index", "right_thumb"],
  left_hip: [], right_hip: [], left_knee: [], right_knee: [],
  left_ankle: ["left_heel"], right_ankle: ["right_heel"],
  left_foot_index: [], right_foot_index: [],
};
const BONES = [
  ["left_shoulder", "right_shoulder"], ["left_hip", "right_hip"],
  ["left_shoulder", "left_hip"], ["right_shoulder", "right_hip"],
  ["left_shoulder", "left_elbow"], ["left_elbow", "left_wrist"],
  ["right_shoulder", "right_elbow"], ["right_elbow", "right_wrist"],
  ["left_hip", "left_knee"], ["left_knee", "left_ankle"], ["left_ankle", "left_foot_index"],
  ["right_hip", "right_knee"], ["right_knee", "right_ankle"], ["right_ankle", "right_foot_index"],
];
const shown = { joints: true, matte: false };

function draw() {
  const host = element.querySelector(".mt-host");
  const value = props.value;
  if (!host) return;
  host.replaceChildren();
  if (!value || !value.url) return;
  const [height, width] = value.size_hw;
  const unit = Math.max(width, height) / 100;
  const moved = { ...(value.moved || {}) };
  const place = (name) => moved[name] || value.joints[name].slice(0, 2);

  const svg = make("svg", {
    viewBox: `0 0 ${width} ${height}`, class: "mt-photo", role: "group",
    "aria-label": "Photo with the joints that were found",
  });
  svg.append(make("image", { href: value.url, width, height, class: shown.matte ? "mt-dim" : "" }));
  if (shown.matte && value.cutout) {
    svg.append(make("image", { href: value.cutout, width, height, class: "mt-cutout" }));
  }
  const lines = new Map();
  const dots = new Map();
  const side = (name) => (name.startsWith("left") ? "mt-left" : name.startsWith("right") ? "mt-right" : "");

  function redraw() {
    for (const [[a, b], line] of lines) {
      const [[x1, y1], [x2, y2]] = [place(a), place(b)];
      for (const [key, number] of Object.entries({ x1, y1, x2, y2 })) line.setAttribute(key, number);
    }
    for (const [name, dot] of dots) {
      const [x, y] = place(name);
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
      const words = name.replaceAll("_", " ");
      dot.setAttribute("aria-label", `${words} at ${Math.round(x)}, ${Math.round(y)}; arrow keys move it`);
    }
  }
  function move(name, x, y) {
    const [oldX, oldY] = place(name);
    const clamp = (v, most) => Math.min(Math.max(v, 0), most - 1);
    const [newX, newY] = [clamp(x, width), clamp(y, height)];
    for (const other of FOLLOW[name]) {
      const [ox, oy] = place(other);
      moved[other] = [ox + newX - oldX, oy + newY - oldY];
    }
    moved[name] = [newX, newY];
    redraw();
  }
  function tell() {
    const joints = Object.fromEntries(Object.entries(moved).map(
      ([name, [x, y]]) => [name, [Math.round(x * 10) / 10, Math.round(y * 10) / 10]]));
    value.moved = joints;
    trigger("moved", { joints });
    reset.disabled = Object.keys(joints).length === 0;
  }

  if (shown.joints) {
    for (const [a, b] of BONES) {
      const line = make("line", { class: `mt-bone ${side(a) === side(b) ? side(a) : ""}`, "stroke-width": unit * 0.7 });
      lines.set([a, b], line);
      svg.append(line);
    }
    for (const name of Object.keys(FOLLOW)) {
      const dot = make("circle", {
        r: unit * 1.5, class: `mt-joint ${side(name)}`, tabindex: 0, role: "button", "data-joint": name,
        "stroke-width": unit * 0.35,
      }, make("title", {}, name.replaceAll("_", " ")));
      const toPhoto = (event) => {
        const point = new DOMPoint(event.clientX, event.clientY);
        return point.matrixTransform(svg.getScreenCTM().inverse());
      };
      dot.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        dot.focus();
        dot.setPointerCapture(event.pointerId);
        const drag = (at) => { const p = toPhoto(at); move(name, p.x, p.y); };
        dot.addEventListener("pointermove", drag);
        const drop = () => { dot.removeEventListener("pointermove", drag); tell(); };
        dot.addEventListener("pointerup", drop, { once: true });
      });
      dot.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
        if (!step) return;
        event.preventDefault();
        const size = unit * (event.shiftKey ? 2 : 0.4);
        const [x, y] = place(name);
        move(name, x + step[0] * size, y + step[1] * size);
      });
      dot.addEventListener("keyup", (event) => { if (event.key.startsWith("Arrow")) tell(); });
      dots.set(name, dot);
      svg.append(dot);
    }
    redraw();
  }
  if (value.people.length > 1) {
    value.people.forEach(([x0, y0, x1, y1], number) => {
      const choose = () => number !== value.chosen && trigger("chosen", { person: String(number) });
      svg.append(make("rect", {
        x: x0, y: y0, width: x1 - x0, height: y1 - y0, rx: unit, "stroke-width": unit * 0.5,
        class: number === value.chosen ? "mt-person mt-chosen" : "mt-person",
        tabindex: number === value.chosen ? -1 : 0, role: "button", "aria-label": `Animate person ${number + 1}`,
        onclick: choose, onkeydown: (event) => event.key === "Enter" && choose(),
      }));
    });
  }

  const toggle = (key, label, disabled) => {
    const box = make("input", { type: "checkbox", disabled, onchange: () => { shown[key] = box.checked; draw(); } });
    box.checked = shown[key] && !disabled;
    return make("label", { class: "mt-toggle" }, box, ` ${label}`);
  };
  const reset = make("button", {
    type: "button", class: "mt-small", onclick: () => { value.moved = {}; trigger("moved", { joints: {} }); draw(); },
  }, "Reset joints");
  reset.disabled = Object.keys(moved).length === 0;
  const other = make("button", { type: "button", class: "mt-small", onclick: () => trigger("removed", {}) }, "Another photo");
  host.append(svg, make("div", { class: "mt-bar" }, toggle("joints", "Joints", false),
    toggle("matte", value.cutout ? "Cut-out" : "Cut-out (being made…)", !value.cutout), reset, other));
}

draw();
watch("value", draw);
