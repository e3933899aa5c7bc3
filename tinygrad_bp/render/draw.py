"""`draw`: from the recorded graph to a picture of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from tinygrad_bp.diagnosing.badges import badges
from tinygrad_bp.errors import describe
from tinygrad_bp.flow import Flow
from tinygrad_bp.render.backward import GradientGraph
from tinygrad_bp.render.cards import Sheet
from tinygrad_bp.render.drawing import Drawing
from tinygrad_bp.render.focus import as_focus, part_around
from tinygrad_bp.render.fold import find_folds
from tinygrad_bp.render.foldcards import contents
from tinygrad_bp.render.picture import Picture
from tinygrad_bp.render.scalars import scalar_graph
from tinygrad_bp.render.visible import closed_to_fit
from tinygrad_bp.render.words import names_of
from tinygrad_bp.summary import many
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.validate import as_count, refuse

MAX_NODES = 80  # cards that one can still read


def draw(
    root: Tensor,
    *,
    level: Literal["tensor", "scalar"] = "tensor",
    names: Mapping[str, Any] | None = None,
    focus: Any = None,
    backward: bool = False,
    max_nodes: int = MAX_NODES,
    cotangent: Any = None,
) -> Drawing:
    """Draw the graph that made `root`, with every value, gradient and local derivative.

    It makes a backward pass of its own: no ``backward()`` is needed, no ``.grad`` changes, and the
    drawing keeps no reference to the graph. A root with several elements is drawn with the
    gradient of their sum, or of their sum weighed by ``cotangent``.

    ``level="scalar"`` shows the graph of single numbers behind the tensors; ``names`` gives
    unnamed Tensors the names of your variables (pass ``locals()``); ``focus=w`` keeps what is
    between a tensor and the root (``focus=(w, (3, 4))``: one entry, at the level of scalars);
    ``backward=True`` adds the gradient as the graph that the rules compute. More than
    ``max_nodes`` nodes are folded: by `scope`, by repetition, by chains; the notes say how much.

    Raises `GraphError` for a root or a focus that is not in a graph, `ShapeError` for a focus
    outside of its tensor, `InputError` for other arguments that make no sense.

    >>> w = tg.Tensor(3.0, name="w")
    >>> print(draw(w * w, names={"y": w}).text())
    multiply#1
    w: scalar float64, value 3, grad 6
    multiply#1 ×: scalar float64, value 9, grad 1
        ← w: 3, 50% of its gradient
        ← w: 3, 50% of its gradient
    2 nodes: 1 leaf, 1 op.
    <BLANKLINE>
    """
    _check(level, names)
    max_nodes = as_count(max_nodes, "draw, argument max_nodes")
    flow, known = Flow(root, cotangent), names_of(names)
    around = None if focus is None else as_focus(focus, flow)
    notes = _notes(flow, cotangent)
    if level == "scalar":
        flow, known, more = scalar_graph(flow, around, cotangent, known)
        around, cotangent, notes = None, None, [*notes, *more]
    beyond: Sequence[Tensor] = ()
    if backward and flow.root.requires_grad:
        gradient = GradientGraph(flow, cotangent)
        beyond, known = gradient.nodes, gradient.names(flow, known) | known
        notes.append(f"The gradient is a graph of {many(len(beyond), 'more node')}.")
    sheet = Sheet(flow, known, badges(flow), beyond, shapes=level == "tensor")
    centre = None if around is None else flow.number[around[0]]
    return Drawing(_picture(sheet, centre, notes, max_nodes), sheet.records())


def _check(level: Any, names: Any) -> None:
    if level not in ("tensor", "scalar"):
        refuse("draw, argument level", describe(level), '"tensor" or "scalar"', "Choose one.")
    if names is not None and not isinstance(names, Mapping):
        refuse("draw, argument names", describe(names), "a dict of names and Tensors",
               "Pass names=locals().")  # fmt: skip


def _notes(flow: Flow, cotangent: Any) -> list[str]:
    """Say what the gradients are those of, where that is not plain."""
    root = flow.root
    if not root.requires_grad:
        return ["Nothing here requires a gradient."]
    if cotangent is not None:
        return [f"The root has shape {root.shape}: gradients of its sum, weighed by a cotangent."]
    return [f"The root has shape {root.shape}: gradients of its sum."] if root.size != 1 else []


def _picture(sheet: Sheet, around: int | None, notes: Sequence[str], max_nodes: int) -> Picture:
    """Put the cards together, or those around one of them, and close folds until all fits."""
    cards, arrows, tokens, readings = sheet.cards(), sheet.arrows(), sheet.tokens(), sheet.readings
    notes = [f"{contents(cards)}.", *notes]
    title = sheet.label(sheet.flow.root)
    if around is not None:
        notes.append(f"Shown: what is between {cards[around].title} and {title}.")
        kept = part_around(around, cards, arrows)
        cards, arrows = kept.cards, kept.arrows
        tokens, readings = [tokens[i] for i in kept.numbers], readings.only(kept.numbers)
    folds = find_folds(cards, arrows, tokens, readings, max_nodes)
    picture = Picture(title, cards, arrows, folds, notes=tuple(notes))
    return replace(picture, closed=closed_to_fit(picture, max_nodes))
