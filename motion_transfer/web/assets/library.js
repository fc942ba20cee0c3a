// The dances that the project ships.
const { make, play } = window.motionTransfer;

function draw() {
  const host = element.querySelector(".mt-host");
  if (!host) return;
  host.replaceChildren(...(props.value || []).map((dance) => {
    const canvas = make("canvas", { width: 150, height: 150, class: "mt-canvas", "aria-hidden": "true" });
    let isWanted = false;
    const button = make("button", {
      type: "button", class: "mt-dance", onclick: () => trigger("chosen", { name: dance.name }),
      onmouseenter: () => { isWanted = true; }, onmouseleave: () => { isWanted = false; },
      onfocus: () => { isWanted = true; }, onblur: () => { isWanted = false; },
    }, canvas, make("span", {}, dance.name));
    requestAnimationFrame(() => play(canvas, dance.skeleton, () => isWanted));
    return button;
  }));
}

draw();
watch("value", draw);
