"""The few meanings of ops in single numbers: each element by itself, routed, products added up.

A meaning says which entries of the inputs the wanted entries of a result need, which entries of
the result some entries of the inputs reach, and makes the wanted entries as scalar nodes. Entries
are known by their positions in the flat order.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from tinygrad_bp.graph import Node
from tinygrad_bp.op import Op
from tinygrad_bp.ops.join import stack
from tinygrad_bp.ops.shape import getitem, reshape
from tinygrad_bp.record import record
from tinygrad_bp.tensor import Tensor

Mask = np.ndarray  # of booleans, shaped like the values of a node
Positions = np.ndarray  # of entries, in the flat order


class Maker(Protocol):
    """Gives the scalar nodes of entries, and makes new ones."""

    def entry(self, slot: int, position: int) -> Tensor:
        """Return the scalar node of an entry of an input."""

    def constant(self, value: Any, name: str | None = None, gathered: int = 0) -> Tensor:
        """Make a constant; ``gathered``: how many terms of a sum it stands for."""

    def shown(self, slot: int) -> Mask:
        """Return which entries of an input are more than constants."""


class Meaning:
    """What a node means in single numbers."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.shape: tuple[int, ...] = np.shape(node.value)
        self.shapes: list[tuple[int, ...]] = [np.shape(value) for value in node.saved]

    def needs(self, wanted: Mask) -> list[Mask]:
        """Return for each input which of its entries the wanted ones are made of."""
        raise NotImplementedError

    def reaches(self, masks: Sequence[Mask]) -> Mask:
        """Return which entries are made of some marked entry of an input."""
        raise NotImplementedError

    def count(self, wanted: Mask) -> int:
        """Count the scalar nodes of the wanted entries, without those of the inputs."""
        return int(np.count_nonzero(wanted))

    def make(self, positions: Positions, maker: Maker) -> list[Tensor]:
        """Make the scalar nodes of entries."""
        raise NotImplementedError


class Leaf(Meaning):
    """Numbers that nothing made."""

    def needs(self, wanted: Mask) -> list[Mask]:
        return []

    def reaches(self, masks: Sequence[Mask]) -> Mask:
        return np.zeros(self.shape, bool)


class Each(Meaning):
    """The op itself, applied to every element."""

    def needs(self, wanted: Mask) -> list[Mask]:
        return [shrink(wanted, shape) for shape in self.shapes]

    def reaches(self, masks: Sequence[Mask]) -> Mask:
        reached = np.zeros(self.shape, bool)
        for mask in masks:
            reached |= mask
        return reached

    def make(self, positions: Positions, maker: Maker) -> list[Tensor]:
        op, params = self.node.op, self.node.params
        columns = [
            np.broadcast_to(numbered(shape), self.shape).ravel()[positions].tolist()
            for shape in self.shapes
        ]
        return [
            record(op, [maker.entry(slot, at) for slot, at in enumerate(row)], params)  # type: ignore[arg-type]
            for row in zip(*columns, strict=True)
        ]


# ---------------------------------------------------------------------------------- routing


class Picks(Meaning):
    """Entries of the inputs in other places, and constants between them: no nodes of its own."""

    def __init__(self, node: Node, sources: np.ndarray) -> None:
        super().__init__(node)
        self.sources = sources  # positions in all inputs, one after the other; −1: a constant
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        self.starts = np.cumsum([0, *sizes])

    def needs(self, wanted: Mask) -> list[Mask]:
        needed = np.zeros(self.starts[-1] + 1, bool)
        needed[self.sources[wanted]] = True  # constants mark the entry after the last
        parts = np.split(needed[:-1], self.starts[1:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def reaches(self, masks: Sequence[Mask]) -> Mask:
        reached = np.concatenate([*(mask.ravel() for mask in masks), [False]])[self.sources]
        return np.reshape(reached, self.shape)

    def count(self, wanted: Mask) -> int:
        return int(np.count_nonzero(self.sources[wanted] < 0))

    def make(self, positions: Positions, maker: Maker) -> list[Tensor]:
        values, sources = np.ravel(self.node.value), self.sources.ravel()
        made = []
        for position in positions.tolist():
            source = int(sources[position])
            slot = int(np.searchsorted(self.starts, source, side="right")) - 1
            made.append(
                maker.entry(slot, source - int(self.starts[slot]))
                if source >= 0
                else maker.constant(values[position])
            )
        return made


def picked(node: Node) -> np.ndarray | None:
    """Find where every entry of a node comes from, or return None if it is computed.

    The op is run twice on the numbers of the entries instead of their values; the second time
    all numbers are larger by the same, and so are the results that are entries.
    """
    op, shapes = node.op, [np.shape(value) for value in node.saved]
    assert isinstance(op, Op)
    starts = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    total = int(starts[-1])
    inputs = [numbered(shape, int(start)) for shape, start in zip(shapes, starts, strict=False)]
    first = np.asarray(op.forward(*inputs, **node.params))
    moved = op.forward(*(x + total + 1 for x in inputs), **node.params) - first
    sources = np.where(moved == total + 1, first, -1).astype(np.int64)
    if np.any((moved != 0) & ((sources < 0) | (sources >= total))):
        return None
    entries = np.concatenate([*(np.ravel(value) for value in node.saved), [0]])
    same = np.equal(entries[sources], node.value) | np.isnan(node.value)
    return sources if np.all(same | (sources < 0)) else None


# ---------------------------------------------------------------------------------- opaque


class Whole(Meaning):
    """An op that is known as a whole only: one node on all entries, and its entries taken out."""

    def needs(self, wanted: Mask) -> list[Mask]:
        return [np.full(shape, bool(wanted.any())) for shape in self.shapes]

    def reaches(self, masks: Sequence[Mask]) -> Mask:
        return np.full(self.shape, any(bool(mask.any()) for mask in masks))

    def count(self, wanted: Mask) -> int:
        entries = int(np.count_nonzero(wanted))
        if not self.node.requires_grad:
            return entries
        together = sum(2 if shape else 0 for shape in self.shapes)  # stacked and reshaped
        return together + 1 + (entries if self.shape else 0)

    def make(self, positions: Positions, maker: Maker) -> list[Tensor]:
        if not self.node.requires_grad:
            return [maker.constant(value) for value in np.ravel(self.node.value)[positions]]
        arrays = [self._array(slot, maker) for slot in range(len(self.shapes))]
        y = record(self.node.op, arrays, self.node.params)  # type: ignore[arg-type]
        if not self.shape:
            return [y]
        indices = np.transpose(np.unravel_index(positions, self.shape)).tolist()
        return [getitem(y, tuple(index)) for index in indices]

    def _array(self, slot: int, maker: Maker) -> Tensor:
        """Put the entries of an input together again."""
        shape = self.shapes[slot]
        entries = [maker.entry(slot, position) for position in range(int(np.prod(shape)))]
        if not entries:
            return maker.constant(self.node.saved[slot])
        return reshape(stack(entries), shape) if shape else entries[0]


# ---------------------------------------------------------------------------------- positions


def numbered(shape: tuple[int, ...], start: int = 0) -> np.ndarray:
    """Number the entries of an array in their flat order."""
    return np.arange(start, start + int(np.prod(shape))).reshape(shape)


def shrink(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """Mark the entries of an array of `shape` that were broadcast to a marked one."""
    mask = np.asarray(mask.any(tuple(range(mask.ndim - len(shape)))))
    single = tuple(i for i, n in enumerate(shape) if n == 1)
    return np.asarray(mask.any(single, keepdims=True))
