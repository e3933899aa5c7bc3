// The two phases of the lecture, step by step: forward, values arrive along the arrows; backward,
// gradients do, each the gradient behind it times the local derivative. A step is one card, or one
// rank of a large picture.

const MANY = 150; // items; above, a step is a rank
const PACES = [0.5, 1, 2, 4, 8];

class Play {
  constructor(graph, scene) {
    this.graph = graph;
    this.scene = scene;
    this.forward = this.stepsForward();
    this.backward = this.stepsBackward();
    this.steps = this.forward.length + this.backward.length;
    this.step = 0; // steps done; the last of them is the one shown
    this.value = new Int32Array(graph.size).fill(-1); // the step that brings each
    this.gradient = new Int32Array(graph.size).fill(-1);
    this.forward.forEach((items, i) => {
      for (const item of items) this.value[item] = i + 1;
    });
    this.backward.forEach((items, i) => {
      for (const item of items) this.gradient[item] = this.forward.length + i + 1;
    });
  }

  stepsForward() {
    const { graph, scene } = this;
    return grouped(
      [...scene.order].filter((item) => !graph.backward[item]),
      scene,
      scene.items.length > MANY,
    );
  }

  stepsBackward() {
    const { graph, scene } = this;
    const arrived = new Uint8Array(graph.size);
    const root = scene.face[graph.root];
    arrived[root] = 1;
    const order = [];
    for (const item of scene.order.toReversed()) {
      if (!arrived[item]) continue;
      order.push(item);
      for (const arrow of arrowsAt(scene.incoming, item)) {
        if (!scene.isDashed(arrow) && !scene.isGradient(arrow)) arrived[scene.source[arrow]] = 1;
      }
    }
    return grouped(order, scene, scene.items.length > MANY);
  }

  get phase() {
    return this.step === 0 ? "start" : this.step <= this.forward.length ? "forward" : "backward";
  }

  get now() {
    const { step, forward, backward } = this;
    return step === 0
      ? []
      : step <= forward.length
        ? forward[step - 1]
        : backward[step - forward.length - 1];
  }

  has(item, what) {
    const step = this[what][item];
    return step !== -1 ? step <= this.step : what === "value" || this.step >= this.steps;
  }

  state(item) {
    const own = this.phase === "backward" ? this.gradient[item] : this.value[item];
    if (own === this.step && this.step) return "now";
    if (this.has(item, "gradient") && this.gradient[item] !== -1) return "gradient";
    return this.has(item, "value") ? "value" : "ahead";
  }

  // What is going on at an arrow of the scene.
  arrow(source, target) {
    const { step, phase } = this;
    if (phase !== "backward") {
      return step && this.value[target] === step
        ? "forward-now"
        : this.value[target] <= step && this.value[target] > 0
          ? "value"
          : "ahead";
    }
    if (this.gradient[source] === -1 || this.gradient[target] === -1) return "value";
    if (this.gradient[target] === step) return "backward-now";
    return this.gradient[target] < step ? "gradient-done" : "value";
  }

  showsLabel(source, target) {
    return (
      this.phase === "backward" &&
      this.gradient[target] !== -1 &&
      this.gradient[target] <= this.step
    );
  }

  isMoving(arrow) {
    return (
      this.step > 0 &&
      (this.phase === "backward" ? this.gradient : this.value)[this.scene.target[arrow]] ===
        this.step
    );
  }

  // Arrows on which something moves in this step.
  moving() {
    const backward = this.phase === "backward";
    const found = [];
    for (const item of this.now) {
      for (const arrow of arrowsAt(this.scene.incoming, item)) {
        if (this.scene.isGradient(arrow)) continue;
        if (!backward || !this.scene.isDashed(arrow)) found.push(arrow);
      }
    }
    return { arrows: found, backward };
  }

  // The step in words, for everyone: it is shown below the picture and spoken.
  caption() {
    const { graph, step, phase, forward, backward } = this;
    if (phase === "start") return "Forward pass: inputs first. Press play, or step.";
    const [at, of] =
      phase === "forward" ? [step, forward.length] : [step - forward.length, backward.length];
    const head = `${phase === "forward" ? "Forward" : "Backward"} ${at} of ${of}`;
    if (this.now.length > 1)
      return `${head}: ${this.now.length.toLocaleString("en")} cards of one rank`;
    const item = this.now[0];
    const own = graph
      .lines(item)
      .find((line) => lineKind(line) === (phase === "forward" ? "value" : "gradient"));
    const from = phase === "forward" ? this.inputsInWords(item) : this.sharesInWords(item);
    return `${head}: ${graph.title(item)}${own ? `, ${own}` : ""}${from}`;
  }

  inputsInWords(item) {
    const names = [...arrowsAt(this.scene.incoming, item)].map((arrow) =>
      this.graph.title(this.scene.source[arrow]),
    );
    const symbol = this.graph.symbol(item);
    if (!names.length) return this.graph.isFold(item) ? "" : " (an input)";
    if (names.length === 2 && symbol) return ` = ${names[0]} ${symbol} ${names[1]}`;
    return ` = ${symbol} of ${shortList(names)}`;
  }

  // Numbers are multiplied out, as on the blackboard; arrays are not.
  sharesInWords(item) {
    const { graph, scene } = this;
    const gradient = graph
      .lines(item)
      .find((line) => lineKind(line) === "gradient")
      ?.replace(/^\S+\s/, "");
    const parts = this.moving().arrows.map((arrow) => {
      const first = scene.arrow[arrow];
      const [many, share] = [scene.count[arrow] > 1, graph.share(first)];
      const label = many ? "" : graph.arrowLabel(first);
      const to = `to ${graph.title(scene.source[arrow])}`;
      const product =
        isNumber(gradient) && isNumber(label)
          ? `${gradient} × ${label} = ${rounded(gradient * label)} `
          : "";
      const times =
        product || !label ? "" : ` (${/^gain /.test(label) ? label : `times ${label}`})`;
      const part =
        many || share === null || share > 0.995 ? "" : `, ${percent(share)} of its gradient`;
      return product + to + times + part;
    });
    return parts.length ? `; passes on ${shortList(parts)}` : "; it ends here";
  }
}

const isNumber = (text) => /^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(text ?? "");
const rounded = (number) => String(Number(number.toPrecision(3)));
const shortList = (words) =>
  words.length > 4
    ? `${words.slice(0, 3).join("; ")} and ${words.length - 3} more`
    : words.join("; ");

function* arrowsAt({ start, arrows }, item) {
  for (let k = start[item]; k < start[item + 1]; k++) yield arrows[k];
}

// One item a step, or one rank a step, in the order given.
function grouped(order, scene, byRank) {
  if (!byRank) return order.map((item) => [item]);
  const groups = new Map();
  for (const item of order) {
    const rank = scene.rank[item];
    if (!groups.has(rank)) groups.set(rank, []);
    groups.get(rank).push(item);
  }
  const sign = order.length && scene.rank[order[0]] > scene.rank[order.at(-1)] ? -1 : 1;
  return [...groups].sort(([a], [b]) => sign * (a - b)).map(([, items]) => items);
}
