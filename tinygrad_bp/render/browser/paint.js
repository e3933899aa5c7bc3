// Drawing on the canvas, in three levels of detail: dots, names, cards. Every colour is a custom
// property of the style sheet, so light and dark are one list each.

// Cards are sized for this font.
const FONT = 'Helvetica, Arial, "Liberation Sans", "DejaVu Sans", sans-serif';
const LEVEL = { names: 0.2, cards: 0.58, labels: 0.72, frames: 0.3 }; // of the scale
const KINDS = ["leaf", "constant", "op", "fold", "backward"];
const CORNER = { leaf: 13, constant: 2, op: 7, fold: 7, backward: 7 };
const STEEPEST = 4; // powers of ten; a gauge is full there
const PAD = 10; // of a card's text; the sizes of cards come from Python
const HEAD = 40; // the first line stands here
const LINE = 14;
const ARROW_BUDGET = 12000; // more at once look like a surface; they are thinned, and it is said

function readPalette() {
  const style = getComputedStyle(document.documentElement);
  return new Proxy(
    {},
    {
      get: (seen, name) => (seen[name] ??= style.getPropertyValue(`--${String(name)}`).trim()),
    },
  );
}

// The colour of a gradient's size relative to the median: blue below, red above, grey around it.
function shadeColour(palette, shade) {
  if (shade === null) return palette["shade-none"];
  if (Math.abs(shade) < 0.5) return palette["shade-0"];
  const step = Math.min(3, Math.ceil(Math.abs(shade) / 1.5));
  return palette[`shade-${shade < 0 ? "less" : "more"}-${step}`];
}

// A badge is a shape, a word and a colour; the shape alone tells how bad it is.
function badgeClass(badge) {
  if (/nan|inf|fail|explod|differ|overflow/i.test(badge)) return "bad";
  if (/vanish|dead|unreached|saturat|imprecise|\bno path\b/i.test(badge)) return "warn";
  return "info";
}
const BADGE_SHAPE = { bad: "◆", warn: "▲", info: "●" };

// Which of the two passes brings a line of a card.
function lineKind(line) {
  if (/^(grad|gradient|∂)/i.test(line)) return "gradient";
  if (/^(val|value|data)\b/i.test(line)) return "value";
  return "fact";
}

class Painter {
  constructor(graph) {
    this.graph = graph;
    this.fitted = new Map();
    this.bad = this.findBad();
    this.usePalette();
  }

  usePalette() {
    this.palette = readPalette();
  }

  // Paints a rectangle of the screen, given in its pixels. `look` says what is emphasised.
  paint(ctx, scene, camera, region, look) {
    const { palette } = this;
    const { scale, x, y } = camera;
    const [left, top] = [(region.left - x) / scale, (region.top - y) / scale];
    const [right, bottom] = [left + region.width / scale, top + region.height / scale];
    ctx.save();
    ctx.beginPath();
    ctx.rect(region.left, region.top, region.width, region.height);
    ctx.clip();
    ctx.fillStyle = palette.canvas;
    ctx.fillRect(region.left, region.top, region.width, region.height);
    ctx.translate(x, y);
    ctx.scale(scale, scale);
    const level = scale >= LEVEL.cards ? "cards" : scale >= LEVEL.names ? "names" : "dots";
    const arrows = [];
    scene.nearArrows.search(left, top, right, bottom, (arrow, cell) => {
      if (cell * scale > 2) arrows.push(arrow);
    });
    const items = [];
    scene.nearItems.search(left, top, right, bottom, (item) => items.push(item));
    items.sort((a, b) => a - b);
    if (scale >= LEVEL.frames) this.paintFrames(ctx, scene, scale);
    this.paintArrows(ctx, scene, arrows, scale, level, look, region);
    if (level === "dots") this.paintDots(ctx, scene, items, scale, look);
    else for (const item of items) this.paintCard(ctx, scene, item, scale, level, look);
    ctx.restore();
  }

  paintFrames(ctx, scene, scale) {
    const { palette, graph } = this;
    const size = 10.5;
    ctx.font = `600 ${size}px ${FONT}`;
    ctx.lineWidth = Math.max(1, 0.8 / scale);
    for (const { fold, left, top, right, bottom } of scene.frames) {
      ctx.strokeStyle = palette["border-fold"];
      ctx.fillStyle = palette.frame;
      ctx.beginPath();
      ctx.roundRect(left, top, right - left, bottom - top, 12);
      ctx.fill();
      ctx.setLineDash([2, 4]);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.fillStyle = palette["text-fold"];
      ctx.fillText(
        this.fit(ctx, `⊟ ${graph.title(fold)}`, right - left - 16),
        left + 8,
        top + 11.5,
      );
    }
  }

