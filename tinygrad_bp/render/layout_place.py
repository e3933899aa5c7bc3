"""Where the cards of each rank stand across it: near their neighbours, never on one another."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tinygrad_bp.render.layout_grid import Grid, Links

PASSES = 3  # there and back
LOOSE, SLACK = 1.2, 40.0  # how much higher than packed a row may be: a factor, and pixels
LIGHT = 0.001  # how little a leaf of one consumer pulls at it
STRAIGHT = 8.0  # how much more a trunk wants to be straight than an edge between cards


def placed(
    grid: Grid, position: np.ndarray, height: np.ndarray, gap: np.ndarray, light: np.ndarray
) -> np.ndarray:
    """Return the centre of each item across its rank; 0 is the middle of its row.

    ``position``: in the cell, from 0; ``height`` and ``gap``: of each item, and the space it keeps.
    ``light``: it gives way to others.
    """
    order = grid.cells[grid.cell] + position
    arranged = np.empty(len(order), np.int64)
    arranged[order] = np.arange(len(order))
    pile = piled(grid, arranged, height[arranged], gap[arranged], light[arranged])
    y = np.empty(len(order))
    y[arranged] = pile.offset
    columns = range(len(grid.starts) - 1)
    for _ in range(PASSES):
        y = settle(grid, grid.before, y, pile, columns)
        y = settle(grid, grid.after, y, pile, reversed(columns))
    return y


@dataclass(frozen=True)
class Pile:
    """The items of every cell in their order, and where they may go."""

    arranged: np.ndarray  # items, cell after cell
    offset: np.ndarray  # of each, when its cell is packed around 0
    light: np.ndarray  # gives way
    apart: np.ndarray  # added, so that the rows of one column do not mix
    room: np.ndarray  # how far it may be moved from its offset


def piled(
    grid: Grid, arranged: np.ndarray, height: np.ndarray, gap: np.ndarray, light: np.ndarray
) -> Pile:
    """Pack each cell around 0; a row may become a little higher than its highest cell."""
    half = height / 2
    step = np.append(0.0, half[1:] + half[:-1] + (gap[1:] + gap[:-1]) / 2)
    step[grid.cells] = 0.0
    y = np.cumsum(step)
    ends = np.append(grid.cells[1:], len(y)) - 1
    top, bottom = (y - half)[grid.cells], (y + half)[ends]
    highest = np.zeros(int(grid.row.max()) + 1)
    np.maximum.at(highest, grid.row[grid.cells], bottom - top)
    room = (LOOSE * highest[grid.row] + SLACK - (bottom - top)[grid.cell]) / 2
    apart = 4 * (room.max() + highest.max()) * grid.row
    return Pile(arranged, y - ((top + bottom) / 2)[grid.cell], light, apart, room)


def settle(
    grid: Grid, links: Links, start: np.ndarray, pile: Pile, columns: Iterable[int]
) -> np.ndarray:
    """Move each cell towards the mean of its neighbours, column after column."""
    y = start.copy()
    ends = np.append(links.first, len(links.neighbour))
    weight = links.weight / np.add.reduceat(links.weight, links.first).repeat(np.diff(ends))
    starts, edges = grid.starts.tolist(), ends[grid.starts].tolist()
    shift, lowest, highest = (
        pile.apart - pile.offset,
        pile.apart - pile.room,
        pile.apart + pile.room,
    )
    for k in columns:
        a, b = starts[k], starts[k + 1]
        c, d = edges[k], edges[k + 1]
        pull = y[links.neighbour[c:d]] * weight[c:d]
        here = pile.arranged[a:b]
        wanted = np.add.reduceat(pull, links.first[a:b] - c)[here - a]
        allowed = np.minimum(np.maximum(wanted + shift[a:b], lowest[a:b]), highest[a:b])
        y[here] = spread(allowed, pile.light[a:b]) - shift[a:b]
    return y


def spread(wanted: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Make numbers rise; the light ones give way to the others.

    >>> spread(np.array([3.0, 1.0, 5.0]), np.array([False, False, False])).tolist()
    [2.0, 2.0, 5.0]
    >>> spread(np.array([3.0, 1.0, 5.0]), np.array([False, True, False])).tolist()
    [3.0, 3.0, 5.0]
    """
    if not light.any():
        return rising(wanted)
    heavy, give = np.flatnonzero(~light), np.flatnonzero(light)
    firm = np.concatenate([[-np.inf], rising(wanted[heavy]), [np.inf]])
    after = np.searchsorted(heavy, give)
    y = np.empty(len(wanted))
    y[heavy] = firm[1:-1]
    y[give] = np.clip(rising(wanted[give]), firm[after], firm[after + 1])
    return y


def rising(wanted: np.ndarray) -> np.ndarray:
    """Return the mean of the running maximum, and of the running minimum from the other end.

    Both rise, so their mean does.
    """
    least = np.minimum.accumulate(wanted[::-1])[::-1]
    return (np.maximum.accumulate(wanted) + least) / 2
