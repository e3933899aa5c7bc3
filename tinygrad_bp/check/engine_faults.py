"""Bugs of the engine: how cotangents are added up, in which order, and what is kept from before.

`Chain` does what `graph.pull_back` does, in steps that a fault can replace one at a time.
"""

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, ClassVar
from weakref import ref

import numpy as np

from tinygrad_bp import cotangents, graph, op
from tinygrad_bp.check.catalogue import CLASSES, first_only, unsummed, wrong_axis
from tinygrad_bp.check.planting import Mutant, Patch
from tinygrad_bp.graph import Node


class Chain:
    """The chain rule in replaceable steps; without a fault, the same as `graph.pull_back`."""

    def pull_back(
        self,
        root: Node,
        cotangent: Any,
        *,
        differentiable: bool = False,
        stop: Collection[Node] = (),
    ) -> Iterator[tuple[Any, Any]]:
        """Yield every differentiable node with its complete cotangent."""
        due = self.arrivals(root, stop)
        sums: dict[Node, Any] = {}
        leaves: dict[Node, Any] = {}
        ready = [(root, cotangent)]
        while ready:
            node, cotangent = ready.pop()
            yield node, cotangent
            if node.op is None:
                break
            for x, share in zip(
                node.inputs, self.shares(node, cotangent, differentiable), strict=True
            ):
                if x.requires_grad and x not in due:
                    leaves[x] = self.add_leaf(leaves[x], share) if x in leaves else share
                elif x.requires_grad:
                    sums[x] = self.add(sums[x], share) if x in sums else share
                    due[x] -= 1
                    if self.is_ready(x, due[x]):
                        ready.append((x, sums[x]))
        yield from self.finished(leaves).items()

    def arrivals(self, root: Node, stop: Collection[Node]) -> dict[Node, int]:
        """Count the shares that each node waits for."""
        return {x: n for x, (n, _) in graph.expected_arrivals(root, stop).items()}

    def shares(self, node: Node, cotangent: Any, differentiable: bool) -> Sequence[Any]:
        """Ask the op what it passes back."""
        assert node.op is not None
        y, inputs = (node, node.inputs) if differentiable else (node.value, node.saved)
        return node.op.pull(node, cotangent, y, inputs)

    def add(self, total: Any, share: Any) -> Any:
        """Add a share to those of a node between."""
        return total + share

    def add_leaf(self, total: Any, share: Any) -> Any:
        """Add a share to those of a leaf."""
        return self.add(total, share)

    def is_ready(self, node: Node, due: int) -> bool:
        """Ask whether a node has all of its shares."""
        return due == 0

    def finished(self, leaves: dict[Node, Any]) -> dict[Node, Any]:
        """Return the gradients of the leaves."""
        return leaves


# ---------------------------------------------------------------------------------- faults


class _Overwrites(Chain):
    def add(self, total: Any, share: Any) -> Any:
        return share


class _OverwritesLeaves(Chain):
    def add_leaf(self, total: Any, share: Any) -> Any:
        return share


class _KeepsTheFirst(Chain):
    def add(self, total: Any, share: Any) -> Any:
        return total


class _Averages(Chain):
    def add(self, total: Any, share: Any) -> Any:
        return (total + share) / 2


class _AddsInPlace(Chain):
    def add(self, total: Any, share: Any) -> Any:
        if type(total) is not np.ndarray or type(share) is not np.ndarray:
            return total + share
        writable = total if total.flags.writeable else total.copy()
        return np.add(writable, share, out=writable)


class _VisitsTwice(Chain):
    def is_ready(self, node: Node, due: int) -> bool:
        return True


class _VisitsTooEarly(Chain):
    def __init__(self) -> None:
        self.visited: set[Node] = set()

    def is_ready(self, node: Node, due: int) -> bool:
        early = node not in self.visited
        self.visited.add(node)
        return early


class _WaitsForOneMore(Chain):
    def arrivals(self, root: Node, stop: Collection[Node]) -> dict[Node, int]:
        return {x: n + (n > 1) for x, n in super().arrivals(root, stop).items()}