  // ---------------------------------------------------------------- arrows

  paintArrows(ctx, scene, arrows, scale, level, look, region) {
    if (region.whole) {
      scene.thinning = level === "dots" ? Math.ceil(arrows.length / ARROW_BUDGET) : 1;
    }
    const styles = new Map();
    for (const arrow of arrows) {
      const style = this.arrowStyle(scene, arrow, scale, level, look);
      if (style.order === 0 && arrow % scene.thinning) continue;
      if (!styles.has(style.key)) styles.set(style.key, { ...style, arrows: [] });
      styles.get(style.key).arrows.push(arrow);
    }
    for (const style of [...styles.values()].sort((a, b) => a.order - b.order)) {
      ctx.strokeStyle = ctx.fillStyle = style.colour;
      ctx.lineWidth = style.width;
      ctx.setLineDash(style.dash);
      for (let from = 0; from < style.arrows.length; from += 500) {
        // short paths rasterise faster
        ctx.beginPath();
        for (const arrow of style.arrows.slice(from, from + 500))
          tracePath(ctx, scene, arrow, level);
        ctx.stroke();
      }
      ctx.setLineDash([]);
      if (level === "dots") continue;
      for (const arrow of style.arrows) paintHead(ctx, scene, arrow, style.width, style.back);
    }
    if (scale >= LEVEL.labels)
      for (const arrow of arrows) this.paintArrowLabel(ctx, scene, arrow, look);
  }

  arrowStyle(scene, arrow, scale, level, look) {
    const { graph, palette } = this;
    const [s, t] = [scene.source[arrow], scene.target[arrow]];
    const first = scene.arrow[arrow];
    const hair = 1 / scale;
    const share = scene.count[arrow] === 1 ? graph.share(first) : null;
    const width = level === "dots" ? hair : Math.max(hair, 1 + 1.8 * (share ?? 0));
    const dashed = scene.isDashed(arrow) ? [5, 5] : [];
    const style = (name, order, wide = width, dash = dashed) => ({
      key: `${name} ${wide} ${dash}`,
      colour: palette[name],
      width: wide,
      dash,
      order,
      back: /backward|gradient-done/.test(name),
    });
    const played = look.play?.arrow(s, t);
    if (played)
      return style(
        `arrow-${played}`,
        played === "ahead" ? 0 : 2,
        played === "ahead" ? width : Math.max(width, 2.2 * hair),
      );
    if (look.paths) {
      if (look.paths[s] && look.paths[t] && !scene.isGradient(arrow))
        return style("path", 3, Math.max(width, 2.5 * hair));
      if (look.needs[s] && (look.needs[t] || look.start[t]) && !scene.isGradient(arrow)) {
        return style("needs", 2, Math.max(width, 2 * hair), [2 * hair, 3 * hair]);
      }
      return style("arrow-dim", 0);
    }
    if (scene.isMarked(arrow)) return style("path", 3, Math.max(width, 3, 2.5 * hair));
    return style(
      scene.isGradient(arrow) ? "arrow-gradient" : level === "dots" ? "arrow-far" : "arrow",
      0,
    );
  }

  paintArrowLabel(ctx, scene, arrow, look) {
    const { graph, palette } = this;
    const moving = look.play?.isMoving(arrow);
    scene.labelled ??= labelled(scene); // only when someone is near enough to read
    if (!scene.labelled[arrow] && !moving) return;
    const [s, t] = [scene.source[arrow], scene.target[arrow]];
    if (
      look.paths &&
      !(look.paths[s] && look.paths[t]) &&
      !(look.needs[s] && (look.needs[t] || look.start[t]))
    )
      return;
    const many = scene.count[arrow];
    const label =
      many > 1 ? `×${many}` : graph.arrowLabel(scene.arrow[arrow]).replace(/^gain /, "≈ ");
    if (!label || (look.play && !look.play.showsLabel(s, t))) return;
    const [x, y] = pointAt(scene, arrow, 0.5);
    const [first, last] = [2 * scene.starts[arrow], 2 * scene.starts[arrow + 1] - 2];
    ctx.font = `10.5px ${FONT}`;
    const text = this.fit(
      ctx,
      label,
      Math.max(48, Math.abs(scene.points[last] - scene.points[first]) - 12),
    );
    ctx.textAlign = "center";
    ctx.lineWidth = 3;
    ctx.lineJoin = "round";
    ctx.strokeStyle = palette.canvas;
    ctx.strokeText(text, x, y - 5);
    ctx.fillStyle = palette[moving ? "text" : "text-soft"];
    ctx.fillText(text, x, y - 5);
    ctx.textAlign = "left";
  }

