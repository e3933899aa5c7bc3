// Find cards by name, op, shape, badge or scope: each different text is looked at once.

class Search {
  constructor(graph) {
    this.graph = graph;
    this.found = [];
    this.at = -1;
    this.text = "";
  }

  find(text) {
    this.text = text.trim().toLowerCase();
    this.at = -1;
    this.found = [];
    if (!this.text) return;
    const { graph } = this;
    this.lower ??= graph.strings.map((string) => string.toLowerCase());
    const hit = Uint8Array.from(this.lower, (string, i) =>
      i && string.includes(this.text) ? 1 : 0,
    );
    const columns = [graph.symbol_ids];
    for (const name of ["lines", "badges", "scope"]) {
      for (let i = 0; graph[name + i]; i++) columns.push(graph[name + i]);
    }
    for (let item = 0; item < graph.size; item++) {
      const named =
        hit[graph.title_ids[item]] ||
        (graph.numbered[item] && graph.title(item).toLowerCase().includes(this.text));
      if (named || columns.some((column) => hit[column[item]])) this.found.push(item);
    }
  }

  step(by) {
    const { length } = this.found;
    if (!length) return NONE;
    this.at = this.at === -1 ? (by > 0 ? 0 : length - 1) : (this.at + by + length) % length;
    return this.found[this.at];
  }

  // Where the matches are seen: a closed fold stands for those inside.
  marks(scene) {
    if (!this.found.length) return null;
    const marks = new Uint8Array(this.graph.size);
    for (const item of this.found) marks[scene.face[item]] = 1;
    return marks;
  }

  get summary() {
    if (!this.text) return "";
    if (!this.found.length) return "nothing found";
    return this.at === -1
      ? `${this.found.length.toLocaleString("en")} found`
      : `${this.at + 1} of ${this.found.length.toLocaleString("en")}`;
  }
}
