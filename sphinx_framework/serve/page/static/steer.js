// Moves the 3-D view by mouse, touch, wheel and keyboard.
const KEYS = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1],
};

export function steer(space, canvas, { zoomIn, zoomOut, reset }) {
  const fingers = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(name, (event) => fingers.delete(event.pointerId));
  }
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const size = canvas.clientHeight;
    const [dx, dy] = [(now[0] - before[0]) / size, (now[1] - before[1]) / size];
    if (fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const gap = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]);
      space.move({ zoom: gap(before) / Math.max(gap(now), 1), right: -dx / 2, up: dy / 2 });
    } else if (event.shiftKey || event.buttons & 6) space.move({ right: -dx, up: dy });
    else space.move({ yaw: -3 * dx, pitch: 3 * dy });
    fingers.set(event.pointerId, now);
  });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    space.move({ zoom: Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 300) });
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = KEYS[event.key];
    if (arrow && event.shiftKey) space.move({ right: 0.1 * arrow[0], up: 0.1 * arrow[1] });
    else if (arrow) space.move({ yaw: 0.12 * arrow[0], pitch: 0.12 * arrow[1] });
    else if (event.key === "+" || event.key === "=") space.move({ zoom: 1 / 1.15 });
    else if (event.key === "-") space.move({ zoom: 1.15 });
    else if (event.key === "0") space.reset();
    else return;
    event.preventDefault();
  });
  zoomIn.addEventListener("click", () => space.move({ zoom: 1 / 1.3 }));
  zoomOut.addEventListener("click", () => space.move({ zoom: 1.3 }));
  reset.addEventListener("click", () => space.reset());
}
