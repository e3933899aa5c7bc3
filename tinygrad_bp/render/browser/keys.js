// What the keys and the buttons do.

function listenToKeys(page) {
  const [plain, shifted] = [plainKeys(page), shiftedKeys(page)];
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    const typing = target.closest?.("input, select, textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || byId("overview").open) return;
    if (target.closest?.("button") && (key === " " || key === "Enter")) return; // the button's own
    const act =
      (event.shiftKey && shifted[key]) || plain[key.length === 1 ? key.toLowerCase() : key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function plainKeys(page) {
  const { view, player } = page;
  const step = 60;
  return {
    ArrowLeft: () => view.pan(step, 0),
    ArrowRight: () => view.pan(-step, 0),
    ArrowUp: () => view.pan(0, step),
    ArrowDown: () => view.pan(0, -step),
    "+": () => view.zoom(1.3),
    "=": () => view.zoom(1.3),
    "-": () => view.zoom(1 / 1.3),
    f: () => view.fit(),
    0: () => view.fit(),
    "/": () => byId("query").select(),
    n: () => page.nextMatch(1),
    p: () => page.nextMatch(-1),
    w: () => page.worst(),
    e: () => page.foldAll(false),
    c: () => page.foldAll(true),
    o: () => page.toggleAround(),
    Enter: () => page.enter(),
    Escape: () => page.escape(),
    1: () => player.begin("forward"),
    2: () => player.begin("backward"),
    " ": () => player.playOrPause(),
    ",": () => player.move(-1),
    ".": () => player.move(1),
    t: () => page.nextTheme(),
    "?": () => byId("overview").showModal(),
  };
}

function shiftedKeys(page) {
  const go = (key) => () => page.select(page.neighbour(key), true);
  return Object.fromEntries(
    ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].map((key) => [key, go(key)]),
  );
}

function listenToControls(page) {
  const { view } = page;
  const on = (id, event, act) => byId(id).addEventListener(event, act);
  on("query", "input", (event) => page.search(event.target.value));
  on("search", "submit", (event) => {
    event.preventDefault();
    page.nextMatch(1);
  });
  on("query", "keydown", (event) => {
    if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      page.nextMatch(-1);
    }
    if (event.key === "Escape") {
      event.target.value = "";
      page.search("");
      view.canvas.focus();
    }
  });
  on("previous", "click", () => page.nextMatch(-1));
  on("worst", "click", () => page.worst());
  on("fold", "click", () => page.foldAll(true));
  on("unfold", "click", () => page.foldAll(false));
  on("fit", "click", () => view.fit());
  on("in", "click", () => view.zoom(1.3));
  on("out", "click", () => view.zoom(1 / 1.3));
  on("theme", "click", () => page.nextTheme());
  on("help", "click", () => byId("overview").showModal());
  on("understood", "click", () => byId("overview").close());
  on("graph", "pointerleave", () => page.hover(NONE, 0, 0));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    page.setTheme(page.theme),
  );
}
