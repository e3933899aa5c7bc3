"""The graph of single numbers behind a graph of tensors, ready to be drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_bp.flow import Flow
from tinygrad_bp.listeners import recording
from tinygrad_bp.scalar.expand import Scalars, expand
from tinygrad_bp.scalar.places import entry_name
from tinygrad_bp.summary import many
from tinygrad_bp.tensor import Tensor


def scalar_graph(
    flow: Flow,
    focus: tuple[Tensor, Any] | None,
    cotangent: Any,
    names: Mapping[Tensor, str],
) -> tuple[Flow, dict[Tensor, str], Sequence[str]]:
    """Return the backward pass of the scalar graph, the names of its nodes, and its notes."""
    root = flow.root
    if root.size != 1 and (focus is None or focus[0] is not root):
        with recording(True), np.errstate(all="ignore"):
            root = (root if cotangent is None else root * cotangent).sum()
    scalars = expand(root, focus=focus)
    inner = Flow(scalars.root)
    notes = [f"{note}." for note in scalars.notes if note != many(len(inner.nodes), "scalar node")]
    if focus is not None and focus[0] in names:
        notes = [note.replace(flow.label(focus[0]), names[focus[0]]) for note in notes]
    return inner, _entry_names(scalars, names), notes


def _entry_names(scalars: Scalars, names: Mapping[Tensor, str]) -> dict[Tensor, str]:
    """Name the entries of Tensors that have only the name of a variable."""
    found: dict[Tensor, str] = {}
    for node, name in names.items():
        entries = scalars.entries.get(node)
        if entries is not None:
            for position, entry in enumerate(entries.flat):
                if entry is not None:
                    found.setdefault(entry, entry_name(name, entries.shape, position))
    return found
