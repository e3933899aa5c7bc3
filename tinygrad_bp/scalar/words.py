"""The words of a scalar graph: what its entries are called, and what is said about it."""

from tinygrad_bp.errors import GraphError, describe
from tinygrad_bp.graph import Node, walk
from tinygrad_bp.scalar.lowering import Lowered
from tinygrad_bp.scalar.places import entry_name
from tinygrad_bp.summary import many
from tinygrad_bp.tensor import Tensor


def _label(node: Tensor, number: int) -> str:
    """Name a tensor for people: its own name, or its op and position, as ``multiply#12``."""
    return node.name or f"{node.op.name if node.op else 'leaf'}#{number}"


def place_of(root: Tensor, focus: tuple[Tensor, int]) -> str:
    """Name the entry in focus."""
    tensor, position = focus
    number = next((i for i, node in enumerate(walk(root)) if node is tensor), None)
    if number is None:
        raise GraphError(
            tensor.name or describe(tensor),
            where="expand, argument focus",
            expected="a tensor that the root was computed from",
            repair="Pass the very tensor, not a copy of it.",
        )
    return entry_name(_label(tensor, number), tensor.shape, position)


def names_of(root: Tensor, lowered: Lowered, focus: tuple[Tensor, int] | None) -> dict[Node, str]:
    """Name the tensors of which entries are shown: those with a name, the variables, the focus."""
    names: dict[Node, str] = {}
    for number, node in enumerate(walk(root)):
        variable = node.op is None and node.requires_grad
        if node.name or variable or (focus is not None and node is focus[0]):
            names.setdefault(lowered.find(node), _label(node, number))
    return names


def notes_on(
    root: Tensor,
    top: Tensor,
    total: int,
    gathered: list[int],
    focus: tuple[Tensor, int] | None,
) -> tuple[str, ...]:
    """Say how much there is, and what is not shown."""
    if focus is None:
        return (many(total, "scalar node"),)
    shown = sum(1 for _ in walk(top))
    notes = [
        f"{shown:,} of {total:,} scalar nodes: the paths from {place_of(root, focus)} "
        f"to {root.name or 'the root'}"
    ]
    if gathered:
        terms, constants = many(sum(gathered), "other term"), many(len(gathered), "constant")
        notes.append(f"{terms} of sums, in {constants}")
    return tuple(notes)


def notes_on_opaque(opaque: list[Tensor]) -> tuple[str, ...]:
    """Name the ops that are not made of single numbers."""
    notes: dict[str, None] = {}
    for node in opaque:
        what = "is one node over all its entries" if node.requires_grad else "gives constants"
        notes[f"{node.op.name if node.op else 'leaf'} {what}"] = None
    return tuple(notes)
