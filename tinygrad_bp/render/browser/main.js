// Everything together: what is selected, searched, folded and shown around the picture.

class Page {
  constructor(graph) {
    this.graph = graph;
    this.closed = new Uint8Array(graph.size);
    for (const fold of graph.closed) this.closed[fold] = 1;
    this.look = { selected: NONE, paths: null, needs: null, matches: null, play: null };
    this.find = new Search(graph);
    this.worstAt = -1;
    this.frames = 0;
    const painter = new Painter(graph);
    this.view = new View(byId("graph"), byId("overlay"), painter, this.look);
    this.view.changed = () => {
      this.frames++;
      this.map.frame();
      this.paintOverlay(performance.now());
    };
    this.map = new Minimap(byId("map"), this.view);
    this.panel = new Panel(byId("panel"), graph, {
      select: (item) => this.select(item, true),
      toggle: (fold) => this.toggle(fold),
    });
    this.player = new Player(this);
    this.hovered = NONE;
    byId("title").textContent = graph.title_text;
    this.setTheme("auto");
    this.arrange();
    this.setInset(0);
    this.view.fit(false);
    listenToPointers(this.view, this);
    listenToControls(this);
    listenToKeys(this);
    this.view.frame();
  }

  // ---------------------------------------------------------------- folding

  arrange() {
    const { graph, closed } = this;
    const scene = makeScene(graph, closed);
    let routes = null;
    if (same(closed, graph.initial)) routes = usePlaces(scene, graph.places);
    else if (closed.every((one) => !one)) routes = usePlaces(scene, graph.flat);
    else restack(graph, scene);
    setRoutes(graph, scene, routes);
    scene.frames = framesOf(graph, scene);
    scene.nearItems = nearItems(graph, scene);
    scene.nearArrows = nearArrows(scene);
    scene.thinning = 1;
    this.scene = scene;
    this.view.show(scene);
    this.map.draw();
    this.refreshLook();
    this.showLegend();
    byId("fold").disabled = byId("unfold").disabled = graph.size === graph.cards;
  }

  // What was clicked stays where it is on the screen.
  toggle(fold, anchor = fold) {
    if (!this.graph.isFold(fold)) return;
    this.player.leave();
    this.view.stopFlight();
    const before = this.middleOf(anchor);
    this.closed[fold] ^= 1;
    this.arrange();
    const after = this.middleOf(anchor);
    const { x, y, scale } = this.view.camera;
    this.view.place(x + (before.x - after.x) * scale, y + (before.y - after.y) * scale);
    this.say(`${this.graph.title(fold)} ${this.closed[fold] ? "folded" : "unfolded"}`);
    if (this.look.selected !== NONE) this.showPanel();
  }

  standIn(item) {
    // an item on the screen for any item
    const { face, items } = this.scene;
    const shown = face[item];
    return shown < this.graph.cards || this.closed[shown]
      ? shown
      : (face[this.graph.members.of(item)[0]] ?? items[0]);
  }

  middleOf(item) {
    const { scene, graph } = this;
    const shown = scene.face[item];
    if (shown < graph.cards || this.closed[shown]) return { x: scene.x[shown], y: scene.y[shown] };
    const faces = [...graph.members.of(item)].map((card) => scene.face[card]);
    const mean = (axis) => faces.reduce((sum, one) => sum + axis[one], 0) / faces.length;
    return { x: mean(scene.x), y: mean(scene.y) };
  }

  foldAll(closed) {
    this.player.leave();
    for (let fold = this.graph.cards; fold < this.graph.size; fold++)
      this.closed[fold] = closed ? 1 : 0;
    this.arrange();
    this.view.fit();
    if (this.look.selected !== NONE) this.showPanel();
    this.say(closed ? "All folded" : "All unfolded");
  }

  // Opens whatever hides an item.
  reveal(item) {
    let hidden = false;
    for (let fold = this.graph.parent[item]; fold !== NONE; fold = this.graph.parent[fold]) {
      if (this.closed[fold]) {
        this.closed[fold] = 0;
        hidden = true;
      }
    }
    if (hidden) this.arrange();
  }

  // ---------------------------------------------------------------- selection

  select(item, move = false) {
    this.look.selected = item;
    if (item !== NONE && move) this.reveal(item);
    this.refreshLook();
    if (item === NONE) {
      this.panel.clear();
      this.setInset(0);
      this.say("Nothing selected");
    } else {
      this.showPanel();
      if (move) this.view.bringIn(this.standIn(item));
      this.speak(item);
    }
    this.view.invalidate();
  }

