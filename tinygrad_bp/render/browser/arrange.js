// Where everything stands: positions from Python while they hold, new ones after a fold was opened
// or closed. Inputs stand left of their consumers; `order` is a topological order.

const GAP = { along: 70, across: 22 };

// What is on the screen: the items that stand for themselves, and the arrows between them. Arrows
// that start or end at a fold are merged when they lead from the same item to the same item.
function makeScene(graph, closed) {
  const face = facesOf(graph, closed);
  const items = [];
  for (let i = 0; i < graph.size; i++) {
    if (face[i] === i && (i < graph.cards || closed[i])) items.push(i);
  }
  const scene = {
    face,
    items: Int32Array.from(items),
    ...sceneArrows(graph, face),
    x: new Float32Array(graph.size),
    y: new Float32Array(graph.size),
    rank: new Int32Array(graph.size),
    order: null,
  };
  scene.outgoing = arrowsBy(scene.source, graph.size);
  scene.incoming = arrowsBy(scene.target, graph.size);
  setRanks(graph, scene);
  return scene;
}

function sceneArrows(graph, face) {
  const [source, target, arrow, count, flags] = [[], [], [], [], []];
  const merged = new Map();
  for (let a = 0; a < graph.source.length; a++) {
    const s = face[graph.source[a]];
    const t = face[graph.target[a]];
    if (s === t) continue;
    if (graph.isFold(s) || graph.isFold(t)) {
      const key = (s * graph.size + t) * 2 + (graph.isGradient(a) ? 1 : 0);
      const known = merged.get(key);
      if (known !== undefined) {
        // dashed if all are, marked if any is
        count[known]++;
        flags[known] = (flags[known] & graph.flags[a]) | ((flags[known] | graph.flags[a]) & MARKED);
        continue;
      }
      merged.set(key, source.length);
    }
    source.push(s);
    target.push(t);
    arrow.push(a);
    count.push(1);
    flags.push(graph.flags[a]);
  }
  const whole = (list) => Int32Array.from(list);
  return {
    source: whole(source),
    target: whole(target),
    arrow: whole(arrow),
    count: whole(count),
    isDashed: (a) => (flags[a] & DASHED) !== 0,
    isGradient: (a) => (flags[a] & GRADIENT) !== 0,
    isMarked: (a) => (flags[a] & MARKED) !== 0,
  };
}

// Longest path from the inputs. A fold may stand on both sides of another card; such a cycle is cut
// at the first of its items.
function setRanks(graph, scene) {
  const { items, source, target, outgoing, incoming, rank } = scene;
  const missing = new Int32Array(graph.size);
  for (const t of target) missing[t]++;
  const order = [];
  const done = new Uint8Array(graph.size);
  const take = (item) => {
    done[item] = 1;
    order.push(item);
  };
  for (const item of items) if (!missing[item]) take(item);
  for (let next = 0, rest = 0; order.length < items.length || next < order.length;) {
    if (next === order.length) {
      while (done[items[rest]]) rest++;
      take(items[rest]);
    }
    const item = order[next++];
    for (let k = outgoing.start[item]; k < outgoing.start[item + 1]; k++) {
      const to = target[outgoing.arrows[k]];
      if (done[to]) continue;
      rank[to] = Math.max(rank[to], rank[item] + 1);
      if (--missing[to] === 0) take(to);
    }
  }
  scene.order = Int32Array.from(order);
  for (const item of items) {
    // an input stands right before its first consumer
    if (incoming.start[item] !== incoming.start[item + 1]) continue;
    let nearest = Infinity;
    for (let k = outgoing.start[item]; k < outgoing.start[item + 1]; k++) {
      nearest = Math.min(nearest, rank[target[outgoing.arrows[k]]]);
    }
    if (nearest !== Infinity) rank[item] = Math.max(0, nearest - 1);
  }
}

function usePlaces(scene, { x, y, routes }) {
  for (const item of scene.items) {
    scene.x[item] = x[item];
    scene.y[item] = y[item];
  }
  return routes;
}