class _KeepsTheLastPass(Chain):
    last: ClassVar[list[tuple[Any, Any]]] = []  # weak references to leaves, and their gradients

    def finished(self, leaves: dict[Node, Any]) -> dict[Node, Any]:
        kept = {leaf: g for reference, g in self.last if (leaf := reference()) is not None}
        self.last[:] = [(ref(x), g) for x, g in leaves.items()]
        return {x: g + kept[x] if x in kept else g for x, g in leaves.items()}


class _ReadsWhatWasRebound(Chain):
    def shares(self, node: Node, cotangent: Any, differentiable: bool) -> Sequence[Any]:
        if differentiable or node.op is None:
            return super().shares(node, cotangent, differentiable)
        return node.op.pull(node, cotangent, node.value, [x.value for x in node.inputs])


class _AddsInFloat32(Chain):
    def add(self, total: Any, share: Any) -> Any:
        if type(total) is not np.ndarray or type(share) is not np.ndarray:
            return total + share
        return (total + share).astype(np.float32).astype(total.dtype)


class _AddsNoise(Chain):
    def add(self, total: Any, share: Any) -> Any:
        return total + share * (1 + 1e-9 * np.random.default_rng().standard_normal())


CHAINS: list[tuple[int, str, type[Chain]]] = [
    (3, "shares of two paths are averaged", _Averages),
    (5, "the last share overwrites the others", _Overwrites),
    (5, "at leaves the last share overwrites the others", _OverwritesLeaves),
    (5, "only the first share counts", _KeepsTheFirst),
    (17, "reads the data that a leaf was rebound to", _ReadsWhatWasRebound),
    (18, "adds in place to an array that others hold", _AddsInPlace),
    (19, "visits a node once for every consumer", _VisitsTwice),
    (19, "visits a node before all consumers", _VisitsTooEarly),
    (19, "waits for a consumer that does not exist", _WaitsForOneMore),
    (20, "adds what leaves got in the last pass", _KeepsTheLastPass),
    (21, "adds in float32", _AddsInFloat32),
    (24, "adds with a noise of 1e-9", _AddsNoise),
]


def _plain_selection(share: Any, taken: Any, like: Any) -> Any:
    return _SELECT(share, taken, like).values


def _no_dtype(share: Any, like: Any) -> Any:
    shape = getattr(like, "shape", ())
    differs = isinstance(share, np.ndarray) and share.shape != shape
    return cotangents.sum_to(share, shape) if differs else share


_SELECT = cotangents.select

FUNCTIONS: list[tuple[int, str, list[Any], str, Callable[..., Any]]] = [
    (6, "no broadcast is summed back", [cotangents], "sum_to", unsummed),
    (6, "of what was broadcast only the first counts", [cotangents], "sum_to", first_only),
    (7, "broadcasts are summed over wrong axes", [cotangents], "sum_to", wrong_axis),
    (21, "a gradient keeps the dtype it was computed in", [cotangents, op], "match", _no_dtype),
    (23, "a branch not taken is zero instead of absent", [op], "select", _plain_selection),
]


def of_engine() -> Iterator[Mutant]:
    """Yield every mutant of the engine."""
    for number, name, chain in CHAINS:
        patches = _everywhere(chain)
        yield Mutant(number, name, CLASSES[number], "the engine", None, patches)
    for number, name, owners, function, faulty in FUNCTIONS:

        def replaced(o: Any = owners, n: str = function, f: Any = faulty) -> Sequence[Patch]:
            return [(owner, n, f) for owner in o]

        yield Mutant(number, name, CLASSES[number], "the engine", None, replaced)


def _everywhere(chain: type[Chain]) -> Callable[[], Sequence[Patch]]:
    """Replace `pull_back` in every module of the library that has imported it."""

    def faulty(*args: Any, **params: Any) -> Iterator[tuple[Any, Any]]:
        return chain().pull_back(*args, **params)

    def patches() -> Sequence[Patch]:
        users = [m for n, m in sys.modules.items() if n.startswith("tinygrad_bp")]
        known = [m for m in users if vars(m).get("pull_back") is graph.pull_back]
        return [(module, "pull_back", faulty) for module in known]

    return patches
