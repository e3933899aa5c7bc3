// The graph as Python packed it: typed arrays for what is many, text only where it is shown.
//
// Items are cards (0 … cards-1) and then folds, inner ones first. `parent` of an item is the fold
// that holds it, or -1; `face` is what stands for it on the screen.

const NONE = -1;
const DASHED = 1; // flags of an arrow: no gradient passes
const GRADIENT = 2; // it belongs to the backward graph
const MARKED = 4; // on a path that is explained

async function inflate(base64) {
  const text = atob(base64.trim());
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// A column holds differences of whole numbers, sign in the lowest bit, one byte plane after the
// other: the high planes are almost all zero and vanish in gzip.
function readColumn(bytes, offset, length) {
  const values = new Int32Array(length);
  let value = 0;
  for (let i = 0, at = offset; i < length; i++, at++) {
    const folded =
      bytes[at] |
      (bytes[at + length] << 8) |
      (bytes[at + 2 * length] << 16) |
      (bytes[at + 3 * length] << 24);
    value += (folded >>> 1) ^ -(folded & 1);
    values[i] = value;
  }
  return values;
}

function readColumns(bytes) {
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const columns = {};
  let offset = 4 + length;
  for (const [name, size] of head.columns) {
    columns[name] = readColumn(bytes, offset, size);
    offset += 4 * size;
  }
  return { ...head, columns };
}

// Control characters and marks that turn the direction of writing would change what stands around
// them; they are shown as a dot.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const visibleText = (text) => text.replace(UNSEEN, "·");

// Lists of different lengths, stored as one column of text numbers for each position; 0 is none.
function readLists(columns, name, strings) {
  const positions = [];
  while (columns[name + positions.length]) positions.push(columns[name + positions.length]);
  return (item) => {
    const found = [];
    for (const position of positions) if (position[item]) found.push(strings[position[item]]);
    return found;
  };
}

// For every item, the arrows at one of its ends: arrows[start[i]] … arrows[start[i + 1] - 1].
function arrowsBy(ends, size) {
  const start = new Int32Array(size + 1);
  for (const end of ends) start[end + 1]++;
  for (let i = 0; i < size; i++) start[i + 1] += start[i];
  const arrows = new Int32Array(ends.length);
  const next = start.slice(0, size);
  for (let arrow = 0; arrow < ends.length; arrow++) arrows[next[ends[arrow]]++] = arrow;
  return { start, arrows };
}

const STEPS = 4; // whole numbers in a length of 1
const lengths = (column) => column && Float32Array.from(column, (length) => length / STEPS);

// Where things stand at first, and where they stand when everything is unfolded.
function readPlaces(columns, prefix) {
  const sizes = columns[`${prefix}route_sizes`];
  const [x, y, routeX, routeY] = ["x", "y", "route_x", "route_y"].map((name) =>
    lengths(columns[prefix + name]),
  );
  return x && { x, y, routes: sizes ? { sizes, x: routeX, y: routeY } : null };
}

function makeGraph({ columns, strings, ...head }) {
  strings = strings.map(visibleText);
  columns.width = lengths(columns.width);
  columns.height = lengths(columns.height);
  const cards = head.cards;
  const size = columns.number.length;
  const lists = {};
  for (const name of ["lines", "badges", "scope", "headings"]) {
    lists[name] = readLists(columns, name, strings);
  }
  const graph = {
    ...head,
    ...columns,
    cards,
    size,
    strings,
    isFold: (item) => item >= cards,
    folds: Array.from({ length: size - cards }, (_, k) => cards + k),
    title: (item) =>
      strings[columns.title_ids[item]] + (columns.numbered[item] ? columns.number[item] : ""),
    symbol: (item) => strings[columns.symbol_ids[item]],
    lines: lists.lines,
    badges: lists.badges,
    scope: lists.scope,
    // The facts shown beside a card are put together only when someone asks for them.
    details: (item) => lists.headings(item).map((heading, i) => [heading, detail(item, i)]),
    shade: (item) => (columns.shade[item] ? (columns.shade[item] - 500) / 10 : null),
    share: (arrow) => (columns.share[arrow] ? (columns.share[arrow] - 1) / 200 : null),
    arrowLabel: (arrow) => strings[columns.label[arrow]],
    isGradient: (arrow) => (columns.flags[arrow] & GRADIENT) !== 0,
    outgoing: arrowsBy(columns.source, cards),
    incoming: arrowsBy(columns.target, cards),
    itemOf: new Map(),
    places: readPlaces(columns, ""),
  };
  const detail = (item, i) => {
    const found = columns[`details${i}`][item];
    if (found >= 0) return strings[found];
    const [line, letters] = [(-found - 1) % 8, (-found - 1) >> 3]; // the end of a line of the card
    return lists.lines(item)[line].slice(letters);
  };
  graph.flat = readPlaces(columns, "flat_") ?? graph.places;
  graph.initial = new Uint8Array(size);
  for (const fold of graph.closed) graph.initial[fold] = 1;
  for (let i = 0; i < size; i++) graph.itemOf.set(columns.number[i], i);
  graph.members = membersOf(graph);
  return graph;
}

// The cards of every fold lie together in one list, so each fold is a stretch of it.
function membersOf({ cards, size, parent }) {
  const count = new Int32Array(size).fill(1, 0, cards);
  for (let i = 0; i < size; i++) if (parent[i] !== NONE) count[parent[i]] += count[i];
  const start = new Int32Array(size);
  let end = 0;
  const next = new Int32Array(size);
  for (let i = size - 1; i >= 0; i--) {
    // a fold comes after what it holds
    if (parent[i] === NONE) {
      start[i] = end;
      end += count[i];
    } else {
      start[i] = next[parent[i]];
      next[parent[i]] += count[i];
    }
    next[i] = start[i];
  }
  const list = new Int32Array(cards);
  for (let i = 0; i < cards; i++) list[start[i]] = i;
  return {
    list,
    start,
    count,
    of: (item) => list.subarray(start[item], start[item] + count[item]).toSorted(),
  };
}

// What stands for every item: the outermost closed fold around it, or the item itself.
function facesOf({ size, parent }, closed) {
  const face = new Int32Array(size);
  for (let i = size - 1; i >= 0; i--) {
    const outer = parent[i];
    face[i] = outer === NONE ? i : face[outer] !== outer || closed[outer] ? face[outer] : i;
  }
  return face;
}

// Every card that can be reached from the given ones, along the arrows or against them. Arrows of
// the backward graph lead elsewhere: a path to the root is one of the forward graph.
function reach(graph, from, forward) {
  const { start, arrows } = forward ? graph.outgoing : graph.incoming;
  const ends = forward ? graph.target : graph.source;
  const seen = new Uint8Array(graph.cards);
  const waiting = [];
  for (const card of from) {
    seen[card] = 1;
    waiting.push(card);
  }
  while (waiting.length) {
    const card = waiting.pop();
    for (let k = start[card]; k < start[card + 1]; k++) {
      const arrow = arrows[k];
      if (graph.isGradient(arrow) || seen[ends[arrow]]) continue;
      seen[ends[arrow]] = 1;
      waiting.push(ends[arrow]);
    }
  }
  return seen;
}
