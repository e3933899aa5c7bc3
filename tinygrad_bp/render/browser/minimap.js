// The whole picture, small, with a frame around what is on the screen. Drag the frame to go there.

class Minimap {
  constructor(canvas, view) {
    Object.assign(this, { canvas, view, whole: null });
    const go = (event) => {
      if (!event.buttons || !this.whole) return;
      const box = canvas.getBoundingClientRect();
      const { scale } = view.camera;
      const x = (event.clientX - box.left - this.left) / this.by;
      const y = (event.clientY - box.top - this.top) / this.by;
      view.stopFlight();
      view.place(view.width / 2 - x * scale, view.height / 2 - y * scale);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      go(event);
    });
    canvas.addEventListener("pointermove", go);
  }

  // The dots change only with the arrangement and the colours.
  draw() {
    const { view, canvas } = this;
    if (!view.scene) return;
    const { graph, palette } = view.painter;
    const { scene, bounds } = view;
    const [w, h] = [184, 112];
    canvas.width = w * view.ratio;
    canvas.height = h * view.ratio;
    this.by = Math.min(
      (w - 12) / Math.max(1, bounds.right - bounds.left),
      (h - 12) / Math.max(1, bounds.bottom - bounds.top),
    );
    this.left = (w - (bounds.left + bounds.right) * this.by) / 2;
    this.top = (h - (bounds.top + bounds.bottom) * this.by) / 2;
    const ctx = canvas.getContext("2d");
    ctx.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    ctx.clearRect(0, 0, w, h);
    ctx.fillStyle = palette["dot-op"];
    const every = Math.ceil(scene.items.length / 6000); // more dots than pixels show nothing more
    for (let i = 0; i < scene.items.length; i += every) {
      const item = scene.items[i];
      const [dw, dh] = [
        Math.max(1, graph.width[item] * this.by),
        Math.max(1, graph.height[item] * this.by),
      ];
      ctx.fillRect(
        scene.x[item] * this.by + this.left - dw / 2,
        scene.y[item] * this.by + this.top - dh / 2,
        dw,
        dh,
      );
    }
    this.whole = copyOf(canvas);
    this.frame();
  }

  frame() {
    const { view, canvas, whole } = this;
    if (!whole) return;
    const { camera, bounds, width, height } = view;
    const seen = {
      left: -camera.x / camera.scale,
      top: -camera.y / camera.scale,
      width: width / camera.scale,
      height: height / camera.scale,
    };
    canvas.hidden =
      seen.left <= bounds.left &&
      seen.top <= bounds.top &&
      seen.left + seen.width >= bounds.right &&
      seen.top + seen.height >= bounds.bottom;
    if (canvas.hidden) return;
    const ctx = canvas.getContext("2d");
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, canvas.width, canvas.height);
    ctx.drawImage(whole, 0, 0);
    ctx.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    ctx.strokeStyle = view.painter.palette.accent;
    ctx.lineWidth = 1.5;
    ctx.strokeRect(
      seen.left * this.by + this.left,
      seen.top * this.by + this.top,
      Math.max(3, seen.width * this.by),
      Math.max(3, seen.height * this.by),
    );
  }
}
