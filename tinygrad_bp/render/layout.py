"""A layered layout in NumPy: inputs left of their consumers, in time linear in nodes and edges.

Each step has its file: ranks (which column), layers (waypoints for long edges), rows (like text,
where the graph is long), order (few crossings), place (no overlap, straight lines), board (all
together) and route (the curves).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tinygrad_bp.errors import describe
from tinygrad_bp.render.layout_board import MARGIN, Board, board
from tinygrad_bp.render.layout_grid import gridded
from tinygrad_bp.render.layout_layers import Layers, layers
from tinygrad_bp.render.layout_order import ordered
from tinygrad_bp.render.layout_place import LIGHT, STRAIGHT, placed
from tinygrad_bp.render.layout_ranks import ranks, topological
from tinygrad_bp.render.layout_route import Routes, routes
from tinygrad_bp.render.layout_rows import rows
from tinygrad_bp.validate import refuse

GAP = 56.0  # between ranks: room for the curve of an edge and its label
LOOP = 4  # points of an edge from a card to itself


@dataclass(frozen=True)
class Layout:
    """Where everything stands; x to the right and y down, from 0.

    ``points[starts[e]:starts[e + 1]]`` is what is drawn of edge ``e``: a start and three control
    points for each cubic Bézier. Edges from one card share a trunk: edge ``e`` begins at point
    ``branch[e]`` of edge ``owner[e]``; where it has a way of its own, that is 0 and itself.
    """

    centres: np.ndarray  # (n, 2)
    width: float
    height: float
    points: np.ndarray  # (p, 2)
    starts: np.ndarray  # (m + 1,)
    owner: np.ndarray  # (m,)
    branch: np.ndarray  # (m,)
    rank: np.ndarray  # (n,)

    def route(self, edge: int) -> np.ndarray:
        """Return the whole way of an edge, with what it shares with others.

        >>> layout([40, 40], [20, 20], [[0, 1]]).route(0)[[0, -1]].tolist()
        [[60.0, 30.0], [116.0, 30.0]]
        """
        own = self.points[self.starts[edge] : self.starts[edge + 1]]
        begin = self.starts[self.owner[edge]]
        return np.concatenate([self.points[begin : begin + self.branch[edge]], own])


def layout(
    widths: Sequence[float] | np.ndarray,
    heights: Sequence[float] | np.ndarray,
    edges: Sequence[Sequence[int]] | np.ndarray,
    *,
    groups: Sequence[int] | np.ndarray | None = None,
    direction: Literal["LR", "TB"] = "LR",
    gap: float = GAP,
) -> Layout:
    """Lay cards out in ranks and lead every edge around the cards that it does not belong to.

    ``widths``, ``heights``: of the n cards. ``edges``: (m, 2), from input to consumer; parallel
    edges, loops and cycles are allowed. ``groups``: of each card, those of one group stay
    together in their rank; -1 is none. ``gap``: between ranks. Raises `InputError` for shapes
    that do not fit together.

    >>> layout([40, 40, 40], [20, 20, 20], [[0, 2], [1, 2]]).centres.tolist()
    [[40.0, 30.0], [40.0, 68.0], [136.0, 49.0]]
    """
    along, across = _lengths(widths, "widths"), _lengths(heights, "heights")
    count = len(along)
    if len(across) != count:
        refuse("heights", f"{len(across)} lengths", f"as many as there are widths, {count}",
               "Give both for each card.")  # fmt: skip
    pairs = _edges(edges, count)
    group = np.full(count, -1) if groups is None else np.asarray(groups, np.int64)
    if direction not in ("LR", "TB"):
        refuse("direction", repr(direction), "'LR' or 'TB'", "LR reads from left to right.")
    if group.shape != (count,):
        refuse("groups", f"shape {group.shape}", f"one number for each of {count} cards",
               "Use -1 for cards of no group.")  # fmt: skip
    if not count:
        return _empty(len(pairs))
    if direction == "TB":
        return _turned(_lay_out(across, along, pairs, group, gap))
    return _lay_out(along, across, pairs, group, gap)


def _lengths(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not np.isfinite(array).all() or (array < 0).any():
        refuse(name, describe(array), "one finite, non-negative length for each card",
               "Pass a flat array.")  # fmt: skip
    return array


def _edges(edges: Any, count: int) -> np.ndarray:
    pairs = np.asarray(edges) if np.size(edges) else np.empty((0, 2), np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        refuse("edges", f"shape {pairs.shape}", "shape (m, 2)",
               "Give each edge as (input, consumer).")  # fmt: skip
    if pairs.dtype.kind not in "iu":
        refuse("edges", describe(pairs), "whole numbers", "Edges name the positions of cards.")
    if ((pairs < 0) | (pairs >= count)).any():
        refuse("edges", f"a card that is not among {count}", f"numbers from 0 to {count - 1}",
               "Edges name the positions of cards.")  # fmt: skip
    return pairs.astype(np.int64)


def _lay_out(
    width: np.ndarray, height: np.ndarray, pairs: np.ndarray, group: np.ndarray, gap: float
) -> Layout:
    """Lay out from left to right."""
    straight = np.flatnonzero(pairs[:, 0] != pairs[:, 1])
    source, target = pairs[straight].T
    number = topological(len(width), source, target)
    back = number[source] > number[target]
    source, target = np.where(back, target, source), np.where(back, source, target)
    rank = ranks(len(width), source, target, number)
    made = layers(rank, height, source, target, back)
    wide = np.zeros(int(rank.max()) + 1)
    np.maximum.at(wide, rank, width)
    row = rows(made, wide + gap)
    table = board(made, width, wide, row, _stand(made, row, number, group), gap)
    return _finish(table, rank, pairs, straight, back, routes(table, made))


def _stand(made: Layers, row: np.ndarray, number: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the height at which each item stands in its row."""
    waypoints = len(made.rank) - len(number)
    is_wire = np.arange(len(made.rank)) >= len(number)
    weight = np.where(is_wire[made.lower] & is_wire[made.upper], STRAIGHT, 1.0)
    weight[made.alone[made.lower]] = LIGHT
    groups = np.append(group, np.full(waypoints, -1))
    segments = made.lower, made.upper, weight
    grid, slot = gridded(made.rank, row, number[made.origin], groups, segments)
    item = np.argsort(slot)
    height, space, alone = made.height[item], made.space[item], made.alone[item]
    return placed(grid, ordered(grid), height, space, alone)[slot]


