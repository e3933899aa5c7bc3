"""The order of cards within their rank: few edges cross, and the same in every process.

Ranks that stand at the same place of their rows are sorted together, so that a sweep takes as
many steps as a row has ranks, however deep the graph.
"""

from collections.abc import Iterable

import numpy as np

from tinygrad_bp.render.layout_grid import Grid, Links
from tinygrad_bp.render.layout_switch import switched

SWEEPS = 3  # there and back
ROUNDS = 20  # of exchanging neighbours, at most, after each sweep
BUDGET = 24_000  # segments looked at in all of them
READABLE = 12_000  # segments; in larger pictures nobody counts crossings


def ordered(grid: Grid) -> np.ndarray:
    """Return the position of each item in its cell, from 0.

    Sweeps find the rough order. In pictures that a person can read, exchanging neighbours then
    saves crossings; the budget is the same for all of them, so that small ones get more rounds.
    """
    readable = len(grid.lower) <= READABLE and not (grid.group >= 0).any()
    rounds = min(ROUNDS, BUDGET // (SWEEPS * max(len(grid.lower), 1)))
    position, columns = grid.centred(), range(len(grid.starts) - 1)
    best, fewest = by_cell(grid, position), -1
    for _ in range(SWEEPS):
        position = sweep(grid, grid.after, position, reversed(columns))
        position = sweep(grid, grid.before, position, columns)
        if not readable:
            continue
        slot, now = switched(grid, by_cell(grid, position), rounds)
        if fewest < 0 or now <= fewest:
            best, fewest = slot, now
        position = grid.centred()[grid.cells[grid.cell] + slot]
    return best if readable else by_cell(grid, position)


def by_cell(grid: Grid, position: np.ndarray) -> np.ndarray:
    """Number the items of each cell from 0."""
    order = np.lexsort((position, grid.cell))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - grid.cells[grid.cell]
    return rank


def sweep(grid: Grid, links: Links, start: np.ndarray, columns: Iterable[int]) -> np.ndarray:
    """Sort each cell by the mean position of its neighbours, column after column."""
    position, slots = start.copy(), grid.centred()
    apart = 4.0 * len(position) * grid.row
    ends = np.append(links.first, len(links.neighbour))
    share = 1 / np.diff(ends)
    starts, edges = grid.starts.tolist(), ends[grid.starts].tolist()
    grouped = bool((grid.group >= 0).any())
    for k in columns:
        a, b = starts[k], starts[k + 1]
        neighbours = position[links.neighbour[edges[k] : edges[k + 1]]]
        wanted = np.add.reduceat(neighbours, links.first[a:b] - edges[k]) * share[a:b]
        wanted += apart[a:b] + 1e-6 * position[a:b]
        if grouped:
            wanted = together(wanted, grid.row[a:b], grid.group[a:b])
        position[a + wanted.argsort(kind="stable")] = slots[a:b]
    return position


def together(wanted: np.ndarray, row: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Give the members of a group ranks next to each other, around their mean."""
    alone = group < 0
    label = np.where(alone, np.arange(len(group)) + group.max() + 1, group)
    _, member = np.unique(np.stack([row, label]), axis=1, return_inverse=True)
    member = member.ravel()  # its shape differs between versions of NumPy
    mean = np.bincount(member, wanted) / np.bincount(member)
    order = np.lexsort((wanted, member, mean[member], row))
    rank = np.empty(len(order))
    rank[order] = np.arange(len(order))
    return rank
