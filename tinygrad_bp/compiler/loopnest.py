"""Loops over elements: which axes are one axis, and into what pieces the last one is cut."""

import math
from collections.abc import Iterator, Sequence

from tinygrad_bp.facts import Shape

VECTOR = 64  # bytes that one instruction of the text works on: two registers of 256 bits


def coalesce(shape: Shape, strides: Sequence[Shape]) -> tuple[Shape, list[Shape]]:
    """Make one axis of neighbours that every array walks through as one; drop those of length 1.

    >>> coalesce((2, 3, 1), [(3, 1, 7), (0, 0, 0)])
    ((6,), [(1,), (0,)])
    """
    axes: list[list[int]] = []  # length, then the stride of every array
    for i, n in enumerate(shape):
        row = [n, *(s[i] for s in strides)]
        if n == 1:
            continue
        if axes and all(a == b * n for a, b in zip(axes[-1][1:], row[1:], strict=True)):
            axes[-1] = [axes[-1][0] * n, *row[1:]]
        else:
            axes.append(row)
    return tuple(a[0] for a in axes), [tuple(a[k + 1] for a in axes) for k in range(len(strides))]


def pieces(count: int, width: int) -> Iterator[tuple[int, int, int]]:
    """Cut `count` elements into (start, repetitions, width): whole vectors, then powers of two.

    >>> list(pieces(23, 8))
    [(0, 2, 8), (16, 1, 4), (20, 1, 2), (22, 1, 1)]
    """
    done = count - count % width
    if done:
        yield 0, done // width, width
    while width > 1:
        width //= 2
        if (count - done) >= width:
            yield done, 1, width
            done += width


def lanes(itemsizes: Sequence[int]) -> int:
    """Return how many elements one vector has, from the largest of their sizes."""
    return VECTOR // max(itemsizes, default=8)


def row_major(shape: Shape) -> Shape:
    """Return the strides of contiguous memory, in elements.

    >>> row_major((2, 3, 4))
    (12, 4, 1)
    """
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