  // ---------------------------------------------------------------- items

  paintDots(ctx, scene, items, scale, look) {
    const { graph } = this;
    const buckets = new Map();
    for (const item of items) {
      const colour = this.dotColour(item, look);
      if (!buckets.has(colour)) buckets.set(colour, []);
      buckets.get(colour).push(item);
    }
    for (const [colour, bucket] of buckets) {
      ctx.fillStyle = colour;
      for (const item of bucket) {
        const width = Math.max(graph.width[item], 1.5 / scale);
        const height = Math.max(graph.height[item], 1.5 / scale);
        ctx.fillRect(scene.x[item] - width / 2, scene.y[item] - height / 2, width, height);
      }
      if (!look.play && !look.paths) this.paintHalves(ctx, scene, bucket, scale);
    }
    for (const item of items) {
      if (item === look.selected || look.matches?.[item])
        this.paintRing(ctx, scene, item, scale, look);
      if (this.bad[item]) this.paintAlarm(ctx, scene.x[item], scene.y[item], scale);
    }
  }

  // As the gauge of a card: the left half is full for a small gradient, the right for a large one.
  paintHalves(ctx, scene, bucket, scale) {
    const { graph, palette } = this;
    const colour = ctx.fillStyle;
    ctx.fillStyle = palette.canvas;
    ctx.globalAlpha = 0.55;
    for (const item of bucket) {
      const [shade, width, height] = [graph.shade(item), graph.width[item], graph.height[item]];
      if (shade === null || Math.abs(shade) < 0.5 || height * scale < 5) continue;
      const left = scene.x[item] - (shade > 0 ? width / 2 : 0);
      ctx.fillRect(left, scene.y[item] - height / 2, width / 2, height);
    }
    ctx.globalAlpha = 1;
    ctx.fillStyle = colour;
  }

  dotColour(item, look) {
    const { palette } = this;
    if (look.play) {
      const state = look.play.state(item);
      return palette[state === "ahead" ? "dot-dim" : `dot-${state}`];
    }
    if (look.paths) {
      return palette[
        item === look.selected || look.paths[item] ? "path" : look.needs[item] ? "needs" : "dot-dim"
      ];
    }
    const shade = this.graph.shade(item);
    return shade === null || Math.abs(shade) < 0.5
      ? palette[`dot-${KINDS[this.graph.kind[item]]}`]
      : shadeColour(palette, shade);
  }

  // The worst ones are seen from afar; a fold is as bad as the worst inside.
  findBad() {
    const { graph } = this;
    const bad = new Uint8Array(graph.size);
    for (const item of [...graph.worst.slice(0, 30), ...graph.folds]) {
      const [badge] = graph.badges(item);
      bad[item] = badge && badgeClass(badge) === "bad" ? 1 : 0;
    }
    return bad;
  }

  paintAlarm(ctx, x, y, scale) {
    ctx.fillStyle = this.palette.bad;
    const r = 6 / scale;
    ctx.beginPath();
    ctx.moveTo(x, y - r);
    ctx.lineTo(x + r, y);
    ctx.lineTo(x, y + r);
    ctx.lineTo(x - r, y);
    ctx.fill();
  }

  paintRing(ctx, scene, item, scale, look) {
    const { graph, palette } = this;
    const gap = 4 / scale;
    const [w, h] = [
      Math.max(graph.width[item], 8 / scale),
      Math.max(graph.height[item], 8 / scale),
    ];
    ctx.strokeStyle = item === look.selected ? palette.accent : palette.match;
    ctx.lineWidth = 2.5 / scale;
    ctx.setLineDash(item === look.selected ? [] : [4 / scale, 3 / scale]);
    ctx.beginPath();
    ctx.roundRect(
      scene.x[item] - w / 2 - gap,
      scene.y[item] - h / 2 - gap,
      w + 2 * gap,
      h + 2 * gap,
      10,
    );
    ctx.stroke();
    ctx.setLineDash([]);
  }

