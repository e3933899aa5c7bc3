"""The way of every edge: cubic Béziers through the free space between cards."""

from dataclasses import dataclass

import numpy as np

from tinygrad_bp.render.layout_board import TRACK, Board
from tinygrad_bp.render.layout_layers import Layers

PORT = 26.0  # between arrows that end at one card, where there is room
RADIUS = 8.0  # of the corners of such wires
DETOUR = 3 * 13  # points: seven lines and six corners, three for each


@dataclass(frozen=True)
class Pieces:
    """Segments of all edges, in order: what is drawn of an edge that shares a trunk, once."""

    edge: np.ndarray  # of each segment
    step: np.ndarray  # its position in its edge
    start: np.ndarray  # item
    end: np.ndarray  # item
    owner: np.ndarray  # of each edge: the edge that it branches off from, or itself
    begins: np.ndarray  # of each edge: its first segment


def pieces(made: Layers) -> Pieces:
    """Give each trunk to the edge that goes farthest; the others begin where they leave it."""
    wires = np.arange(len(made.source))
    by_trunk = np.lexsort((wires, -made.last, made.trunk))
    trunk = made.trunk[by_trunk]
    begins = np.flatnonzero(np.diff(trunk, prepend=-2) != 0)
    leader = np.empty(len(made.source), np.int64)
    leader[by_trunk] = np.repeat(by_trunk[begins], np.diff(begins, append=len(trunk)))
    on_trunk = (made.trunk >= 0) & (made.last >= made.trunk)
    owner = np.where(on_trunk, leader, wires)
    owns = on_trunk & (owner == wires)
    count = np.where(owns, made.last - made.trunk + 2, 1)
    edge = np.repeat(wires, count)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    start = np.where(owns[edge], made.trunk[edge] + step - 1, made.last[edge])
    start = np.where((step == 0) & (owns[edge] | (start < 0)), made.source[edge], start)
    end = np.where(step == count[edge] - 1, made.target[edge], made.trunk[edge] + step)
    return Pieces(edge, step, start, end, owner, np.flatnonzero(step == 0))


@dataclass(frozen=True)
class Routes:
    """The ways of all edges; `Layout` says what each part means."""

    points: np.ndarray
    starts: np.ndarray
    owner: np.ndarray
    branch: np.ndarray


