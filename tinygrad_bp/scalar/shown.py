"""What is shown of a graph: what one entry depends on, and what lies on the paths to it."""

import numpy as np

from tinygrad_bp.errors import GraphError
from tinygrad_bp.graph import Node
from tinygrad_bp.scalar.lowering import Lowered
from tinygrad_bp.scalar.meanings import Mask

Masks = dict[Node, Mask]


def needed_for(lowered: Lowered, top: Node, position: int, *, along_gradient: bool) -> Masks:
    """Mark every entry that one entry of the top depends on."""
    needed = {top: _only(top, position)}
    for step in reversed(lowered.steps):
        if step.node not in needed:
            continue
        masks = step.meaning.needs(needed[step.node])
        for x, carries, mask in zip(step.inputs, step.carries, masks, strict=True):
            if carries or not along_gradient:
                needed[x] = needed[x] | mask if x in needed else mask
    return needed


def reached_from(lowered: Lowered, start: Node, position: int) -> Masks:
    """Mark every entry that depends on one entry of `start` by a way that a gradient takes."""
    reached = {start: _only(start, position)}
    for step in lowered.steps:
        ways = list(zip(step.inputs, step.carries, strict=True))
        if step.node is start or not any(carries and x in reached for x, carries in ways):
            continue
        nothing = (np.zeros(np.shape(x.value), bool) for x in step.inputs)
        masks = [
            reached[x] if carries and x in reached else none
            for (x, carries), none in zip(ways, nothing, strict=True)
        ]
        reached[step.node] = step.meaning.reaches(masks)
    return reached


def paths_between(
    lowered: Lowered, top: Node, position: int, start: Node, entry: int, name: str
) -> Masks:
    """Mark the entries on the paths from one entry to another."""
    needed = needed_for(lowered, top, position, along_gradient=True)
    reached = reached_from(lowered, start, entry)
    between = {node: needed[node] & mask for node, mask in reached.items() if node in needed}
    between = {node: mask for node, mask in between.items() if mask.any()}
    if top not in between or not start.requires_grad:
        raise GraphError(
            f"{name}, from which no gradient leads to the root",
            where="the paths of a gradient",
            expected="an entry that the root depends on by differentiable operations",
            repair="Choose another entry, or look at the whole graph.",
        )
    return between


def _only(node: Node, position: int) -> Mask:
    mask = np.zeros(np.shape(node.value), bool)
    mask.reshape(-1)[position] = True
    return mask
