"""expand: the scalar graph of a recorded graph, whole or around one entry."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_bp.errors import describe
from tinygrad_bp.flow import as_root
from tinygrad_bp.graph import walk
from tinygrad_bp.scalar.lowering import Lowered, lower
from tinygrad_bp.scalar.making import Making, refuse_beyond
from tinygrad_bp.scalar.meanings import Whole
from tinygrad_bp.scalar.places import position_of
from tinygrad_bp.scalar.shown import needed_for, paths_between
from tinygrad_bp.scalar.words import names_of, notes_on, notes_on_opaque, place_of
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.validate import as_count, refuse

BUDGET = 100_000


@dataclass(frozen=True, eq=False)
class Scalars:
    """A graph of single numbers, and which entry of which tensor each of them is.

    ``entries``: for every tensor of the original graph of which something is shown an array of
    its shape with a Tensor of one number for each entry, or None for what is not shown.
    ``notes``: what was left out, and all totals.
    """

    root: Tensor
    entries: dict[Tensor, np.ndarray]
    notes: tuple[str, ...]


def expand(root: Tensor, *, focus: Any = None, budget: int = BUDGET) -> Scalars:
    """Turn a recorded graph into the graph of its single numbers: entries, ×, + and functions.

    The result is recorded with the library's own ops, so value and gradient are computed by the
    same engine. ``focus=(w, index)`` keeps what lies on the paths from one entry of w to the
    root, along which a gradient passes; the entries beside them are constants, and the other
    terms of every sum are one constant. With a root of several elements ``focus=(root, index)``
    chooses the element whose graph is wanted. ``budget``: the largest number of scalar nodes.

    Raises `GraphError` for a root that is no Tensor of one element, a focus that is not in the
    graph or leads nowhere, and for a graph beyond the budget.

    >>> w, x = Tensor([2.0, 3.0], name="w"), Tensor([5.0, 7.0], name="x")
    >>> scalars = expand(w @ x)
    >>> [node.name or node.op.name for node in walk(scalars.root)]
    ['w[0]', 'x[0]', 'multiply', 'w[1]', 'x[1]', 'multiply', 'add']
    >>> scalars.notes
    ('7 scalar nodes',)
    """
    as_count(budget, "expand, argument budget")
    tensor, index = _read(root, focus)
    on_root = tensor is root
    position = position_of(root, index if on_root else None, "expand, argument focus")
    chosen = None if on_root else (tensor, position_of(tensor, index, "expand, argument focus"))
    with np.errstate(all="ignore"):
        lowered = lower(root)
        return _expand(root, position, lowered, chosen, budget)


def _expand(
    root: Tensor, position: int, lowered: Lowered, focus: tuple[Tensor, int] | None, budget: int
) -> Scalars:
    top = lowered.find(root)
    wanted = needed_for(lowered, top, position, along_gradient=False)
    total = sum(s.meaning.count(wanted[s.node]) for s in lowered.steps if s.node in wanted)
    start = None
    if focus is None:
        repair = "Look around one entry with focus=(w, index), or compute on fewer samples."
        refuse_beyond(total, budget, f"{total:,}", repair)
    else:
        start = lowered.find(focus[0])
        wanted = paths_between(lowered, top, position, start, focus[1], place_of(root, focus))
    making = Making(wanted, names_of(root, lowered, focus), budget)
    for step in lowered.steps:
        if step.node in wanted:
            making.make(step, leaf=step.node is start)
    found = making.entries[top][position]
    opaque = [s.node for s in lowered.steps if type(s.meaning) is Whole and s.node in wanted]
    notes = notes_on(root, found, total, making.gathered, focus) + notes_on_opaque(opaque)
    return Scalars(found, _arranged(root, lowered, making), notes)


def _arranged(root: Tensor, lowered: Lowered, making: Making) -> dict[Tensor, np.ndarray]:
    """Arrange the scalar nodes as the tensors of the original graph are."""
    arranged: dict[Tensor, np.ndarray] = {}
    for node in walk(root):
        found = making.entries.get(lowered.find(node))
        if found:
            flat = np.full(node.size, None, object)
            for position, scalar in found.items():
                flat[position] = scalar
            arranged[node] = flat.reshape(node.shape)
    return arranged


# ---------------------------------------------------------------------------------- arguments


def _read(root: Any, focus: Any) -> tuple[Tensor, Any]:
    """Return the tensor in focus and the index; without a focus that is the root."""
    root = as_root(root)
    if focus is None:
        return root, None
    if not isinstance(focus, tuple) or len(focus) != 2 or not isinstance(focus[0], Tensor):
        refuse(
            "expand, argument focus",
            describe(focus),
            "a Tensor and the index of one of its entries",
            "Write focus=(W, (3, 4)).",
        )
    return focus