def ports(board: Board, came_from: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Spread the arrows that end at one card over its left side, in the order they come."""
    order = np.lexsort((np.arange(len(target)), came_from, target))
    arrivals = np.bincount(target, minlength=len(board.x))
    first = np.cumsum(arrivals) - arrivals
    place = np.empty(len(target))
    place[order] = np.arange(len(target)) - first[target[order]]
    number = arrivals[target]
    room = 0.7 * board.height[target]
    step = np.minimum(PORT, room / np.maximum(number - 1, 1))
    return board.y[target] + (place - (number - 1) / 2) * step


def routes(board: Board, made: Layers) -> Routes:
    """Draw every edge from where it leaves its card, or its trunk, to where it arrives.

    A segment is a curve through the gap between two ranks, or a detour around the rows; before
    and after it, where its card is narrower than the rank, it runs straight to the gap.
    """
    parts = pieces(made)
    begin, finish = _ends(board, made, parts)
    leave, arrive = begin.copy(), finish.copy()
    leave[:, 0], arrive[:, 0] = board.right[parts.start], board.left[parts.end]
    lane = made.rank[parts.end] - made.rank[parts.start] > 1
    detour = lane | (board.row[parts.start] != board.row[parts.end])
    before = ((leave - begin)[:, 0] > 0.5) | ((parts.step > 0) & (parts.start >= len(board.x)))
    after = ~detour & ((finish - arrive)[:, 0] > 0.5)
    opens = parts.step == 0
    size = opens + 3 * before + np.where(detour, DETOUR, 3) + 3 * after
    stop = np.cumsum(size)
    begins, turns = stop - size, stop - 3 * after
    points = np.empty((int(size.sum()), 2))
    points[begins[opens]] = begin[opens]
    _line(points, begin[before], leave[before], (begins + opens)[before])
    _curve(points, leave[~detour], arrive[~detour], turns[~detour] - 3)
    _line(points, arrive[after], finish[after], turns[after])
    corners = _detours(board, parts, np.flatnonzero(detour), lane, leave, finish)
    points[turns[detour, None] - DETOUR + np.arange(DETOUR)] = rounded(corners)
    starts = np.append(begins[opens], stop[-1:])
    return Routes(points, starts, parts.owner, _branches(made, parts, begins, starts))


def _branches(made: Layers, parts: Pieces, begins: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Count the points of each edge's trunk that come before its own: two of a line's three."""
    shares = np.flatnonzero(parts.owner != np.arange(len(parts.owner)))
    owner = parts.owner[shares]
    segment = parts.begins[owner] + (made.last - made.trunk)[shares] + 1
    branch = np.zeros(len(parts.owner), np.int64)
    branch[shares] = begins[segment] + 2 - starts[owner]
    return branch


def _ends(board: Board, made: Layers, parts: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """Return where each segment begins and ends: at the side of a card, or of a rank."""
    cards = len(board.x)
    came_from = board.y[np.where(made.last < 0, made.source, made.last)]
    port = ports(board, came_from, made.target)[parts.edge]
    half = np.append(board.width / 2, np.zeros(len(board.y) - cards))
    x = np.append(board.x, np.zeros(len(board.y) - cards))
    is_card = np.arange(len(board.y)) < cards
    right, left = np.where(is_card, [x + half, x - half], [board.right, board.left])
    crosses = (parts.step > 0) & ~is_card[parts.start]  # a trunk goes on through the rank
    leave = np.where(crosses, board.left[parts.start], right[parts.start])
    arrive = np.where(is_card[parts.end], port, board.y[parts.end])
    begin = np.stack([leave, board.y[parts.start]], axis=1)
    return begin, np.stack([left[parts.end], arrive], axis=1)


def _line(points: np.ndarray, begin: np.ndarray, finish: np.ndarray, at: np.ndarray) -> None:
    """Go straight."""
    for i, part in enumerate((1 / 3, 2 / 3, 1.0)):
        points[at + i] = begin + part * (finish - begin)


def _curve(points: np.ndarray, begin: np.ndarray, finish: np.ndarray, at: np.ndarray) -> None:
    """Leave and arrive horizontally, turning in between."""
    middle = (begin[:, 0] + finish[:, 0]) / 2
    points[at] = np.stack([middle, begin[:, 1]], axis=1)
    points[at + 1] = np.stack([middle, finish[:, 1]], axis=1)
    points[at + 2] = finish


def _detours(
    board: Board,
    parts: Pieces,
    chosen: np.ndarray,
    apart: np.ndarray,
    begin: np.ndarray,
    finish: np.ndarray,
) -> np.ndarray:
    """Lead wires around the cards: to the next row, or along a lane above the rows."""
    start, end = parts.start[chosen], parts.end[chosen]
    row, next_row = board.row[start], board.row[end]
    begin, finish, lane = begin[chosen], finish[chosen], apart[chosen]
    bus = TRACK * board.bus[start]
    inner = TRACK * (board.tracks[row] - 1 - board.track[start])
    out = np.where(lane, board.right[start] + board.gap / 2, board.end[row] + inner)
    level = np.where(lane, board.lane[row] - bus, board.channel[row] + inner)
    left = board.margin - TRACK * board.track[start]
    into = np.where(lane, board.left[end] - board.gap / 2, left)
    around = lane & (row != next_row)  # along the left margin; else that corner is on the way
    back = np.where(around, board.far - bus, (out + into) / 2)
    again = np.where(around, board.lane[next_row] - bus, level)
    xs = (begin[:, 0], out, out, back, back, into, into, finish[:, 0])
    ys = (begin[:, 1], begin[:, 1], level, level, again, again, finish[:, 1], finish[:, 1])
    return np.stack([np.stack(xs, axis=1), np.stack(ys, axis=1)], axis=2)


def rounded(corners: np.ndarray) -> np.ndarray:
    """Turn polylines, of shape (wires, corners, 2), into Béziers with round corners."""
    step = np.diff(corners, axis=1)
    length = np.abs(step).sum(axis=2, keepdims=True)
    radius = np.minimum(RADIUS, np.minimum(length[:, :-1], length[:, 1:]) / 2)
    unit = step / np.maximum(length, 1e-9)
    corner = corners[:, 1:-1]
    enter, leave = corner - radius * unit[:, :-1], corner + radius * unit[:, 1:]
    begins = np.concatenate([corners[:, :1], leave], axis=1)
    ends = np.concatenate([enter, corners[:, -1:]], axis=1)
    lines = np.stack([begins + (ends - begins) / 3, begins + 2 * (ends - begins) / 3, ends], axis=2)
    turns = np.stack([(enter + 2 * corner) / 3, (leave + 2 * corner) / 3, leave], axis=2)
    both = np.concatenate([lines[:, :-1], turns], axis=2)
    both = both.reshape(len(corners), 6 * turns.shape[1], 2)
    return np.concatenate([both, lines[:, -1]], axis=1)
