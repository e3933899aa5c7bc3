// What a test may read; nothing here changes the page.
function exposeState(page) {
  const { graph, look, view } = page;
  const numbers = (items) => [...items].map((item) => graph.number[item]);
  const marked = (marks) =>
    numbers([...(marks ?? []).keys()].filter((card) => marks[card] && card < graph.cards));
  const state = {
    get selected() {
      return look.selected === NONE ? null : graph.number[look.selected];
    },
    get highlighted() {
      return marked(look.paths);
    },
    get dependencies() {
      return marked(look.needs);
    },
    get found() {
      return numbers(page.find.found);
    },
    get shown() {
      return numbers(page.scene.items);
    },
    get visible() {
      return numbers(view.visible);
    },
    get closed() {
      return numbers([...page.closed.keys()].filter((item) => page.closed[item]));
    },
    get phase() {
      return look.play?.phase ?? null;
    },
    get step() {
      return look.play?.step ?? null;
    },
    get steps() {
      return look.play?.steps ?? null;
    },
    get now() {
      return numbers(look.play?.now ?? []);
    },
    get playing() {
      return page.player.playing;
    },
    get theme() {
      return document.documentElement.dataset.theme;
    },
    get camera() {
      return { ...view.camera };
    },
    get painted() {
      return page.frames;
    },
    get paintMilliseconds() {
      return view.cost;
    },
    get frames() {
      const { x, y, scale } = view.camera;
      return page.scene.frames.map((frame) => ({
        fold: graph.number[frame.fold],
        x: (frame.left + frame.wide / 2) * scale + x,
        y: (frame.top + 8) * scale + y,
      }));
    },
    where: (number) => {
      const item = page.standIn(graph.itemOf.get(number));
      const { scale } = view.camera;
      return {
        ...view.onScreen(item),
        width: graph.width[item] * scale,
        height: graph.height[item] * scale,
      };
    },
  };
  Object.defineProperty(window, "tinygrad", { value: Object.freeze(state) });
}
