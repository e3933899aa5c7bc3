"""Reading a path as a lecture does: few factors between quantities that have a name.

∂E/∂o · ∂o/∂net · ∂net/∂w, where E = ½(o − 1)² and net = Σ h·w are many scalar nodes each. A
factor ends at a product with weights, at a function, and at what has a name; constant factors,
sums and differences belong to the factor beside them.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

import numpy as np

from tinygrad_bp.explaining.paths import Edge
from tinygrad_bp.graph import Node
from tinygrad_bp.listeners import recording
from tinygrad_bp.op import Elementwise, Op
from tinygrad_bp.ops.elementwise import add, subtract
from tinygrad_bp.scalar.expand import Scalars
from tinygrad_bp.scalar.places import entry_name
from tinygrad_bp.tensor import Tensor


@dataclass(frozen=True)
class Factor:
    """One factor of a path, ∂upper/∂lower, and its value."""

    upper: str
    lower: str
    value: float


@dataclass(frozen=True)
class Path:
    """One path of the chain rule: its factors, from the root down, and their product."""

    factors: tuple[Factor, ...]
    product: float
    edges: tuple[Edge, ...] = field(repr=False, compare=False)  # of the scalar graph

    @property
    def symbols(self) -> tuple[str, ...]:
        """The factors as symbols: ∂o/∂net."""
        return tuple(f"∂{factor.upper}/∂{factor.lower}" for factor in self.factors)


class Entry(NamedTuple):
    """Which entry of which tensor a scalar node is."""

    tensor: Tensor
    position: int


class Stretch(NamedTuple):
    """The part of a path through one op of the original graph, from its input to its result."""

    edges: list[Edge]  # from the lower end up
    kind: str  # "curved"; or a constant derivative: "plain", or of size 1, a "sum" or "shift"


Divide = Callable[[list[Stretch]], list[list[Edge]]]


class Reader:
    """Reads paths of a scalar graph in the words of the graph that it was expanded from."""

    def __init__(self, scalars: Scalars, labels: dict[Node, str], named: set[Node]) -> None:
        self.labels, self.named = labels, named
        self.makers: dict[Node, Entry] = {}  # the first tensor that holds a number made it
        self.holders: dict[Node, Entry] = {}  # the first with a name, if there is one, tells it
        for tensor, numbers in scalars.entries.items():
            for position, number in enumerate(numbers.ravel()):
                if number is not None:
                    entry = Entry(tensor, position)
                    self.makers.setdefault(number, entry)
                    if self.holders.setdefault(number, entry).tensor not in named:
                        self.holders[number] = entry if tensor in named else self.makers[number]

    def read_all(self, paths: Sequence[Sequence[Edge]]) -> tuple[Path, ...]:
        """Tell paths, each in as few factors as tell it from the others."""
        told = [self.read(path, self._grouped) for path in paths]
        for finer in (one_by_one, with_inner_nodes, every_node):
            alike = Counter(path.symbols for path in told)
            again = [
                self.read(path.edges, finer) if alike[path.symbols] > 1 else path for path in told
            ]
            apart = Counter(path.symbols for path in again)
            told = [
                new if apart[new.symbols] < alike[old.symbols] else old
                for old, new in zip(told, again, strict=True)
            ]
        return tuple(told)

    def read(self, edges: Sequence[Edge], divide: Divide) -> Path:
        """Tell a path, given from the root down, in the factors that it is divided into."""
        groups = divide(self._stretches(edges[::-1]))
        factors = tuple(
            Factor(
                self._label(group[-1].upper),
                self._label(group[0].lower),
                prod(edge.factor for edge in reversed(group)),
            )
            for group in reversed(groups)
        )
        return Path(factors, prod(edge.factor for edge in edges), tuple(edges))

    def _label(self, number: Node) -> str:
        if number not in self.holders:  # inside of an op, seen in the finest reading only
            return number.op.name if number.op else "constant"
        tensor, position = self.holders[number]
        return entry_name(self.labels[tensor], tensor.shape, position)

    def _stretches(self, edges: Sequence[Edge]) -> list[Stretch]:
        """Cut a path, from the leaf up, where it leaves an op of the original graph."""
        stretches = []
        part: list[Edge] = []
        for edge in edges:
            part.append(edge)
            if edge.upper in self.makers:
                stretches.append(Stretch(part, self._kind(part)))
                part = []
        return stretches

    def _kind(self, part: list[Edge]) -> str:
        """Say what an op of the original graph does to the quantity that goes through it."""
        tensor = self.makers[part[-1].upper].tensor
        op = tensor.op
        if isinstance(op, Elementwise) and len(part) == 1:
            return _kind_of_elementwise(part[0], tensor)
        if isinstance(op, Op) and op.routes:
            return "sum" if prod(edge.factor for edge in part) == 1 else "plain"
        return "curved"

    def _grouped(self, stretches: list[Stretch]) -> list[list[Edge]]:
        """Join stretches to factors: constants and sums belong to what is beside them."""
        groups: list[list[Edge]] = []
        ones: list[Stretch] = []  # since the last group: sums and shifts
        for stretch in stretches:
            if stretch.kind in ("sum", "shift"):
                ones.append(stretch)
                continue
            if not groups:
                groups = [[]]
            elif stretch.kind == "curved" or self._is_named(stretch.edges[0].lower):
                cut = self._cut(ones)
                groups[-1] += joined(ones[:cut])
                groups.append([])
                ones = ones[cut:]
            groups[-1] += joined(ones) + stretch.edges
            ones = []
        groups = groups or [[]]
        groups[-1] += joined(ones)
        return groups

    def _cut(self, ones: list[Stretch]) -> int:
        """Say where two factors meet among derivatives of ±1: at a name, or after the sums."""
        after_sums = max((i for i, s in enumerate(ones, 1) if s.kind == "sum"), default=0)
        ends = [s.edges[0].lower for s in ones] + [s.edges[-1].upper for s in ones[-1:]]
        named = [i for i, end in enumerate(ends) if self._is_named(end)]
        return min(named, key=lambda i: abs(i - after_sums), default=after_sums)

    def _is_named(self, number: Node) -> bool:
        return self.holders[number].tensor in self.named


def joined(stretches: list[Stretch]) -> list[Edge]:
    """Return the edges of stretches that follow each other."""
    return [edge for edges, _ in stretches for edge in edges]


def one_by_one(stretches: list[Stretch]) -> list[list[Edge]]:
    """Make a factor of every op of the original graph."""
    return [edges for edges, _ in stretches]


def with_inner_nodes(stretches: list[Stretch]) -> list[list[Edge]]:
    """Make a factor of every scalar node that does more than to add."""
    groups: list[list[Edge]] = []
    for edges, _ in stretches:
        inner: list[list[Edge]] = [[]]
        for edge in edges:
            if inner[-1] and not all(map(_is_one, inner[-1])):
                inner.append([])
            inner[-1].append(edge)
        if len(inner) > 1 and all(map(_is_one, inner[-1])):
            ones = inner.pop()
            inner[-1] += ones
        groups += inner
    return groups


def every_node(stretches: list[Stretch]) -> list[list[Edge]]:
    """Make a factor of every scalar node."""
    return [[edge] for edge in joined(stretches)]


def _is_one(edge: Edge) -> bool:
    return edge.upper.op in (add, subtract) and edge.factor == 1


def _kind_of_elementwise(edge: Edge, tensor: Tensor) -> str:
    """Ask the rule of an op whether its derivative is a constant."""
    op, number = tensor.op, edge.upper
    assert isinstance(op, Elementwise)
    stand_ins = [
        _stand_in(value, x.requires_grad)
        for value, x in zip(number.saved, tensor.inputs, strict=True)
    ]
    y = _stand_in(number.value, requires_grad=True)
    with recording(True), np.errstate(all="ignore"):
        factors = [rule(y, *stand_ins, **number.params) for rule in op.rules]
    mine = factors[edge.slot]
    if isinstance(mine, Tensor):
        return "curved" if mine.requires_grad or mine.op is not None else "plain"
    others = [f for f, x in zip(factors, tensor.inputs, strict=True) if x.requires_grad]
    if mine not in (1, -1):
        return "plain"
    ones = all(type(f) is int and f == 1 for f in others)
    return "sum" if ones and len(others) > 1 else "shift"


def _stand_in(value: object, requires_grad: bool) -> Tensor:
    leaf = Tensor.__new__(Tensor)
    leaf._restore(value, requires_grad)
    return leaf
