"""Arrows, as SVG: short paths, grouped by how they look, and their labels."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from tinygrad_bp.render.picture import Arrow
from tinygrad_bp.render.svg_text import fit, width, xml

LABEL = 9.5  # size of text
HEAD = 7  # length of an arrowhead
THIN, WIDE = 1.0, 2.8  # share 0 and 1 of the gradient
STEPS = 5  # widths that the eye tells apart
ONE_LINE, TWO_LINES = 10.0, 24.0  # space between arrows for one label, or for two


def label_width(arrows: Sequence[Arrow]) -> float:
    """Return the width of the longest label."""
    return max((width(arrow.label, LABEL) for arrow in arrows), default=0.0)


def draw_arrows(
    arrows: Sequence[Arrow], ways: Sequence[np.ndarray], names: Sequence[str], down: bool
) -> str:
    """Draw arrows along their ways; ``names`` are tooltips, or empty."""
    groups: dict[str, list[str]] = {}
    for arrow, way, name in zip(arrows, ways, names, strict=True):
        title = f"<title>{xml(name)}</title></path>" if name else ""
        drawn = f'<path d="{path(way, down)}"' + (f">{title}" if title else "/>")
        groups.setdefault(_look(arrow), []).append(drawn)
    return "".join(f"<g {look}>{''.join(groups[look])}</g>" for look in sorted(groups))


def _look(arrow: Arrow) -> str:
    if arrow.marked:
        return 'class="p"'
    if arrow.gradient or arrow.dashed:
        return f'class="{"g" if arrow.gradient else "d"}"'
    share = 0.0 if arrow.share is None else min(max(arrow.share, 0.0), 1.0)
    stroke = THIN + (WIDE - THIN) * round(share * STEPS) / STEPS
    return f'class="a" stroke-width="{stroke:.2g}"'


def path(way: np.ndarray, down: bool) -> str:
    """Write a way of Béziers as path data, in whole pixels and steps from point to point.

    >>> path(np.array([[0, 0], [20, 0], [40, 0], [60, 0.2]]), down=False)
    'M0 0h53'
    """
    points = np.rint(way).astype(int).tolist()
    _leave_room_for_the_head(points, 1 if down else 0)
    x, y = points[0]
    parts = [f"M{x} {y}"]
    for a, b, (u, v) in zip(points[1::3], points[2::3], points[3::3], strict=True):
        if y == a[1] == b[1] == v:
            parts.append(f"h{u - x}" if u != x else "")
        elif x == a[0] == b[0] == u:
            parts.append(f"v{v - y}")
        else:
            steps = (a[0] - x, a[1] - y, b[0] - x, b[1] - y, u - x, v - y)
            parts.append("c" + " ".join(map(str, steps)))
        x, y = u, v
    return "".join(parts)


def _leave_room_for_the_head(points: list[list[int]], end: int) -> None:
    """Shorten a way by the head, also where the last bit of it is shorter than that.

    An arrow comes from the right only in a gradient that is drawn beside its graph.
    """
    last = points[-1][end]
    if len(points) > 4 and abs(last - points[-4][end]) <= HEAD:
        del points[-4:-1]
    if points[-2][end] > last:
        points[-1][end] = last + HEAD
        points[-2][end] = max(points[-2][end], last + HEAD)
    else:
        points[-1][end] = last - HEAD
        points[-2][end] = min(points[-2][end], last - HEAD)


def draw_labels(
    arrows: Sequence[Arrow],
    ways: Sequence[np.ndarray],
    middles: Mapping[int, float],
    room: float,
    down: bool,
) -> str:
    """Write the labels beside the heads of their arrows, where there is room for them.

    ``middles``: of each card, across the arrows. A label stands where its arrow does not come
    from; where arrows are close to each other, on the outer side.
    """
    across = 0 if down else 1
    ends: dict[int, list[float]] = {}
    for arrow, way in zip(arrows, ways, strict=True):
        if arrow.label:
            ends.setdefault(arrow.target, []).append(float(way[-1][across]))
    apart = {target: _apart(at) for target, at in ends.items()}
    parts = []
    for arrow, way in zip(arrows, ways, strict=True):
        if not arrow.label or _crowded(ends[arrow.target], apart[arrow.target], down):
            continue
        after = bool(way[-1][across] > middles[arrow.target] + 1)
        if apart[arrow.target] > TWO_LINES and not down:
            after = _from_above(way[:, 1])
        place = _place(way[-1], after, down)
        parts.append(f"<text {place}>{xml(fit(arrow.label, room, LABEL))}</text>")
    return f'<g class="n">{"".join(parts)}</g>' if parts else ""


def _apart(ends: list[float]) -> float:
    ends.sort()
    return min((b - a for a, b in pairwise(ends)), default=100.0)


def _crowded(ends: list[float], apart: float, down: bool) -> bool:
    """Tell whether labels would cover each other."""
    return len(ends) > 2 if down else apart < ONE_LINE


def _from_above(ys: np.ndarray) -> bool:
    """Tell on which side an arrow was before it reached the height of its end."""
    elsewhere = np.flatnonzero(np.abs(ys - ys[-1]) > 2)
    return bool(len(elsewhere)) and bool(ys[elsewhere[-1]] < ys[-1])


def _place(end: np.ndarray, after: bool, down: bool) -> str:
    x, y = np.rint(end).astype(int).tolist()
    if not down:
        return f'x="{x - 9}" y="{y + 10 if after else y - 4}"'
    side = ' class="v"' if after else ""
    return f'x="{x + 6 if after else x - 6}" y="{y - 9}"{side}'
