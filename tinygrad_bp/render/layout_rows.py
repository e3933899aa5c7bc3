"""A graph much longer than it is high is set in rows, like text."""

import numpy as np

from tinygrad_bp.render.layout_layers import Layers

BETWEEN_ROWS = 14.0  # and as much again for the wires from row to row
LONG, VERY_LONG = 6.0, 20.0  # length over height of what is set in rows
FEW_WIRES = 8  # that may be cut for it, unless the graph is very long
SHORT = 1_700.0  # a picture of this length fits on a screen
LOOK = 1.6  # width over height that rows aim at


def rows(made: Layers, length: np.ndarray) -> np.ndarray:
    """Decide in which row each rank stands; `length` is that of each rank."""
    tall = np.bincount(made.rank, made.height + made.space)
    room = max(SHORT, np.sqrt(LOOK * length.sum() * (tall.mean() + 2 * BETWEEN_ROWS)))
    room = 1.1 * length.sum() / np.ceil(length.sum() / room)  # rows of the same length
    wires = np.bincount(made.rank[made.lower], minlength=len(length))
    row = by_row(length, wires, room)
    cut = wires[np.flatnonzero(np.diff(row))]
    lengthy = VERY_LONG if cut.max(initial=0) > FEW_WIRES else LONG
    return row if length.sum() > lengthy * tall.max() else np.zeros(len(length), np.int64)


def by_row(length: np.ndarray, wires: np.ndarray, room: float) -> np.ndarray:
    """Break a line of ranks into rows no longer than `room`, where few wires are cut.

    ``length``: of each rank; ``wires``: how many edges pass from each rank to the next. Returns
    the row of each rank.

    >>> by_row(np.ones(5), np.ones(5), 2.0).tolist()
    [0, 0, 1, 1, 2]
    """
    end = np.cumsum(length)
    start, breaks = 0, []
    while True:
        begin = end[start - 1] if start else 0.0
        last = max(int(np.searchsorted(end, begin + room, side="right")), start + 1)
        if last >= len(length):
            break
        early = max(start + 1, min(last - 2, start + 4 * (last - start) // 5))
        choice = wires[early - 1 : last][::-1]
        start = last - int(np.argmin(choice))
        breaks.append(start)
    return np.searchsorted(np.array(breaks, np.int64), np.arange(len(length)), side="right")
