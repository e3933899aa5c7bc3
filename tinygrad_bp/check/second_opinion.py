"""A second opinion on the gradient of a recorded graph, without numerics.

If the rule of every node is right, the chain rule in its plainest form has to give the same
gradient; and if the graph computes what the function computes, that gradient is right. What was
measured then differs because digits are lost on the way through the nodes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_bp.check.directions import mixed
from tinygrad_bp.check.recorded import compute, replay
from tinygrad_bp.check.subject import Arrays, Probe
from tinygrad_bp.graph import Node, walk
from tinygrad_bp.selected import settle
from tinygrad_bp.tensor import Tensor

ROUNDING = 1e-10  # of all that was added up
ALONG = (2.0**-5, -(2.0**-5), 2.0**-16, -(2.0**-16))  # where both are compared, in steps


def confirms(
    root: Tensor, leaves: Sequence[Tensor], probe: Probe, origin: np.ndarray, cotangent: np.ndarray
) -> bool:
    """Ask whether a graph is the whole function, and its shares add up to the claimed gradient."""
    one = len(probe.output_shapes) == 1  # several outputs were weighed and added up already
    u = cotangent.reshape(root.shape).astype(root.dtype) if one else np.ones_like(root.value)
    with np.errstate(all="ignore"):
        claimed = probe.arrays(probe.gradient(origin, cotangent))
        return adds_up(root, leaves, u, claimed) and is_whole(
            root, leaves, u, probe, origin, cotangent
        )


def adds_up(root: Tensor, leaves: Sequence[Tensor], u: Any, claimed: Arrays) -> bool:
    """Ask whether the shares of all nodes, computed again, add up to the claimed gradients."""
    totals, sizes = added_up(root, u)
    for leaf, found in zip(leaves, claimed, strict=True):
        total, size = totals.get(leaf, 0.0), sizes.get(leaf, 0.0)
        if not (np.abs(total - found) <= ROUNDING * size).all():
            return False
    return True


def added_up(root: Tensor, u: Any) -> tuple[dict[Node, Any], dict[Node, Any]]:
    """Return the gradient of every node, and the sum of the sizes of all shares in it."""
    nodes = list(walk(root))
    values = recomputed(nodes)
    totals: dict[Node, Any] = {root: u}
    sizes: dict[Node, Any] = {root: np.abs(u)}
    for node in reversed(nodes):
        if node.op is None or node not in totals:
            continue
        inputs = [values.get(x, saved) for x, saved in zip(node.inputs, node.saved, strict=True)]
        shares = node.op.pull(node, totals[node], values[node], inputs)
        for x, share in zip(node.inputs, shares, strict=True):
            if x.requires_grad:
                share = settle(share)
                totals[x] = totals.get(x, 0) + share
                sizes[x] = sizes.get(x, 0) + np.abs(share)
    return totals, sizes


def recomputed(nodes: Sequence[Tensor]) -> dict[Node, Any]:
    """Compute the values of all nodes once more, from the leaves on."""
    values: dict[Node, Any] = {}
    for node in nodes:
        if node.op is not None:
            pairs = zip(node.inputs, node.saved, strict=True)
            values[node] = compute(node, [values.get(x, saved) for x, saved in pairs])
    return values


def is_whole(
    root: Tensor,
    leaves: Sequence[Tensor],
    u: Any,
    probe: Probe,
    origin: np.ndarray,
    cotangent: np.ndarray,
) -> bool:
    """Ask whether a graph computes what the function computes, beside the point as well."""
    nodes, compared = list(walk(root)), False
    direction = probe.steps * mixed(origin.size, np.random.default_rng(0))
    for t in ALONG:
        there = origin + t * direction
        outputs = probe.values(there)
        if outputs.size != cotangent.size or not np.isfinite(outputs).all():
            continue
        compared = True
        given: dict[Node, Any] = dict(zip(leaves, probe.arrays(there), strict=True))
        ours = float(np.sum(u * np.asarray(replay(nodes, root, given))))
        size = float(np.abs(cotangent) @ np.abs(outputs))
        if not abs(ours - float(cotangent @ outputs)) <= ROUNDING * size:
            return False
    return compared
