"""Count the crossings between ranks, and save some by exchanging neighbours."""

import numpy as np

from tinygrad_bp.render.layout_grid import Grid


def switched(grid: Grid, slot: np.ndarray, rounds: int) -> tuple[np.ndarray, int]:
    """Exchange neighbours in their ranks; return the best positions met, and their crossings.

    Every other round also exchanges where it makes no difference: that leads out of dead ends.
    """
    best, fewest = slot, crossings(grid, slot)
    for round_ in range(rounds if fewest else 0):
        for ranks, pairs in ((0, 0), (0, 1), (1, 0), (1, 1)):
            slot = switch(grid, slot, ranks, pairs, equal=round_ % 2 == 0)
        now = crossings(grid, slot)
        if now < fewest:
            best, fewest = slot, now
    return best, fewest


def switch(grid: Grid, slot: np.ndarray, ranks: int, pairs: int, equal: bool) -> np.ndarray:
    """Exchange, in every second rank, every second pair that then crosses less."""
    arranged = np.empty(len(slot), np.int64)
    arranged[grid.cells[grid.cell] + slot] = np.arange(len(slot))
    first = (slot[arranged] % 2 == pairs) & (grid.rank % 2 == ranks)
    first[:-1] &= grid.cell[1:] == grid.cell[:-1]
    first[-1:] = False
    at = np.flatnonzero(first)
    u, v = arranged[at], arranged[at + 1]
    partner = np.full(len(slot), -1)
    partner[u], partner[v] = v, u
    cost = inverted(grid, slot, partner)
    change = cost[u] >= cost[v] if equal else cost[u] > cost[v]
    change &= cost[u] > 0
    u, v = u[change], v[change]
    slot = slot.copy()
    slot[u], slot[v] = slot[v], slot[u]
    return slot


def inverted(grid: Grid, slot: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Count, for each item with a partner, the crossings of their edges if the item is first."""
    end = np.concatenate([2 * grid.upper, 2 * grid.lower + 1])  # an item, and on which side
    other = slot[np.concatenate([grid.lower, grid.upper])]
    paired = partner[end >> 1] >= 0
    end, other = end[paired], other[paired]
    room = len(slot) + 1
    keys = np.sort(end * room + other)
    theirs = (2 * partner[end >> 1] + (end & 1)) * room
    below = np.searchsorted(keys, theirs + other) - np.searchsorted(keys, theirs)
    return np.bincount(end >> 1, below, minlength=len(slot))


def crossings(grid: Grid, position: np.ndarray) -> int:
    """Count the pairs of segments that cross between adjacent ranks."""
    gap, low, up = grid.cell[grid.lower], position[grid.lower], position[grid.upper]
    order = np.lexsort((up, low, gap))
    by_upper = np.lexsort((up, gap))
    steps = (np.diff(gap[by_upper]) != 0) | (np.diff(up[by_upper]) != 0)
    value = np.empty(len(gap), np.int64)
    value[by_upper] = np.concatenate([[0], np.cumsum(steps)])[: len(gap)]
    return inversions(value[order])


def inversions(values: np.ndarray) -> int:
    """Count the pairs that are out of order, bit by bit.

    >>> inversions(np.array([3, 1, 2, 1]))
    4
    """
    total = 0
    for bit in reversed(range(int(values.max(initial=0)).bit_length())):
        group, one = values >> (bit + 1), values >> bit & 1
        before = np.cumsum(one)
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        before -= np.repeat((before - one)[starts], np.diff(starts, append=len(values)))
        total += int(before[one == 0].sum())
        values = values[np.argsort(values >> bit, kind="stable")]
    return total
