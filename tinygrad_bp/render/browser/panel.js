// The side panel: everything known about one card. Text goes in as text nodes only.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const foreign = (text) => element("bdi", {}, text); // a name that someone else gave
const LISTED = 60; // links in one list; the rest is counted

function badgeElement(badge) {
  const kind = badgeClass(badge);
  return element(
    "li",
    { class: `badge ${kind}` },
    element("span", { "aria-hidden": "true" }, BADGE_SHAPE[kind]),
    " ",
    badge,
  );
}

function shadeInWords(shade) {
  if (Math.abs(shade) < 0.3) return "about as large as the graph's median gradient";
  const power =
    Math.abs(shade) < 2
      ? (10 ** Math.abs(shade)).toPrecision(2)
      : `10^${Math.abs(shade).toFixed(1)}`;
  return `${power} times ${shade < 0 ? "smaller" : "larger"} than the graph's median gradient`;
}

const percent = (share) => (share > 0 && share < 0.01 ? "under 1%" : `${Math.round(100 * share)}%`);

class Panel {
  constructor(root, graph, { select, toggle }) {
    Object.assign(this, { root, graph, select, toggle });
  }

  // Who was in the panel with the keyboard is led on, not dropped.
  get hasFocus() {
    return this.root.contains(document.activeElement);
  }

  clear() {
    if (this.hasFocus) byId("graph").focus();
    this.root.hidden = true;
    this.root.replaceChildren();
  }

  show(item, closed, highlighted) {
    const { graph, root } = this;
    const shade = graph.shade(item);
    const badges = graph.badges(item);
    const { hasFocus } = this;
    root.replaceChildren(
      element(
        "div",
        {},
        element(
          "header",
          {},
          graph.symbol(item)
            ? element("span", { class: "symbol", "aria-hidden": "true" }, graph.symbol(item))
            : null,
          element("h2", { tabindex: "-1" }, foreign(graph.title(item))),
          element(
            "button",
            {
              class: "plain",
              "aria-label": "Close the panel",
              title: "Close (Esc)",
              onclick: () => this.select(NONE),
            },
            "✕",
          ),
        ),
        this.place(item),
        badges.length
          ? element("ul", { class: "badges", "aria-label": "Badges" }, ...badges.map(badgeElement))
          : null,
        this.foldButtons(item, closed),
        this.facts(item),
        shade === null
          ? null
          : element("p", { class: "note" }, `Its gradient is ${shadeInWords(shade)}.`),
        graph.isFold(item) ? this.memberList(item) : this.inputs(item),
        graph.isFold(item) ? null : this.consumers(item),
        element("p", { class: "note" }, highlighted),
      ),
    );
    root.hidden = false;
    root.scrollTop = 0;
    if (hasFocus) root.querySelector("h2").focus();
  }

  place(item) {
    const { graph } = this;
    const kind = {
      leaf: "leaf: a gradient is wanted",
      constant: "constant",
      op: "result of an operation",
      backward: "part of the gradient's own graph",
      fold: `${graph.members.count[item].toLocaleString("en")} cards, folded`,
    };
    const scope = graph.scope(item);
    return element(
      "p",
      { class: "place" },
      kind[KINDS[graph.kind[item]]],
      ...(scope.length ? [" in ", foreign(scope.join(" › "))] : []),
    );
  }

  foldButtons(item, closed) {
    const { graph } = this;
    const buttons = [];
    const add = (fold, text) =>
      buttons.push(
        element(
          "button",
          { onclick: () => this.toggle(fold), "data-fold": graph.number[fold] },
          text,
        ),
      );
    if (graph.isFold(item)) add(item, closed[item] ? "Unfold" : "Fold again");
    for (let fold = graph.parent[item]; fold !== NONE; fold = graph.parent[fold]) {
      if (!closed[fold]) add(fold, element("span", {}, "Fold ", foreign(graph.title(fold))));
    }
    return buttons.length ? element("p", { class: "buttons" }, ...buttons) : null;
  }

  facts(item) {
    const { graph } = this;
    const list = element("dl");
    const details = graph.details(item);
    for (const [heading, text] of details.length
      ? details
      : graph.lines(item).map((line) => ["", line])) {
      if (heading) list.append(element("dt", {}, foreign(heading)));
      list.append(element("dd", {}, foreign(text)));
    }
    return list.childElementCount ? list : null;
  }

  inputs(item) {
    const arrows = [...arrowsAt(this.graph.incoming, item)];
    return this.arrowList("Inputs", arrows, this.graph.source, "local derivative");
  }

  consumers(item) {
    const arrows = [...arrowsAt(this.graph.outgoing, item)];
    return this.arrowList("Consumers", arrows, this.graph.target, "local derivative");
  }

  arrowList(heading, arrows, ends, what) {
    const { graph } = this;
    if (!arrows.length) return null;
    const rows = arrows.slice(0, LISTED).map((arrow) => {
      const label = graph.arrowLabel(arrow);
      const share = graph.share(arrow);
      const facts = [
        label ? `${what} ${label}` : "",
        share === null
          ? ""
          : `${percent(share)} of ${heading === "Inputs" ? "its" : "this"} gradient`,
        graph.flags[arrow] & DASHED ? "no gradient passes" : "",
        graph.flags[arrow] & MARKED ? "on the explained path" : "",
      ]
        .filter(Boolean)
        .join(" · ");
      return element(
        "li",
        {},
        this.link(ends[arrow]),
        facts ? element("span", { class: "edge" }, facts) : null,
      );
    });
    return element(
      "section",
      {},
      element("h3", {}, heading),
      element("ol", { class: "links" }, ...rows),
      this.rest(arrows.length),
    );
  }

  memberList(fold) {
    const members = this.graph.members.of(fold);
    const rows = [...members.subarray(0, LISTED)].map((card) => element("li", {}, this.link(card)));
    return element(
      "section",
      {},
      element("h3", {}, "Holds"),
      element("ol", { class: "links" }, ...rows),
      this.rest(members.length),
    );
  }

  rest(count) {
    return count > LISTED
      ? element("p", { class: "note" }, `and ${(count - LISTED).toLocaleString("en")} more`)
      : null;
  }

  link(item) {
    const { graph } = this;
    const value = graph.lines(item).find((line) => lineKind(line) === "value");
    return element(
      "button",
      { class: "link", "data-card": graph.number[item], onclick: () => this.select(item) },
      foreign(graph.title(item)),
      value ? element("small", {}, foreign(value.replace(/^\S+\s/, ""))) : null,
    );
  }
}
