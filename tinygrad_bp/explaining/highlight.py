"""The drawing of an explanation: the scalar graph around the weight, its paths marked."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_bp.explaining.paths import Edge
from tinygrad_bp.graph import Node, walk
from tinygrad_bp.render.draw import MAX_NODES, draw
from tinygrad_bp.render.drawing import Drawing
from tinygrad_bp.scalar.expand import Scalars

Ends = tuple[int, int, int]  # source, target and slot of an arrow


def highlighted(
    root: Any,
    focus: tuple[Any, Any],
    names: Mapping[str, Any] | None,
    scalars: Scalars,
    edges: Iterable[Edge],
    max_nodes: int = MAX_NODES,
) -> Drawing:
    """Draw the scalar graph around an entry, and mark the arrows of `edges`.

    ``scalars`` is that graph: the nodes of a drawing have the same numbers as the nodes of any
    expansion of the same graph.
    """
    drawing = draw(root, level="scalar", focus=focus, names=names, max_nodes=max_nodes)
    number = {node: i for i, node in enumerate(walk(scalars.root))}
    marked = {ends for edge in edges for ends in _ends(edge, number)}
    arrows = tuple(
        replace(arrow, marked=(arrow.source, arrow.target, arrow.slot) in marked)
        for arrow in drawing.picture.arrows
    )
    return Drawing(replace(drawing.picture, arrows=arrows), drawing._records)


def _ends(edge: Edge, number: dict[Node, int]) -> Iterator[Ends]:
    """Find the arrow of an edge, or the arrows if it leads through an op on whole arrays."""
    if any(x is edge.lower for x in edge.upper.inputs):
        yield number[edge.lower], number[edge.upper], edge.slot
        return
    arrays = [edge.upper]
    while arrays:
        node = arrays.pop()
        for slot, x in enumerate(node.inputs):
            if x is edge.lower or (np.ndim(x.value) and x.op is not None):
                yield number[x], number[node], slot
                arrays += [x] if x is not edge.lower else []
