// Drag, wheel, touch: one finger or the mouse pans, two fingers or the wheel zoom.
function listenToPointers(view, page) {
  const { canvas } = view;
  const fingers = new Map();
  let moved = 0;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return { size: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    if (fingers.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = at(event);
    const before = fingers.get(event.pointerId);
    if (!before) return page.hover(view.itemAt(now.x, now.y), now.x, now.y);
    const pinch = fingers.size === 2 ? spread() : null;
    fingers.set(event.pointerId, now);
    moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    if (pinch) {
      const then = spread();
      view.zoom(then.size / Math.max(1, pinch.size), then.x, then.y);
      view.pan(then.x - pinch.x, then.y - pinch.y);
    } else if (moved > 3) {
      canvas.classList.add("dragging");
      view.pan(now.x - before.x, now.y - before.y);
    }
  });
  const up = (event) => {
    const alone = fingers.size === 1 && fingers.has(event.pointerId);
    fingers.delete(event.pointerId);
    canvas.classList.remove("dragging");
    const { x, y } = at(event);
    if (alone && moved <= 3 && event.type === "pointerup") page.click(view.itemAt(x, y), x, y);
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const { x, y } = at(event);
      const lines = event.deltaMode === 1 ? 16 : 1;
      view.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015)), x, y);
    },
    { passive: false },
  );
}