// Ranks stand in columns; within a column the order is the one Python found for the whole graph.
function restack(graph, scene) {
  const columns = columnsOf(graph, scene);
  let along = 0;
  for (const column of columns) {
    let width = 0;
    let height = -GAP.across;
    for (const item of column) {
      width = Math.max(width, graph.width[item]);
      height += graph.height[item] + GAP.across;
    }
    let across = -height / 2;
    for (const item of column) {
      scene.x[item] = along + width / 2;
      scene.y[item] = across + graph.height[item] / 2;
      across += graph.height[item] + GAP.across;
    }
    along += width + GAP.along;
  }
  for (const before of [true, false, true, false, true]) {
    const sweep = before ? columns : columns.toReversed();
    for (const column of sweep) pullTogether(graph, scene, column, before);
  }
}

function columnsOf(graph, scene) {
  const middle = new Float64Array(graph.size);
  const { list, start, count } = graph.members;
  for (const item of scene.items) {
    let sum = 0;
    for (let k = start[item]; k < start[item] + count[item]; k++) sum += graph.flat.y[list[k]];
    middle[item] = sum / count[item];
  }
  const columns = [];
  for (const item of scene.items) (columns[scene.rank[item]] ??= []).push(item);
  const used = columns.filter((column) => column);
  for (const column of used) column.sort((a, b) => middle[a] - middle[b] || a - b);
  return used;
}

// Moves every item of a column as near as it can get to the mean of its neighbours, without any two
// overlapping or changing places: the least squares solution, by pooling adjacent blocks.
function pullTogether(graph, scene, column, before) {
  const { start, arrows } = before ? scene.incoming : scene.outgoing;
  const ends = before ? scene.source : scene.target;
  const blocks = []; // [sum of wishes, number of wishes, items]
  let offset = 0;
  const offsets = [];
  for (const item of column) {
    offset += graph.height[item] / 2;
    offsets.push(offset);
    let sum = 0;
    let count = 0;
    for (let k = start[item]; k < start[item + 1]; k++, count++) sum += scene.y[ends[arrows[k]]];
    let block = [(count ? sum / count : scene.y[item]) - offset, 1, 1];
    for (
      let last = blocks.at(-1);
      last && last[0] / last[1] >= block[0] / block[1];
      last = blocks.at(-1)
    ) {
      blocks.pop();
      block = [last[0] + block[0], last[1] + block[1], last[2] + block[2]];
    }
    blocks.push(block);
    offset += graph.height[item] / 2 + GAP.across;
  }
  let i = 0;
  for (const [sum, count, length] of blocks) {
    for (let k = 0; k < length; k++, i++) scene.y[column[i]] = sum / count + offsets[i];
  }
}

// The ways of the arrows: a start, then three control points for each cubic Bézier. `starts`
// counts points. Python led them around the cards where it could; otherwise each is one curve.
function setRoutes(graph, scene, routes) {
  const { length } = scene.source;
  scene.starts = new Int32Array(length + 1);
  for (let a = 0; a < length; a++)
    scene.starts[a + 1] = scene.starts[a] + (routes ? routes.sizes[a] : 4);
  scene.points = new Float32Array(2 * scene.starts[length]);
  if (!routes) setCurves(graph, scene);
  else
    routes.x.forEach((x, i) => {
      scene.points[2 * i] = x;
      scene.points[2 * i + 1] = routes.y[i];
    });
}

// Arguments arrive in the order of their slots, from above to below, so that both edges of x * x
// are seen.
function setCurves(graph, scene) {
  const { source, incoming, x, y, points } = scene;
  for (const item of scene.items) {
    const [first, last] = [incoming.start[item], incoming.start[item + 1]];
    const room = Math.min(18, (graph.height[item] - 16) / Math.max(1, last - first));
    for (let k = first; k < last; k++) {
      const arrow = incoming.arrows[k];
      const from = source[arrow];
      const port = (k - (first + last - 1) / 2) * room;
      const twin =
        (k > first && source[incoming.arrows[k - 1]] === from) ||
        (k + 1 < last && source[incoming.arrows[k + 1]] === from);
      const [x0, y0] = [x[from] + graph.width[from] / 2, y[from] + (twin ? port : 0)];
      const [x1, y1] = [x[item] - graph.width[item] / 2, y[item] + port];
      const bend = Math.min(Math.max(30, Math.abs(x1 - x0) * 0.42), 260);
      points.set([x0, y0, x0 + bend, y0, x1 - bend, y1, x1, y1], 8 * arrow);
    }
  }
}