  showPanel() {
    const { paths, needs, selected } = this.look;
    const count = (marks) => marks.subarray(0, this.graph.cards).reduce((sum, one) => sum + one, 0);
    const onPaths = plural(count(paths) - this.graph.members.count[selected], "card");
    const needed = plural(count(needs), "card");
    const words =
      `Highlighted: ${onPaths} on its paths to the root (solid), ` +
      `${needed} it depends on (dotted).`;
    this.panel.show(selected, this.closed, words);
    this.setInset(innerWidth > 760 ? byId("panel").offsetWidth : 0);
  }

  setInset(width) {
    // what the panel covers; where all was seen, all is seen again
    const changed = width !== this.view.inset.right;
    this.view.inset = {
      top: Math.min(60, byId("legend").offsetHeight + 12),
      right: width,
      bottom: byId("player").offsetHeight + 20,
    };
    document.documentElement.style.setProperty("--panel", `${width}px`);
    if (changed && this.view.fitted) this.view.fit();
  }

  speak(item) {
    const { graph } = this;
    this.say([graph.title(item), ...graph.lines(item), ...graph.badges(item)].join(", "));
  }

  say(text) {
    byId("spoken").textContent = text;
  }

  // Paths to the root, and what an item depends on: for cards, and for the folds that hold them.
  refreshLook() {
    const { graph, look, scene } = this;
    look.matches = this.find.marks(scene);
    look.paths = look.needs = null;
    if (look.selected === NONE) return;
    const from = graph.members.of(look.selected);
    const toRoot = (this.toRoot ??= reach(graph, [graph.root], false));
    const paths = reach(graph, from, true).map((one, card) => one & toRoot[card]);
    const needs = reach(graph, from, false);
    const start = new Uint8Array(graph.cards);
    for (const card of from) [start[card], paths[card], needs[card]] = [1, 1, 0];
    [look.start, look.paths, look.needs] = [start, paths, needs].map((cards) =>
      this.withFaces(cards),
    );
    for (const card of from) look.needs[scene.face[card]] = 0;
  }

  withFaces(cards) {
    const marks = new Uint8Array(this.graph.size);
    cards.forEach((one, card) => {
      if (one) marks[card] = marks[this.scene.face[card]] = 1;
    });
    return marks;
  }

  // The card before, after, above or below the selected one.
  neighbour(key) {
    const { scene, graph, look } = this;
    const item = look.selected === NONE ? NONE : this.standIn(look.selected);
    if (item === NONE) return scene.face[graph.root] ?? NONE;
    const sideways = key === "ArrowLeft" || key === "ArrowRight";
    if (sideways) {
      const [by, ends] =
        key === "ArrowLeft" ? [scene.incoming, scene.source] : [scene.outgoing, scene.target];
      const arrow = [...arrowsAt(by, item)][0];
      return arrow === undefined ? item : ends[arrow];
    }
    const sign = key === "ArrowUp" ? -1 : 1;
    let [best, distance] = [item, Infinity];
    for (const other of scene.items) {
      const away = sign * (scene.y[other] - scene.y[item]);
      if (scene.rank[other] === scene.rank[item] && away > 0 && away < distance)
        [best, distance] = [other, away];
    }
    return best;
  }

  worst() {
    const { worst } = this.graph;
    if (!worst.length) return this.say("No badge and no gradient to judge");
    this.worstAt = (this.worstAt + 1) % worst.length;
    this.select(worst[this.worstAt], true);
    this.view.centre(this.standIn(worst[this.worstAt]));
  }

  // ---------------------------------------------------------------- search

  search(text) {
    this.find.find(text);
    this.refreshLook();
    this.showFound();
    this.view.invalidate();
  }

  showFound() {
    byId("found").textContent = this.find.summary;
  }

  nextMatch(by) {
    const item = this.find.step(by);
    this.showFound();
    if (item !== NONE) this.select(item, true);
  }

  // ---------------------------------------------------------------- around the picture

  setTheme(theme) {
    this.theme = theme;
    const dark =
      theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    const button = byId("theme");
    button.textContent = { auto: "◐", light: "○", dark: "●" }[theme];
    button.setAttribute("aria-label", `Colours: ${theme === "auto" ? "as the system" : theme}`);
    this.view.painter.usePalette();
    this.map.draw();
    this.view.invalidate();
  }

  nextTheme() {
    this.setTheme({ auto: "light", light: "dark", dark: "auto" }[this.theme]);
  }

  showLegend() {
    const { graph, scene } = this;
    const shown = scene.items.length;
    const counted =
      shown === graph.cards
        ? plural(shown, "card")
        : `${plural(shown, "card")} shown of ${graph.cards.toLocaleString("en")}`;
    const lines = graph.notes.length ? [...graph.notes] : [counted];
    if (graph.notes.length && shown !== graph.cards) lines.push(counted);
    if (scene.thinning > 1)
      lines.push(`One in ${scene.thinning} arrows is drawn; zoom in for all of them`);
    const text = lines.join("\n");
    if (this.legend === text) return;
    this.legend = text;
    byId("legend").replaceChildren(...lines.map((line) => element("p", {}, foreign(line))));
  }

