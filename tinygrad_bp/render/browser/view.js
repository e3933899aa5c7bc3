// The window on the scene: camera, and a canvas that is painted only where it changed. When the
// picture is dragged, the old pixels are moved and only the uncovered strips are painted again.

const SCALE = { least: 0.0005, most: 4 };
const SLOW = 30; // milliseconds of a full paint; above, zooming shows scaled pixels first
const calm = matchMedia("(prefers-reduced-motion: reduce)");

class View {
  constructor(canvas, overlay, painter, look) {
    this.canvas = canvas;
    this.ctx = canvas.getContext("2d", { alpha: false });
    this.overlay = overlay;
    this.over = overlay.getContext("2d");
    this.painter = painter;
    this.look = look;
    this.camera = { x: 0, y: 0, scale: 1 };
    this.painted = null; // the camera of the pixels on the canvas
    this.stale = true;
    this.cost = 0;
    this.changed = () => {}; // called after every paint
    this.inset = { top: 0, right: 0, bottom: 0 }; // what panels cover
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  resize() {
    this.ratio = window.devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    for (const canvas of [this.canvas, this.overlay]) {
      // which empties them
      canvas.width = Math.round(this.width * this.ratio);
      canvas.height = Math.round(this.height * this.ratio);
    }
    if (this.fitted) this.fit(false);
    this.invalidate();
  }

  show(scene) {
    this.scene = scene;
    this.bounds = boundsOf(this.painter.graph, scene);
    for (let i = 0; i < scene.points.length; i += 2)
      reachTo(this.bounds, scene.points[i], scene.points[i + 1]);
    this.invalidate();
  }

  invalidate() {
    this.stale = true;
    this.request();
  }

  request() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.frame();
    });
  }

  frame() {
    if (!this.scene || !this.width) return;
    const { camera, painted } = this;
    if (this.stale || !painted) this.paintAll();
    else if (painted.scale !== camera.scale) this.stretch();
    else if (painted.x !== camera.x || painted.y !== camera.y) this.scroll();
    this.changed();
  }

  paintAll() {
    const begin = performance.now();
    this.paintRegion({ left: 0, top: 0, width: this.width, height: this.height, whole: true });
    this.cost = performance.now() - begin;
    this.stale = false;
    this.sharp = null;
  }

  paintRegion(region) {
    this.ctx.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    this.painter.paint(this.ctx, this.scene, this.camera, region, this.look);
    this.painted = { ...this.camera };
  }

  scroll() {
    const { camera, painted, ratio, ctx, width, height } = this;
    const [dx, dy] = [camera.x - painted.x, camera.y - painted.y];
    if (Math.abs(dx) >= width * 0.7 || Math.abs(dy) >= height * 0.7) return this.paintAll();
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.drawImage(this.canvas, Math.round(dx * ratio), Math.round(dy * ratio));
    const margin = 1; // what was cut through a pixel is painted whole
    if (dx) {
      const wide = Math.abs(dx) + margin;
      this.paintRegion({ left: dx > 0 ? 0 : width - wide, top: 0, width: wide, height });
    }
    if (dy) {
      const high = Math.abs(dy) + margin;
      this.paintRegion({ left: 0, top: dy > 0 ? 0 : height - high, width, height: high });
    }
  }

  // While a slow picture is being zoomed, its pixels are stretched; it is painted afterwards.
  stretch() {
    if (this.cost < SLOW) return this.paintAll();
    const { camera, ratio, ctx } = this;
    this.sharp ??= { image: copyOf(this.canvas), camera: this.painted };
    const by = camera.scale / this.sharp.camera.scale;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.fillStyle = this.painter.palette.canvas;
    ctx.fillRect(0, 0, this.canvas.width, this.canvas.height);
    ctx.setTransform(
      by,
      0,
      0,
      by,
      (camera.x - this.sharp.camera.x * by) * ratio,
      (camera.y - this.sharp.camera.y * by) * ratio,
    );
    ctx.drawImage(this.sharp.image, 0, 0);
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.invalidate(), 90);
  }

  // ---------------------------------------------------------------- camera

  pan(dx, dy) {
    this.stopFlight();
    this.place(this.camera.x + dx, this.camera.y + dy);
  }

  // Whole pixels of the device, so that moved pixels stay where a new paint would put them.
  place(x, y, scale = this.camera.scale) {
    this.fitted = false;
    const whole = (v) => Math.round(v * this.ratio) / this.ratio;
    this.camera = { x: whole(x), y: whole(y), scale };
    this.request();
  }

  // Around a point, or else around what is played or selected, or the middle.
  zoom(by, x, y) {
    if (x === undefined) ({ x, y } = this.heart());
    this.stopFlight();
    const { camera } = this;
    const scale = Math.min(SCALE.most, Math.max(SCALE.least, camera.scale * by));
    this.place(
      x - ((x - camera.x) * scale) / camera.scale,
      y - ((y - camera.y) * scale) / camera.scale,
      scale,
    );
  }

  heart() {
    const { room } = this;
    const { selected, play } = this.look;
    const item = play?.now.length === 1 ? play.now[0] : selected;
    const shown = item === NONE ? null : this.onScreen(this.scene.face[item]);
    return shown && shown.x > 0 && shown.y > 0 && shown.x < room.width && shown.y < this.height
      ? shown
      : room;
  }

  // What is left to see, and its middle.
  get room() {
    const { top, right, bottom } = this.inset;
    const [width, height] = [this.width - right, this.height - top - bottom];
    return { width, height, x: width / 2, y: top + height / 2 };
  }

  fit(animate = true) {
    const { left, top, right, bottom } = this.bounds;
    const { room } = this;
    const [w, h] = [Math.max(1, right - left), Math.max(1, bottom - top)];
    const scale = Math.max(
      SCALE.least,
      Math.min(1.25, (room.width - 48) / w, (room.height - 24) / h),
    );
    this.fly(
      { scale, x: room.x - (left + w / 2) * scale, y: room.y - (top + h / 2) * scale },
      animate,
    );
    this.fitted = true;
  }

  centre(item, scale = Math.max(this.camera.scale, 0.9)) {
    const { room } = this;
    this.fly({
      scale,
      x: room.x - this.scene.x[item] * scale,
      y: room.y - this.scene.y[item] * scale,
    });
  }

  // Moves the camera only if the item is hidden or at the edge.
  bringIn(item) {
    const { x, y } = this.onScreen(item);
    const { width, height, y: middle } = this.room;
    const away = Math.abs(y - middle) > height / 2 - 40;
    if (x < 90 || x > width - 90 || away || this.camera.scale < LEVEL.names) this.centre(item);
  }

  fly(goal, animate = true) {
    this.stopFlight();
    if (!animate || calm.matches || this.cost > SLOW) return this.place(goal.x, goal.y, goal.scale);
    const from = { ...this.camera };
    const begin = performance.now();
    const step = (now) => {
      const t = Math.min(1, Math.max(0, (now - begin) / 260));
      const e = t * t * (3 - 2 * t);
      const scale = from.scale * (goal.scale / from.scale) ** e;
      const part = goal.scale === from.scale ? e : (scale - from.scale) / (goal.scale - from.scale);
      const { fitted } = this;
      this.place(from.x + (goal.x - from.x) * part, from.y + (goal.y - from.y) * part, scale);
      this.fitted = fitted;
      this.flight = t < 1 ? requestAnimationFrame(step) : null;
    };
    this.flight = requestAnimationFrame(step);
  }

  stopFlight() {
    if (this.flight) cancelAnimationFrame(this.flight);
    this.flight = null;
    this.fitted = false;
  }

  onScreen(item) {
    const { x, y, scale } = this.camera;
    return { x: this.scene.x[item] * scale + x, y: this.scene.y[item] * scale + y };
  }

  // The item under a point of the screen; dots are small, so a little beside counts.
  itemAt(x, y) {
    const { graph } = this.painter;
    const { camera, scene } = this;
    const [wx, wy] = [(x - camera.x) / camera.scale, (y - camera.y) / camera.scale];
    const near = Math.max(1, 5 / camera.scale);
    let [best, distance] = [NONE, Infinity];
    scene.nearItems.search(wx - near, wy - near, wx + near, wy + near, (item) => {
      const outside = Math.hypot(
        Math.max(0, Math.abs(wx - scene.x[item]) - graph.width[item] / 2),
        Math.max(0, Math.abs(wy - scene.y[item]) - graph.height[item] / 2),
      );
      if (outside <= near && (outside < distance || (outside === distance && item > best))) {
        [best, distance] = [item, outside];
      }
    });
    return best;
  }

  // The frame whose label is under a point of the screen.
  frameAt(x, y) {
    const { camera, scene } = this;
    if (camera.scale < LEVEL.frames) return undefined;
    const [wx, wy] = [(x - camera.x) / camera.scale, (y - camera.y) / camera.scale];
    return scene.frames.find(
      ({ left, top, wide }) =>
        wx >= left && wx <= left + wide && wy >= top && wy <= top + FRAME.label,
    );
  }

  get visible() {
    const { camera, scene, width, height } = this;
    const found = [];
    const [left, top] = [-camera.x / camera.scale, -camera.y / camera.scale];
    scene.nearItems.search(
      left,
      top,
      left + width / camera.scale,
      top + height / camera.scale,
      (i) => found.push(i),
    );
    return found.filter((item) => {
      const { x, y } = this.onScreen(item);
      return x > 0 && y > 0 && x < width && y < height;
    });
  }
}

function copyOf(canvas) {
  const copy = document.createElement("canvas");
  copy.width = canvas.width;
  copy.height = canvas.height;
  copy.getContext("2d").drawImage(canvas, 0, 0);
  return copy;
}

function reachTo(bounds, x, y) {
  if (x < bounds.left) bounds.left = x;
  if (x > bounds.right) bounds.right = x;
  if (y < bounds.top) bounds.top = y;
  if (y > bounds.bottom) bounds.bottom = y;
}

function boundsOf(graph, { items, x, y }) {
  const bounds = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const item of items) {
    bounds.left = Math.min(bounds.left, x[item] - graph.width[item] / 2);
    bounds.right = Math.max(bounds.right, x[item] + graph.width[item] / 2);
    bounds.top = Math.min(bounds.top, y[item] - graph.height[item] / 2);
    bounds.bottom = Math.max(bounds.bottom, y[item] + graph.height[item] / 2);
  }
  return items.length ? bounds : { left: 0, top: 0, right: 1, bottom: 1 };
}
