"""The part of a graph that one tensor takes part in."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from tinygrad_bp.errors import GraphError, InputError, describe
from tinygrad_bp.flow import Flow
from tinygrad_bp.render.picture import Arrow, Card
from tinygrad_bp.scalar.places import position_of
from tinygrad_bp.tensor import Tensor

HOW = "Write focus=w, or focus=(w, (3, 4)) for one entry."


def as_focus(focus: Any, flow: Flow) -> tuple[Tensor, Any]:
    """Return the tensor of a focus and, if it names one, the entry, both checked.

    Raises `ShapeError` for an entry outside of the tensor, `GraphError` for a foreign tensor.
    """
    tensor, index = focus if isinstance(focus, tuple) and len(focus) == 2 else (focus, None)
    if not isinstance(tensor, Tensor):
        raise InputError(
            describe(focus), where="draw, argument focus", expected="a Tensor, or a pair of a "
            "Tensor and an index", repair=HOW,
        )  # fmt: skip
    if tensor not in flow.number:
        raise GraphError(
            f"{tensor.name or describe(tensor)}, which the root does not depend on",
            where="draw, argument focus",
            expected="a tensor of the graph",
            repair="Use the very tensor that the root was computed from.",
        )
    if index is not None:
        position_of(tensor, index, "draw, argument focus")
    return tensor, index


class Part(NamedTuple):
    """Some cards of a picture, numbered anew, and the numbers that they had."""

    cards: tuple[Card, ...]
    arrows: tuple[Arrow, ...]
    numbers: list[int]


def part_around(focus: int, cards: Sequence[Card], arrows: Sequence[Arrow]) -> Part:
    """Keep what lies between a card and the root, with all that enters there directly."""
    after = {focus}
    for arrow in sorted(arrows, key=lambda arrow: arrow.target):  # inputs before consumers
        if arrow.source in after:
            after.add(arrow.target)
    kept = [arrow for arrow in arrows if arrow.target in after and arrow.target != focus]
    seen = after | {arrow.source for arrow in kept}
    numbers = [card.number for card in cards if card.number in seen]
    place = {number: i for i, number in enumerate(numbers)}
    return Part(
        tuple(replace(cards[n], number=place[n]) for n in numbers),
        tuple(replace(a, source=place[a.source], target=place[a.target]) for a in kept),
        numbers,
    )