  // On top: what is under the mouse while cards are too small to read, and what moves in a step.
  paintOverlay(now) {
    const { view, graph } = this;
    const { over, ratio, camera } = view;
    over.setTransform(ratio, 0, 0, ratio, 0, 0);
    over.clearRect(0, 0, view.width, view.height);
    this.player.paint(over, now);
    this.showLegend();
    if (this.hovered === NONE || camera.scale >= LEVEL.cards) return;
    const { x, y } = view.onScreen(this.hovered);
    const { palette } = view.painter;
    over.font = `12.5px ${FONT}`;
    const lines = [
      [graph.symbol(this.hovered), graph.title(this.hovered)].filter(Boolean).join("  "),
      ...graph.lines(this.hovered),
      ...graph.badges(this.hovered),
    ].map((line) => view.painter.fit(over, line, 300));
    const width = Math.max(...lines.map((line) => over.measureText(line).width)) + 20;
    const left = Math.min(Math.max(8, x + 12), view.width - width - 8);
    const top = Math.min(Math.max(8, y + 12), view.height - lines.length * 18 - 22);
    over.fillStyle = palette.surface;
    over.strokeStyle = palette.line;
    over.beginPath();
    over.roundRect(left, top, width, lines.length * 18 + 12, 7);
    over.fill();
    over.stroke();
    over.fillStyle = palette.text;
    lines.forEach((line, i) => over.fillText(line, left + 10, top + 20 + 18 * i));
  }

  // ---------------------------------------------------------------- what was clicked or typed

  // A fold that is clicked opens; its panel stays, and can close it again. So can its frame.
  click(item, x, y) {
    this.view.canvas.focus({ preventScroll: true });
    const frame = item === NONE ? this.view.frameAt(x, y) : undefined;
    if (frame) {
      this.toggle(frame.fold);
      return this.select(frame.fold);
    }
    if (item !== NONE && this.closed[item]) {
      this.look.selected = item;
      this.toggle(item);
    }
    this.select(item);
  }

  hover(item, x, y) {
    this.view.canvas.classList.toggle("over", item !== NONE || Boolean(this.view.frameAt(x, y)));
    if (item === this.hovered) return;
    this.hovered = item;
    this.paintOverlay(performance.now());
  }

  toggleAround() {
    const { selected } = this.look;
    if (selected === NONE) return;
    const fold = this.graph.isFold(selected) ? selected : this.graph.parent[selected];
    if (fold === NONE) return this.say("This card is in no fold");
    this.look.selected = fold;
    this.toggle(fold, selected);
    this.select(fold);
  }

  enter() {
    const { selected } = this.look;
    if (selected === NONE) return;
    if (this.closed[selected]) this.toggleAround();
    else byId("panel").querySelector("h2")?.focus();
  }

  escape() {
    if (this.look.play) this.player.leave();
    else this.select(NONE);
  }
}

const byId = (id) => document.getElementById(id);
const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
const same = (a, b) => a.every((one, i) => one === b[i]);

function nearItems(graph, { items, x, y }) {
  const boxes = new Float32Array(4 * items.length);
  items.forEach((item, i) => {
    const [w, h] = [graph.width[item] / 2, graph.height[item] / 2];
    boxes.set([x[item] - w, y[item] - h, x[item] + w, y[item] + h], 4 * i);
  });
  return new Nearby(items, boxes);
}

function nearArrows({ source, starts, points }) {
  // a curve stays within its control points
  const boxes = new Float32Array(4 * source.length);
  for (let a = 0; a < source.length; a++) {
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 2 * starts[a]; i < 2 * starts[a + 1]; i += 2) {
      left = Math.min(left, points[i]);
      right = Math.max(right, points[i]);
      top = Math.min(top, points[i + 1]);
      bottom = Math.max(bottom, points[i + 1]);
    }
    boxes.set([left - 4, top - 10, right + 4, bottom + 10], 4 * a); // heads and labels are wider
  }
  return new Nearby(
    Int32Array.from(source, (_, a) => a),
    boxes,
  );
}

async function start() {
  const graph = makeGraph(readColumns(await inflate(byId("data").textContent)));
  byId("data").remove();
  const page = new Page(graph);
  performance.mark("tinygrad-painted");
  exposeState(page);
}

start().catch((error) => {
  byId("caption").textContent = `This page cannot be shown here: ${error.message}`;
  throw error;
});
