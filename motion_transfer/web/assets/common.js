// What the page's components share. No library, no build step, nothing from another server.
window.motionTransfer = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  /** An HTML or SVG element with attributes, listeners (onclick: ...) and children. */
  function make(name, attributes = {}, ...children) {
    const isSvg = ["svg", "g", "line", "circle", "rect", "image", "path", "text", "polyline", "title"];
    const element = isSvg.includes(name)
      ? document.createElementNS(SVG, name)
      : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  /** 75.4 -> "1:15", 3.2 -> "3.2 s". */
  function duration(seconds) {
    if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
    return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")} min`;
  }

  /** Draw frame `index` of a skeleton into a canvas. */
  function drawSkeleton(canvas, skeleton, index) {
    const [height, width] = skeleton.size_hw;
    const context = canvas.getContext("2d");
    const scale = Math.min(canvas.width / width, canvas.height / height);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    const points = skeleton.frames[index];
    if (!points) return;
    context.translate((canvas.width - width * scale) / 2, (canvas.height - height * scale) / 2);
    context.strokeStyle = getComputedStyle(canvas).color;
    context.lineWidth = Math.max(1.5, canvas.height / 90);
    context.lineCap = "round";
    const at = (joint) => [points[2 * joint] * scale, points[2 * joint + 1] * scale];
    const [[noseX, noseY], [leftX, leftY], [rightX, rightY]] = [at(0), at(11), at(12)];
    const neck = Math.hypot(noseX - (leftX + rightX) / 2, noseY - (leftY + rightY) / 2);
    context.beginPath();  // a head says more than the lines of a face
    context.arc(noseX, noseY, Math.max(0.5 * neck, 0.25 * Math.hypot(leftX - rightX, leftY - rightY)), 0, 2 * Math.PI);
    context.stroke();
    for (const [a, b] of skeleton.bones) {
      if (a <= 10 && b <= 10) continue;
      context.beginPath();
      context.moveTo(...at(a));
      context.lineTo(...at(b));
      context.stroke();
    }
  }

  /** Play a skeleton in a canvas for as long as it is in the page. */
  function play(canvas, skeleton, isWanted = () => true) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const begun = performance.now();
    let shown = -1;
    drawSkeleton(canvas, skeleton, Math.floor(skeleton.frames.length / 3));
    if (still) return;
    const step = (now) => {
      if (!canvas.isConnected) return;
      const index = Math.floor(((now - begun) / 1000) * skeleton.fps) % skeleton.frames.length;
      if (index !== shown && isWanted()) drawSkeleton(canvas, skeleton, (shown = index));
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  /** Answer of one of the server's addresses; errors are thrown with the server's words. */
  async function call(path, method = "GET") {
    const answer = await fetch(path, { method });
    const content = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(content.error || `the server answered ${answer.status}`);
    return content;
  }

  /** Put id into the page's address, so that a reload finds it again. */
  function remember(name, id) {
    const address = new URL(location.href);
    if (id) address.searchParams.set(name, id);
    else address.searchParams.delete(name);
    history.replaceState(history.state, "", address);
  }

  return { make, duration, drawSkeleton, play, call, remember };
})();
