"""All paths between two nodes of a scalar graph: how many, their sum, and the largest.

Each path contributes the product of its local derivatives. Nothing is enumerated: the number and
the sum of all products are one pass over the graph, and so are the k largest, because the largest
products that lead to a node are among the largest that lead to its inputs.
"""

import heapq
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.graph import Node, pull_back, walk
from tinygrad_bp.selected import Selected, settle
from tinygrad_bp.tensor import Tensor


class Edge(NamedTuple):
    """A way from an input to a node that was made with it, and the derivative on it."""

    lower: Node
    upper: Node
    slot: int
    factor: float


class Size(NamedTuple):
    """The size of a product that no length of a path makes overflow: mantissa · 2^exponent."""

    exponent: float
    mantissa: float

    def times(self, factor: float) -> "Size":
        """Multiply by the size of a factor; what is not finite counts as largest of all."""
        if not math.isfinite(factor) or self.exponent == math.inf:
            return Size(math.inf, 1.0)
        mantissa, exponent = math.frexp(self.mantissa * abs(factor))
        return Size(self.exponent + exponent, mantissa) if mantissa else Size(-math.inf, 0.0)


class Best(NamedTuple):
    """One of the largest products that lead to a node: its last edge, and where it comes from."""

    size: Size
    edge: Edge | None
    rank: int  # among the best of the edge's lower end


class Paths(NamedTuple):
    """What is known of all paths from one node to another."""

    number: int
    total: float  # the sum of their products
    size: float  # the sum of the sizes of their products
    largest: list[list[Edge]]  # each from the upper end to the lower one
    nodes: int


def find_paths(root: Tensor, leaf: Node, values: dict[Node, Any], most: int) -> Paths:
    """Follow all paths from `leaf` to `root`; `values` are those of nodes that know them better."""
    count: dict[Node, int] = {leaf: 1}
    total: dict[Node, float] = {leaf: 1.0}
    size: dict[Node, float] = {leaf: 1.0}
    best: dict[Node, list[Best]] = {leaf: [Best(Size(1, 0.5), None, 0)]}
    for node in walk(root, stop=[leaf]):
        edges = [edge for edge in edges_to(node, values) if edge.lower in count]
        if edges:
            count[node] = sum(count[e.lower] for e in edges)
            total[node] = sum(total[e.lower] * e.factor for e in edges)
            size[node] = sum(size[e.lower] * abs(e.factor) for e in edges)
            best[node] = heapq.nlargest(most, _extended(edges, best), key=lambda b: b.size)
    if root not in count:
        return Paths(0, 0.0, 0.0, [], 0)
    largest = [_trace(best, root, rank) for rank in range(len(best[root]))]
    return Paths(count[root], total[root], size[root], largest, len(count))


def _extended(edges: list[Edge], best: dict[Node, list[Best]]) -> Iterator[Best]:
    for edge in edges:
        for rank, shorter in enumerate(best[edge.lower]):
            yield Best(shorter.size.times(edge.factor), edge, rank)


def _trace(best: dict[Node, list[Best]], root: Node, rank: int) -> list[Edge]:
    """Follow one of the best products back to where it began."""
    path = []
    found = best[root][rank]
    while found.edge is not None:
        path.append(found.edge)
        found = best[found.edge.lower][found.rank]
    return path


# ---------------------------------------------------------------------------------- edges


def edges_to(node: Node, values: dict[Node, Any]) -> list[Edge]:
    """List the edges that a gradient takes from a number to those that it was made from."""
    if node.op is None or np.ndim(node.value) or not node.requires_grad:
        return []
    if any(np.ndim(x.value) for x in node.inputs):
        return _edges_through(node)
    y = values.get(node, node.value)
    seen = [values.get(x, value) for x, value in zip(node.inputs, node.saved, strict=True)]
    shares = node.op.pull(node, np.asarray(y).dtype.type(1), y, seen)
    return [
        Edge(x, node, slot, float(settle(share)))
        for slot, (x, share) in enumerate(zip(node.inputs, shares, strict=True))
        if x.requires_grad and share is not None and _taken(share)
    ]


def _taken(share: Any) -> bool:
    """Ask whether a branch was taken at all; a branch that was not is no path."""
    return type(share) is not Selected or bool(share.taken)


def _edges_through(node: Node) -> list[Edge]:
    """List the numbers from which an op on whole arrays made a number, with its derivatives."""
    numbers: dict[Node, None] = {}
    arrays = [node]
    while arrays:
        for x in arrays.pop().inputs:
            if np.ndim(x.value) and x.op is not None:
                arrays.append(x)
            elif x.requires_grad:
                numbers[x] = None
    pulled = pull_back(node, node.value.dtype.type(1), stop=numbers)
    return [
        Edge(x, node, slot, float(settle(g))) for slot, (x, g) in enumerate(pulled) if x in numbers
    ]