  paintCard(ctx, scene, item, scale, level, look) {
    const { graph, palette } = this;
    const [w, h] = [graph.width[item], graph.height[item]];
    const [x, y] = [scene.x[item] - w / 2, scene.y[item] - h / 2];
    const kind = KINDS[graph.kind[item]];
    const state = look.play?.state(item);
    const dimmed = state
      ? state === "ahead"
      : look.paths && !look.paths[item] && !look.needs[item] && item !== look.selected;
    if (dimmed) {
      // what lies below must not shine through
      ctx.fillStyle = palette.canvas;
      ctx.fillRect(x, y, w, h);
    }
    ctx.globalAlpha = dimmed ? 0.4 : 1;
    if (kind === "fold") this.paintSheets(ctx, x, y, w, h, scale);
    this.paintBox(ctx, x, y, w, h, { kind, state, item, look, scale });
    if (level === "cards") this.paintFace(ctx, item, x, y, w, h, look);
    else this.paintName(ctx, item, x, y, w, h, scale, look);
    ctx.globalAlpha = 1;
    if (item === look.selected || look.matches?.[item])
      this.paintRing(ctx, scene, item, scale, look);
    if (level === "names" && this.bad[item]) this.paintAlarm(ctx, x + w, y, scale);
  }

  paintSheets(ctx, x, y, w, h, scale) {
    // what is folded lies under the card
    const { palette } = this;
    ctx.fillStyle = palette["card-fold"];
    ctx.strokeStyle = palette["border-fold"];
    ctx.lineWidth = Math.max(1, 1 / scale);
    for (const step of [6, 3]) {
      ctx.beginPath();
      ctx.roundRect(x + step, y + step, w, h, 8);
      ctx.fill();
      ctx.stroke();
    }
  }

  paintBox(ctx, x, y, w, h, { kind, state, item, look, scale }) {
    const { palette } = this;
    const role =
      state === "now"
        ? "now"
        : look.paths?.[item] && item !== look.selected
          ? "path"
          : look.needs?.[item]
            ? "needs"
            : null;
    ctx.fillStyle = palette[`card-${kind}`];
    ctx.strokeStyle = role ? palette[role] : palette[`border-${kind}`];
    ctx.lineWidth = Math.max(role ? 2.2 : 1, (role ? 1.6 : 0.8) / scale);
    ctx.setLineDash(kind === "constant" ? [4, 3] : []);
    ctx.beginPath();
    ctx.roundRect(x, y, w, h, Math.min(h / 2, CORNER[kind]));
    ctx.fill();
    ctx.stroke();
    ctx.setLineDash([]);
  }

  // What is legible at this scale: the title, then the value, then the gradient, if there is room.
  paintName(ctx, item, x, y, w, h, scale, look) {
    const { graph, palette } = this;
    const size = Math.min(h * 0.62, Math.max(13, 11.5 / scale));
    const small = size * 0.92;
    const lines = graph.lines(item).filter((line) => {
      const kind = lineKind(line);
      return kind !== "fact" && (!look.play || look.play.has(item, kind));
    });
    const most = w * scale > 70 ? Math.floor((h - 6 - size * 1.3) / (small * 1.25)) : 0;
    if (look.play?.phase === "backward") lines.reverse();
    const shown = lines.slice(0, Math.max(0, most));
    let at = y + (h - size * 1.3 - shown.length * small * 1.25) / 2 + size;
    ctx.textAlign = "center";
    ctx.font = `600 ${size}px ${FONT}`;
    ctx.fillStyle = palette.text;
    const [symbol, title] = [graph.symbol(item), graph.title(item)];
    const whole = symbol && ctx.measureText(title).width > w - 12 ? symbol : title;
    ctx.fillText(this.fit(ctx, whole, w - 10), x + w / 2, at);
    ctx.font = `${small}px ${FONT}`;
    for (const line of shown) {
      at += small * 1.25;
      ctx.fillStyle = palette[`text-${lineKind(line)}`];
      ctx.fillText(this.fit(ctx, line.replace(/^\S+\s/, ""), w - 10), x + w / 2, at);
    }
    ctx.textAlign = "left";
  }

  paintFace(ctx, item, x, y, w, h, look) {
    const { graph, palette } = this;
    const symbol = graph.symbol(item);
    let room = w - 2 * PAD;
    if (symbol) {
      ctx.font = `600 12.5px ${FONT}`;
      const text = this.fit(ctx, symbol, room / 2);
      const width = Math.max(18, ctx.measureText(text).width + 8);
      const left = x + w - PAD - width + 4;
      ctx.fillStyle = palette[`symbol-${KINDS[graph.kind[item]]}`];
      ctx.beginPath();
      ctx.roundRect(left, y + 4.5, width, 17, 8.5);
      ctx.fill();
      ctx.fillStyle = palette.text;
      ctx.textAlign = "center";
      ctx.fillText(text, left + width / 2, y + 17.3);
      ctx.textAlign = "left";
      room = left - x - PAD - 3;
    }
    ctx.font = `600 12px ${FONT}`;
    ctx.fillStyle = palette.text;
    ctx.fillText(this.fit(ctx, graph.title(item), room + 1), x + PAD, y + 17);
    const shade = graph.shade(item);
    if (shade !== null && (!look.play || look.play.has(item, "gradient")))
      this.paintGauge(ctx, x + w / 2, y + 25, w / 2 - PAD, shade);
    this.paintLines(ctx, item, x + PAD, y + HEAD, w - 2 * PAD, look);
    const badges = graph.badges(item);
    if (badges.length) this.paintBadges(ctx, badges, x + PAD - 2, y + h - 22, w - 2 * PAD + 4);
  }

