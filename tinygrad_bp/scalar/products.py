"""Sums of products in single numbers: every product a ×, every sum a chain of +."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from tinygrad_bp.graph import Node
from tinygrad_bp.ops.elementwise import add, multiply
from tinygrad_bp.scalar.meanings import Maker, Mask, Meaning, Positions
from tinygrad_bp.tensor import Tensor

AT_ONCE = 1 << 20  # positions of factors that are held in memory together


class Products(Meaning):
    """Σ over indices of products of entries, as `contract` says; factors are named by letters."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        left, self.result = node.params["subscripts"].split("->")
        self.terms: list[str] = left.split(",")
        self.lengths: dict[str, int] = {}
        for term, shape in zip(self.terms, self.shapes, strict=True):
            for letter, n in zip(term, shape, strict=True):
                if self.lengths.get(letter, 1) == 1:  # a length of 1 is broadcast
                    self.lengths[letter] = n
        self.summed = [letter for letter in self.lengths if letter not in self.result]
        self.addends = int(np.prod([self.lengths[letter] for letter in self.summed]))

    def needs(self, wanted: Mask) -> list[Mask]:
        return [
            self._project(wanted, self.result, term, shape)
            for term, shape in zip(self.terms, self.shapes, strict=True)
        ]

    def reaches(self, masks: Sequence[Mask]) -> Mask:
        reached = np.zeros(self.shape, bool)
        for mask, term in zip(masks, self.terms, strict=True):
            reached |= self._project(mask, term, self.result, self.shape)
        return reached

    def count(self, wanted: Mask) -> int:
        each = self.addends * (len(self.terms) - 1) + max(self.addends - 1, 0)
        return int(np.count_nonzero(wanted)) * (each if self.addends else 1)

    def make(self, positions: Positions, maker: Maker) -> list[Tensor]:
        rows = max(AT_ONCE // max(self.addends, 1), 1)
        parts = np.split(positions, range(rows, len(positions), rows))
        return [sum_ for part in parts for sum_ in self._make(part, maker)]

    def _make(self, positions: Positions, maker: Maker) -> list[Tensor]:
        factors = self._factors(positions)
        shape = (len(positions), self.addends)
        shown, values = np.zeros(shape, bool), np.ones(shape, np.asarray(self.node.value).dtype)
        for slot, (at, value) in enumerate(zip(factors, self.node.saved, strict=True)):
            shown |= maker.shown(slot).ravel()[at]
            values = values * np.ravel(value)[at]
        return [
            self._sum([at[row] for at in factors], shown[row], values[row], maker)
            for row in range(len(positions))
        ]

    def _sum(
        self, factors: list[Positions], shown: Mask, values: np.ndarray, maker: Maker
    ) -> Tensor:
        """Add up the products that are shown, and then the sum of the others as one constant."""
        terms = [
            reduce(multiply, [maker.entry(slot, at) for slot, at in enumerate(term)])
            for term in zip(*(at[shown].tolist() for at in factors), strict=True)
        ]
        more = len(values) - len(terms)
        if more or not terms:
            total = np.sum(values[~shown], dtype=values.dtype)
            terms.append(maker.constant(total, f"+ {more} more" if more else None, more))
        return reduce(add, terms)

    def _factors(self, positions: Positions) -> list[Positions]:
        """Return for each factor its position in every term of the sums at `positions`."""
        index = np.unravel_index(positions[:, None], self.shape) if self.shape else ()
        at: dict[str, Any] = dict(zip(self.result, index, strict=True))
        lengths = [self.lengths[letter] for letter in self.summed]
        grid = np.indices(lengths).reshape(len(lengths), self.addends)
        at |= dict(zip(self.summed, grid, strict=True))
        found = []
        for term, shape in zip(self.terms, self.shapes, strict=True):
            steps = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
            flat = sum(at[c] * m for c, m, n in zip(term, steps, shape, strict=True) if n > 1)
            found.append(np.broadcast_to(flat, (len(positions), self.addends)))
        return found

    def _project(self, mask: Mask, letters: str, onto: str, shape: tuple[int, ...]) -> Mask:
        """Mark what shares its indices with a marked entry, for the letters that both have."""
        if 0 in self.lengths.values():
            return np.zeros(shape, bool)
        lost = tuple(
            axis for axis, c in enumerate(letters) if c not in onto or self._single(c, shape, onto)
        )
        mask = np.asarray(mask.any(lost))
        kept = [c for axis, c in enumerate(letters) if axis not in lost]
        order = [kept.index(c) for c in onto if c in kept]
        mask = np.transpose(mask, order)
        spread = tuple(i for i, c in enumerate(onto) if c not in kept)
        return np.array(np.broadcast_to(np.expand_dims(mask, spread), shape))

    @staticmethod
    def _single(letter: str, shape: tuple[int, ...], onto: str) -> bool:
        return shape[onto.index(letter)] == 1
