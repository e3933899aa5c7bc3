// What lies in a rectangle: a loose quadtree in flat arrays. A box lies in the level whose cells
// are at least as large as itself, in the cell of its centre; so a search looks half a cell around.

class Nearby {
  constructor(ids, boxes) {
    // boxes: left, top, right, bottom of ids[0], then of ids[1], …
    const levels = new Map();
    for (let i = 0; i < ids.length; i++) {
      const size = Math.max(
        boxes[4 * i + 2] - boxes[4 * i],
        boxes[4 * i + 3] - boxes[4 * i + 1],
        32,
      );
      const level = Math.ceil(Math.log2(size));
      if (!levels.has(level)) levels.set(level, []);
      levels.get(level).push(i);
    }
    this.levels = [...levels]
      .sort(([a], [b]) => b - a)
      .map(([level, found]) => makeLevel(2 ** level, found, ids, boxes));
  }

  // Calls visit(id, size of the cell) for everything that may touch the rectangle.
  search(left, top, right, bottom, visit) {
    for (const { cell, x, y, columns, rows, start, ids } of this.levels) {
      const first = Math.max(0, Math.floor((left - x) / cell - 0.5));
      const last = Math.min(columns - 1, Math.floor((right - x) / cell + 0.5));
      const below = Math.min(rows - 1, Math.floor((bottom - y) / cell + 0.5));
      if (first > last) continue;
      for (let row = Math.max(0, Math.floor((top - y) / cell - 0.5)); row <= below; row++) {
        const end = start[row * columns + last + 1]; // the cells of a row follow each other
        for (let k = start[row * columns + first]; k < end; k++) visit(ids[k], cell);
      }
    }
  }
}

// Cells in rows, and the boxes sorted by cell. Where boxes are few and far apart, cells are larger.
function makeLevel(cell, found, ids, boxes) {
  const middle = (i, axis) => (boxes[4 * i + axis] + boxes[4 * i + axis + 2]) / 2;
  let [x, y, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const i of found) {
    [x, right] = [Math.min(x, middle(i, 0)), Math.max(right, middle(i, 0))];
    [y, bottom] = [Math.min(y, middle(i, 1)), Math.max(bottom, middle(i, 1))];
  }
  const across = () => [Math.floor((right - x) / cell) + 1, Math.floor((bottom - y) / cell) + 1];
  let [columns, rows] = across();
  while (columns * rows > 4 * found.length + 64) {
    cell *= 2;
    [columns, rows] = across();
  }
  const home = Int32Array.from(
    found,
    (i) => Math.floor((middle(i, 1) - y) / cell) * columns + Math.floor((middle(i, 0) - x) / cell),
  );
  const { start, arrows: order } = arrowsBy(home, columns * rows);
  return { cell, x, y, columns, rows, start, ids: order.map((k) => ids[found[k]]) };
}