  paintLines(ctx, item, x, at, room, look) {
    const { graph, palette } = this;
    ctx.font = `11px ${FONT}`;
    for (const line of graph.lines(item)) {
      const kind = lineKind(line);
      const arrived = !look.play || kind === "fact" || look.play.has(item, kind);
      ctx.fillStyle = palette[kind === "fact" ? "text-soft" : `text-${kind}`];
      ctx.fillText(this.fit(ctx, arrived ? line : `${line.split(" ")[0]} …`, room + 1), x, at);
      at += LINE;
    }
  }

  paintBadges(ctx, badges, x, y, room) {
    const { palette } = this;
    ctx.font = `600 10px ${FONT}`;
    let left = x;
    for (const badge of badges) {
      const kind = badgeClass(badge);
      const text = this.fit(ctx, `${BADGE_SHAPE[kind]} ${badge}`, room - (left - x) - 12);
      const width = ctx.measureText(text).width + 12;
      if (left + width > x + room + 1 || text.length < 4) break;
      ctx.fillStyle = palette[`${kind}-soft`];
      ctx.beginPath();
      ctx.roundRect(left, y, width, 16, 8);
      ctx.fill();
      ctx.fillStyle = palette[`${kind}-text`];
      ctx.fillText(text, left + 6, y + 11.6);
      left += width + 4;
    }
  }

  // A bar to the left: smaller than the graph's median gradient; to the right: larger.
  paintGauge(ctx, centre, middle, half, shade) {
    const { palette } = this;
    ctx.fillStyle = palette["shade-none"];
    ctx.fillRect(centre - half, middle - 1, 2 * half, 2);
    ctx.fillStyle = shadeColour(palette, shade);
    const length = Math.max(-1, Math.min(1, shade / STEEPEST)) * half;
    ctx.fillRect(Math.min(centre, centre + length), middle - 2, Math.abs(length), 4);
    ctx.fillStyle = palette["text-soft"];
    ctx.fillRect(centre - 0.5, middle - 3.5, 1, 7);
  }

  // The longest beginning of a text that fits, remembered: the same texts are drawn over and over.
  fit(ctx, text, room) {
    const key = `${ctx.font}|${Math.round(room)}|${text}`;
    let found = this.fitted.get(key);
    if (found !== undefined) return found;
    if (this.fitted.size > 20000) this.fitted.clear();
    const letters = text.length > 200 ? [...text.slice(0, 200)] : [...text];
    let [low, high] = [0, letters.length];
    if (ctx.measureText(text).width <= room) low = high;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (ctx.measureText(`${letters.slice(0, middle).join("")}…`).width <= room) low = middle;
      else high = middle - 1;
    }
    found = low === letters.length ? text : `${letters.slice(0, low).join("")}…`;
    this.fitted.set(key, found);
    return found;
  }
}

function tracePath(ctx, { starts, points }, arrow, level) {
  const [from, to] = [2 * starts[arrow], 2 * starts[arrow + 1] - 2];
  ctx.moveTo(points[from], points[from + 1]);
  for (let i = from + 2; i < to; i += 6) {
    if (level === "dots") ctx.lineTo(points[i + 4], points[i + 5]);
    else
      ctx.bezierCurveTo(
        points[i],
        points[i + 1],
        points[i + 2],
        points[i + 3],
        points[i + 4],
        points[i + 5],
      );
  }
}

// The head points the way the arrow arrives; a gradient arrives at the start.
function paintHead(ctx, { starts, points }, arrow, width, back) {
  const end = back ? 2 * starts[arrow] : 2 * starts[arrow + 1] - 2;
  const before = back ? end + 2 : end - 2;
  const [x, y] = [points[end], points[end + 1]];
  const half = 3 + width * 0.6;
  let [dx, dy] = [x - points[before], y - points[before + 1]];
  const length = Math.hypot(dx, dy) || 1;
  [dx, dy] = [dx / length, dy / length];
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(x - 2.2 * half * dx - half * dy, y - 2.2 * half * dy + half * dx);
  ctx.lineTo(x - 2.2 * half * dx + half * dy, y - 2.2 * half * dy - half * dx);
  ctx.fill();
}
