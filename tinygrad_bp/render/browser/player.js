// The controls of the play: one timeline over both passes, and the dots that move along the arrows.

const BEAT = 900; // milliseconds of a step at speed 1

class Player {
  constructor(page) {
    this.page = page;
    this.playing = false;
    this.idle = byId("caption").textContent;
    const on = (id, event, act) => byId(id).addEventListener(event, act);
    on("forward", "click", () => this.begin("forward"));
    on("backward", "click", () => this.begin("backward"));
    on("play", "click", () => this.playOrPause());
    on("back", "click", () => this.move(-1));
    on("step", "click", () => this.move(1));
    on("stop", "click", () => this.leave());
    on("progress", "input", (event) => {
      this.pause();
      this.go(Number(event.target.value));
    });
  }

  get play() {
    return this.page.look.play;
  }

  enter() {
    const { page } = this;
    if (this.play) return;
    page.look.play = new Play(page.graph, page.scene);
    if (page.look.selected !== NONE) page.select(NONE);
    byId("progress").max = this.play.steps;
    byId("stop").hidden = false;
  }

  leave() {
    if (!this.play) return;
    this.pause();
    this.page.look.play = null;
    byId("stop").hidden = true;
    byId("caption").textContent = this.idle;
    byId("progress").value = 0;
    this.showPhase(null);
    this.page.view.invalidate();
  }

  begin(phase) {
    this.enter();
    this.go(phase === "forward" ? 0 : this.play.forward.length);
    this.move(1);
    this.run();
  }

  playOrPause() {
    if (this.playing) return this.pause();
    this.enter();
    if (this.play.step >= this.play.steps) this.go(0);
    this.move(1);
    this.run();
  }

  run() {
    this.playing = true;
    this.showPlaying();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tick(), BEAT / Number(byId("pace").value));
  }

  tick() {
    if (!this.playing) return;
    if (this.play.step >= this.play.steps) return this.pause();
    this.go(this.play.step + 1);
    this.run();
  }

  pause() {
    this.playing = false;
    clearTimeout(this.timer);
    this.showPlaying();
  }

  move(by) {
    this.enter();
    this.pause();
    this.go(this.play.step + by);
  }

  go(step) {
    const { play, page } = this;
    play.step = Math.max(0, Math.min(play.steps, step));
    this.begun = performance.now();
    byId("progress").value = play.step;
    byId("progress").setAttribute("aria-valuetext", play.caption());
    byId("caption").textContent = play.caption();
    if (!this.playing || Number(byId("pace").value) <= 1) page.say(play.caption());
    this.showPhase(play.phase);
    if (play.now.length === 1 && page.scene.items.length > 20) page.view.bringIn(play.now[0]);
    page.view.invalidate();
    this.animate();
  }

  showPhase(phase) {
    byId("forward").setAttribute("aria-pressed", String(phase === "forward" || phase === "start"));
    byId("backward").setAttribute("aria-pressed", String(phase === "backward"));
  }

  showPlaying() {
    byId("play").textContent = this.playing ? "❚❚" : "▶";
    byId("play").setAttribute("aria-label", this.playing ? "Pause" : "Play");
  }

  // ---------------------------------------------------------------- what moves

  animate() {
    if (calm.matches || this.frameAt) return;
    const step = (now) => {
      this.frameAt = null;
      if (!this.play) return;
      this.page.paintOverlay(now);
      if (now - this.begun < this.span) this.frameAt = requestAnimationFrame(step);
    };
    this.frameAt = requestAnimationFrame(step);
  }

  get span() {
    return (BEAT * 0.75) / Number(byId("pace").value);
  }

  paint(ctx, now) {
    if (!this.play || calm.matches) return;
    const t = Math.min(1, Math.max(0, (now - this.begun) / this.span));
    if (t >= 1) return;
    const { view, scene } = this.page;
    const { arrows, backward } = this.play.moving();
    const { x, y, scale } = view.camera;
    const e = t * t * (3 - 2 * t);
    ctx.fillStyle = view.painter.palette[backward ? "arrow-backward-now" : "arrow-forward-now"];
    for (const arrow of arrows.slice(0, 400)) {
      const [px, py] = pointAt(scene, arrow, backward ? 1 - e : e);
      ctx.beginPath();
      ctx.arc(px * scale + x, py * scale + y, 5, 0, 7);
      ctx.fill();
    }
  }
}