const FRAME = { gap: 7, label: 15, most: 600 };

// A frame around what is in an open fold, where nothing else stands inside: its label folds it.
function framesOf(graph, scene) {
  const frames = new Map();
  if (scene.items.length > FRAME.most) return [];
  for (const [fold, shown] of openFolds(graph, scene)) {
    const box = boundsOf(graph, { ...scene, items: shown });
    for (const inner of frames.values()) if (graph.parent[inner.fold] === fold) widen(box, inner);
    box.left -= FRAME.gap;
    box.right += FRAME.gap;
    box.top -= FRAME.label;
    box.bottom += FRAME.gap;
    const wide = Math.min(box.right - box.left, 24 + 6.5 * graph.title(fold).length);
    const inside = new Set(shown);
    const free = scene.items.every((item) => inside.has(item) || isBeside(graph, scene, item, box));
    if (free) frames.set(fold, { fold, ...box, wide });
  }
  return [...frames.values()].reverse();
}

// Every open fold with what is shown of it, inner ones first.
function openFolds({ parent }, { items }) {
  const shown = new Map();
  for (const item of items) {
    for (let fold = parent[item]; fold !== NONE; fold = parent[fold]) {
      if (!shown.has(fold)) shown.set(fold, []);
      shown.get(fold).push(item);
    }
  }
  return [...shown].sort(([a], [b]) => a - b);
}

const isBeside = ({ width, height }, { x, y }, item, { left, top, right, bottom }) =>
  Math.abs(2 * x[item] - left - right) >= width[item] + right - left ||
  Math.abs(2 * y[item] - top - bottom) >= height[item] + bottom - top;

function widen(box, inner) {
  box.left = Math.min(box.left, inner.left);
  box.top = Math.min(box.top, inner.top);
  box.right = Math.max(box.right, inner.right);
  box.bottom = Math.max(box.bottom, inner.bottom);
}

const LABEL = { width: 46, height: 12 };

// Which arrows have room for their label: the first of those that would overlap.
function labelled(scene) {
  const { length } = scene.source;
  const marks = new Uint8Array(length);
  const taken = new Map();
  for (let a = 0; a < length; a++) {
    const [x, y] = pointAt(scene, a, 0.5);
    const [column, row] = [Math.floor(x / LABEL.width), Math.floor(y / LABEL.height)];
    let free = true;
    for (let i = 0; i < 9 && free; i++) {
      const other = taken.get((column + (i % 3) - 1) * 1e7 + row + Math.floor(i / 3) - 1);
      free =
        !other || Math.abs(other[0] - x) >= LABEL.width || Math.abs(other[1] - y) >= LABEL.height;
    }
    if (!free) continue;
    taken.set(column * 1e7 + row, [x, y]);
    marks[a] = 1;
  }
  return marks;
}

// The point of an arrow at t, from 0 at its start to 1 at its end.
function pointAt({ starts, points }, arrow, t) {
  const curves = (starts[arrow + 1] - starts[arrow] - 1) / 3;
  const curve = Math.min(curves - 1, Math.floor(t * curves));
  const s = t * curves - curve;
  const at = 2 * (starts[arrow] + 3 * curve);
  const bezier = (i) =>
    (1 - s) ** 3 * points[i] +
    3 * s * (1 - s) ** 2 * points[i + 2] +
    3 * s * s * (1 - s) * points[i + 4] +
    s ** 3 * points[i + 6];
  return [bezier(at), bezier(at + 1)];
}
