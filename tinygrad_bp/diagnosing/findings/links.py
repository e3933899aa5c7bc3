"""Places at which gradients end, and shapes that met by accident."""

import math
from collections.abc import Iterator

import numpy as np

from tinygrad_bp.diagnosing import badges
from tinygrad_bp.diagnosing.findings.report import MOST, Finding, Reader, op_name
from tinygrad_bp.graph import walk

ON_PURPOSE = ("getitem", "reshape", "broadcast_to")  # expand_dims is a reshape


def lost_leaves(reader: Reader) -> Iterator[Finding]:
    """Name the places at which gradients end, with the leaves that get none because of it."""
    lost = set(badges.unreached(reader.flow))
    for cut in badges.cuts(reader.flow)[:MOST]:
        leaves = [leaf for leaf in walk(cut) if leaf in lost]
        text = f"no gradient passes, so {reader.listed(leaves)} gets none"
        if not cut.requires_grad:
            text += f": {op_name(cut)} has no derivative"
        yield reader.finding(
            "detached", cut, text, "Take it out of the way, or make the leaf a constant."
        )


def stretched_shapes(reader: Reader) -> Iterator[Finding]:
    """Find the accident (n, 1) − (n,) = (n, n); whoever writes x[:, None] − x means it."""
    for node in reader.flow.nodes:
        if any(op_name(x) in ON_PURPOSE for x in node.inputs):
            continue
        shapes = [np.shape(value) for value in node.saved]
        ranks = {len(shape) for shape in shapes if math.prod(shape) > 1}
        if badges.grows_by_broadcasting(node) and len(ranks) > 1:
            told = " and ".join(map(str, shapes))
            text = f"{told} were stretched to {np.shape(node.value)}"
            remedy = "If that was not meant, reshape one to the shape of the other."
            yield reader.finding("broadcast", node, text, remedy)
