"""Where everything stands: rows below each other, and free space for wires around them."""

from dataclasses import dataclass

import numpy as np

from tinygrad_bp.render.layout_layers import Layers
from tinygrad_bp.render.layout_rows import BETWEEN_ROWS

MARGIN = 20.0  # around the picture
TRACK = 6.0  # between wires that run side by side outside the rows
LANES = 16  # for edges that are too long for waypoints; more of them share these


@dataclass(frozen=True)
class Board:
    """Where everything stands: cards, waypoints, and the free space around the rows."""

    x: np.ndarray  # of each card
    width: np.ndarray
    y: np.ndarray  # of each item
    height: np.ndarray
    row: np.ndarray  # of each item
    left: np.ndarray  # edge of its rank, of each item
    right: np.ndarray
    track: np.ndarray  # of each item that is wired to the next row, counted from the top
    tracks: np.ndarray  # of each row: how many of them
    bus: np.ndarray  # of each item with edges too long for waypoints: its lane, from the lowest
    lane: np.ndarray  # of each row: the lowest lane above it
    channel: np.ndarray  # the highest track below it
    end: np.ndarray  # the first track right of it
    margin: float  # the first track left of all rows
    far: float  # the first lane left of those tracks
    gap: float  # between ranks


def board(
    made: Layers,
    width: np.ndarray,
    wide: np.ndarray,
    row: np.ndarray,
    y: np.ndarray,
    gap: float,
) -> Board:
    """Put the rows below each other, with tracks for the wires between them.

    ``wide`` and ``row``: of each rank; ``y``: of each item in its row.
    """
    item_row = row[made.rank]
    track, tracks = _tracks(made, item_row, y)
    bus, lanes = _lanes(made)
    most = TRACK * int(tracks.max())
    left_of_all = MARGIN + lanes + most + (gap - TRACK if most or lanes else 0.0)
    begins = np.flatnonzero(np.diff(row, prepend=-1))
    left = np.cumsum(wide + gap) - wide - gap
    left += left_of_all - left[begins][row]
    top, bottom = _extent(item_row, y - made.height / 2, y + made.height / 2)
    deep = lanes + bottom - top + TRACK * tracks + BETWEEN_ROWS * (1 + (tracks > 0))
    shift = MARGIN + np.cumsum(deep) - deep + lanes - top
    return Board(
        x=_across(made, width, left, wide),
        width=width,
        y=y + shift[item_row],
        height=made.height,
        row=item_row,
        left=left[made.rank],
        right=(left + wide)[made.rank],
        track=track,
        tracks=tracks,
        bus=bus,
        lane=shift + top - BETWEEN_ROWS / 2,
        channel=shift + bottom + BETWEEN_ROWS,
        end=np.maximum.reduceat(left + wide, begins) + MARGIN,
        margin=left_of_all - gap + TRACK,
        far=left_of_all - gap + TRACK - most,
        gap=gap,
    )


def _across(made: Layers, width: np.ndarray, left: np.ndarray, wide: np.ndarray) -> np.ndarray:
    """Centre cards in their ranks; a leaf of one consumer stands as near to it as it can."""
    rank = made.rank[: len(width)]
    centre = (left + wide / 2)[rank]
    return np.where(made.alone[: len(width)], (left + wide)[rank] - width / 2, centre)


def _lanes(made: Layers) -> tuple[np.ndarray, float]:
    """Number the cards with edges too long for waypoints; return the room that their lanes take."""
    long = np.unique(made.source[made.last < 0])
    bus = np.zeros(len(made.rank), np.int64)
    bus[long] = np.arange(len(long)) % LANES
    return bus, TRACK * min(len(long), LANES)


def _tracks(made: Layers, row: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the items with wires to the next row, from the top; count them in each row."""
    wired = np.unique(made.lower[row[made.lower] != row[made.upper]])
    order = wired[np.lexsort((y[wired], row[wired]))]
    tracks = np.bincount(row[order], minlength=int(row.max()) + 1)
    track = np.zeros(len(row), np.int64)
    track[order] = np.arange(len(order)) - (np.cumsum(tracks) - tracks)[row[order]]
    return track, tracks


def _extent(row: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the top and the bottom of each row."""
    order = np.argsort(row, kind="stable")
    begins = np.flatnonzero(np.diff(row[order], prepend=-1))
    low = np.minimum.reduceat(top[order], begins)
    return low, np.maximum.reduceat(bottom[order], begins)
