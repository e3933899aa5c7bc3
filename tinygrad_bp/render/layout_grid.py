"""Where items stand in the grid of ranks and rows, and which are neighbours."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Links:
    """The neighbours of every item on one side; an item without any looks to the other side."""

    first: np.ndarray  # of each item, in `neighbour`
    neighbour: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Grid:
    """Items numbered by column, then by row: those of one rank, a cell, are next to each other."""

    starts: np.ndarray  # of each column
    cells: np.ndarray  # where each cell starts
    cell: np.ndarray  # of each item
    row: np.ndarray  # of each item
    rank: np.ndarray  # of each item
    group: np.ndarray  # of each item; those of one group stay together
    lower: np.ndarray  # of each segment
    upper: np.ndarray
    before: Links
    after: Links

    def centred(self) -> np.ndarray:
        """Positions 0, 1, 2, … in each cell, less their mean."""
        size = np.diff(self.cells, append=len(self.cell))[self.cell]
        return np.arange(len(self.cell)) - self.cells[self.cell] - (size - 1) / 2


def gridded(
    rank: np.ndarray,
    row: np.ndarray,
    start: np.ndarray,
    group: np.ndarray,
    segments: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[Grid, np.ndarray]:
    """Arrange items by cell, at first as in `start`; return the grid and each item's number there.

    ``row``: of each rank; ``segments``: their lower items, upper items and weights.
    """
    column = np.arange(len(row)) - np.searchsorted(row, row)
    order = np.lexsort((start, row[rank], column[rank]))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    rank = rank[order]
    begins = np.flatnonzero(np.diff(rank, prepend=-1) != 0)
    cell = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(rank)))
    lower, upper, weight = number[segments[0]], number[segments[1]], segments[2]
    starts = np.flatnonzero(np.diff(column[rank], prepend=-1, append=-1) != 0)
    return Grid(
        starts, begins, cell, row[rank], rank, group[order], lower, upper,
        linked(len(rank), upper, lower, weight), linked(len(rank), lower, upper, weight),
    ), number  # fmt: skip


def linked(count: int, item: np.ndarray, neighbour: np.ndarray, weight: np.ndarray) -> Links:
    """Group neighbours by item, so that every item has one: the other side's, or itself."""
    items, neighbours, weights = [item], [neighbour], [weight]
    has = np.zeros(count, bool)
    has[item] = True
    other = ~has[neighbour]
    items, neighbours = [*items, neighbour[other]], [*neighbours, item[other]]
    has[neighbour] = True
    lonely = np.flatnonzero(~has)
    item = np.concatenate([*items, lonely])
    order = np.argsort(item, kind="stable")
    weight = np.concatenate([*weights, weight[other], np.ones(len(lonely))])
    first = np.searchsorted(item[order], np.arange(count))
    return Links(first, np.concatenate([*neighbours, lonely])[order], weight[order])