def _finish(
    board: Board,
    rank: np.ndarray,
    pairs: np.ndarray,
    straight: np.ndarray,
    back: np.ndarray,
    ways: Routes,
) -> Layout:
    """Number the edges as they were given: add loops, turn round what led back."""
    size = np.full(len(pairs), LOOP)
    size[straight] = np.diff(ways.starts)
    starts = np.append(0, np.cumsum(size))
    points = np.empty((int(size.sum()), 2))
    shift = starts[straight] - ways.starts[:-1]
    points[np.arange(len(ways.points)) + np.repeat(shift, size[straight])] = ways.points
    for edge in straight[back].tolist():
        own = slice(starts[edge], starts[edge + 1])
        points[own] = points[own][::-1].copy()
    owner, branch = np.arange(len(pairs)), np.zeros(len(pairs), np.int64)
    owner[straight], branch[straight] = straight[ways.owner], ways.branch
    loops = np.flatnonzero(pairs[:, 0] == pairs[:, 1])
    points[starts[loops, None] + np.arange(LOOP)] = _loops(board, pairs[loops, 0])
    centres = np.stack([board.x, board.y[: len(rank)]], axis=1)
    corners = centres + np.stack([board.width, board.height[: len(rank)]], axis=1) / 2
    width, height = np.concatenate([corners, points]).max(axis=0) + MARGIN
    return Layout(centres, float(width), float(height), points, starts, owner, branch, rank)


def _loops(board: Board, card: np.ndarray) -> np.ndarray:
    """Lead edges from cards to themselves over their upper right corners."""
    right, top = board.width[card] / 2, board.height[card] / 2
    across = np.stack([right, right + MARGIN, right / 2, right / 2], axis=1)
    down = np.stack([0 * top, 0 * top, -top - MARGIN, -top], axis=1)
    return np.stack([board.x[card, None] + across, board.y[card, None] + down], axis=2)


def _empty(wires: int) -> Layout:
    none = np.empty(0, np.int64)
    points, starts = np.empty((0, 2)), np.zeros(wires + 1, np.int64)
    return Layout(points, 2 * MARGIN, 2 * MARGIN, points, starts, none, none, none)


def _turned(made: Layout) -> Layout:
    """Exchange x and y."""
    return Layout(
        made.centres[:, ::-1].copy(), made.height, made.width, made.points[:, ::-1].copy(),
        made.starts, made.owner, made.branch, made.rank,
    )  # fmt: skip
