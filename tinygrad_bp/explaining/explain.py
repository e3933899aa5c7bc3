"""explain: the gradient of one weight as its chain-rule factors, path by path and in numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.errors import GradientError, GraphError, ShapeError, describe
from tinygrad_bp.explaining.highlight import highlighted
from tinygrad_bp.explaining.paths import Paths, find_paths
from tinygrad_bp.explaining.steps import Path, Reader
from tinygrad_bp.explaining.words import as_html, as_latex, as_text
from tinygrad_bp.graph import Node, walk
from tinygrad_bp.render.draw import MAX_NODES
from tinygrad_bp.render.drawing import Drawing
from tinygrad_bp.scalar.expand import BUDGET, Scalars, expand
from tinygrad_bp.scalar.places import entry_name, position_of
from tinygrad_bp.summary import number
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.validate import as_count, refuse

FEW = 8  # paths that are written out


@dataclass(frozen=True)
class Rest:
    """The paths that are not written out: how many, and what they add up to."""

    count: int
    sum: float


class Question(NamedTuple):
    """What was asked, and the graph in which the answer was found."""

    root: Tensor
    w: Tensor
    place: tuple[int, ...]
    names: Mapping[str, Any] | None
    scalars: Scalars


@dataclass(frozen=True)
class Explanation:
    """A gradient as the sum of the products along all paths of the chain rule.

    ``root``, ``entry``: the names of E and of the weight; ``gradient``: ∂E/∂w as `backward` has
    it; ``count``: the number of all paths; ``total``: the sum of all their products, which was
    found to be the gradient; ``paths``: the largest by |product|, each with its ``factors``
    and ``product``; ``rest``: what is not among them, or None.

    Prints as text, shows as a table in Jupyter; `to_latex` writes it for a document, and `draw`
    shows the paths in the scalar graph.
    """

    root: str
    entry: str
    gradient: float
    count: int
    total: float
    paths: tuple[Path, ...]
    rest: Rest | None
    question: Question = field(repr=False, compare=False)

    def __str__(self) -> str:
        return as_text(self)

    def to_latex(self) -> str:
        """Return it as LaTeX, for math mode: an ``aligned`` block with one line a path."""
        return as_latex(self)

    def _repr_html_(self) -> str:
        return as_html(self)

    def draw(self, path: int | None = None, *, max_nodes: int = MAX_NODES) -> Drawing:
        """Draw the scalar graph around the weight, with the written paths marked, or one of them.

        ``path``: the number of a path, counted from 1 as they are printed. ``max_nodes``: as for
        `draw`. Raises `InputError` for a path that is not written out.
        """
        chosen = self.paths
        if path is not None:
            number = as_count(path, "Explanation.draw, argument path")
            chosen = self.paths[number - 1 : number]
            if not chosen:
                given, expected = f"path {number}", f"a number from 1 to {len(self.paths)}"
                repair = "Write more of them out: explain(…, paths=100)."
                refuse("Explanation.draw, argument path", given, expected, repair)
        edges = [edge for each in chosen for edge in each.edges]
        root, w, place, names, scalars = self.question
        return highlighted(root, (w, place), names, scalars, edges, max_nodes)


def explain(
    E: Tensor,
    w: Tensor,
    index: Any = None,
    *,
    paths: int = FEW,
    names: Mapping[str, Any] | None = None,
    budget: int = BUDGET,
) -> Explanation:
    """Explain ∂E/∂w, for one entry of w, by the chain rule: every path from w to E in numbers.

    ``E``: a Tensor of one element; ``w``: a Tensor that it depends on; ``index``: one number for
    each axis of w, needed if w has several elements. ``paths``: how many paths are written out;
    of more, the largest by |product|, and the number and sum of the rest. ``names``: what to
    call tensors that have no name of their own, such as ``locals()``. ``budget``: how many nodes
    the scalar graph may have.

    Raises `GraphError` if w is a constant, not in the graph of E or without a path to E,
    `ShapeError` for an index outside of w, `GradientError` if the products do not sum to the
    gradient, as happens when an op is declared wrong.

    >>> h, W = tg.Tensor([[0.9, 0.6]], name="h"), tg.Tensor([[0.4], [-0.3]], name="W")
    >>> o = tg.sigmoid(h @ W)
    >>> print(tg.explain(0.5 * (o - 1) ** 2, W, (0, 0), names={"o": o}))
    ∂E/∂W[0, 0] = −0.1016, by 1 path
    <BLANKLINE>
    ∂E/∂o · ∂o/∂matmul#3 · ∂matmul#3/∂W[0, 0]
    −0.4551 · 0.2480 · 0.9000 = −0.1016
    <BLANKLINE>
    The product is the gradient, −0.1016.
    """
    as_count(paths, "explain, argument paths")
    position = _place(E, w, index)
    labels, named = _labels(E, w, names)
    place = tuple(int(i) for i in np.unravel_index(position, w.shape))
    scalars = expand(E, focus=(w, place), budget=budget)
    reader = Reader(scalars, labels, named)
    leaf = scalars.entries[w].ravel()[position]
    with np.errstate(all="ignore"):
        found = find_paths(scalars.root, leaf, _recorded(scalars), paths)
        gradient = float(np.ravel(E._gradients([w], False)[w])[position])
    told = reader.read_all(found.largest)
    explanation = Explanation(
        root=labels[E],
        entry=entry_name(labels[w], w.shape, position),
        gradient=gradient,
        count=found.number,
        total=found.total,
        paths=told,
        rest=_rest(found, gradient, told),
        question=Question(E, w, place, names, scalars),
    )
    _check(explanation, found)
    return explanation


def _rest(found: Paths, gradient: float, told: tuple[Path, ...]) -> Rest | None:
    missing = found.number - len(told)
    if not missing:
        return None
    return Rest(missing, gradient - math.fsum(path.product for path in told))


def _recorded(scalars: Scalars) -> dict[Node, Any]:
    """Map scalar nodes to the values that the arrays had: the same up to rounding."""
    values: dict[Node, Any] = {}
    for tensor, numbers in scalars.entries.items():
        flat = np.ravel(tensor.value)
        for position, scalar in enumerate(numbers.ravel()):
            if scalar is not None and scalar.op is not None:
                values.setdefault(scalar, flat[position])
    return values


def _check(explanation: Explanation, found: Paths) -> None:
    """Raise `GradientError` if the products differ from the gradient by more than rounding."""
    gradient, total = explanation.gradient, found.total
    if not (math.isfinite(gradient) or math.isfinite(total)):
        return
    root = explanation.question.root
    coarsest = max(float(np.finfo(x.dtype).eps) for x in walk(root) if x.requires_grad)
    tolerance = coarsest * (64 + found.nodes) * found.size
    if not abs(gradient - total) <= tolerance:
        raise GradientError(
            f"a gradient of {gradient!r} and {found.number:,} products that sum to {total!r}",
            where=f"explain, ∂{explanation.root}/∂{explanation.entry}",
            expected=f"the same, up to rounding by {number(tolerance)}",
            repair="Check the rules and the definition of each op on the way, e.g. with gradcheck.",
        )


# ---------------------------------------------------------------------------------- arguments


def _place(root: Any, w: Any, index: Any) -> int:
    """Return the position of the entry in question, or say what is wrong with the question."""
    for argument, given in (("E", root), ("w", w)):
        if not isinstance(given, Tensor):
            repair = "Pass the Tensor itself, not its data."
            refuse(f"explain, argument {argument}", describe(given), "a Tensor", repair, GraphError)
    if root.size != 1:
        given, repair = f"shape {root.shape}", "Explain one entry, such as E[0], or E.sum()."
        refuse("explain, argument E", given, "a single element", repair, ShapeError)
    position = position_of(w, index, "explain, argument index")
    name, where = w.name or describe(w), "explain, argument w"
    if w is root:
        repair = "Pass a weight, or another tensor on the way."
        refuse(where, "E itself", "a tensor that E was computed from", repair, GraphError)
    if all(node is not w for node in walk(root)):
        given, repair = f"{name}, outside the graph of E", "Pass the very tensor, not a copy of it."
        refuse(where, given, "a tensor that E was computed from", repair, GraphError)
    if not w.requires_grad:
        repair = "Make it with Tensor(data), and compute outside of no_grad()."
        refuse(where, f"{name}, a constant", "a tensor with a gradient", repair, GraphError)
    return position


def _labels(root: Tensor, w: Tensor, names: Any) -> tuple[dict[Node, str], set[Node]]:
    """Name every tensor: its own name, the given one, or its op; and say which have a name."""
    if names is not None and not isinstance(names, Mapping):
        repair = "Pass names=locals()."
        refuse("explain, argument names", describe(names), "a dict of names and Tensors", repair)
    given: dict[Node, str] = {}
    for key, value in (names or {}).items():
        if isinstance(value, Tensor) and not str(key).startswith("_"):
            given.setdefault(value, str(key))
    labels: dict[Node, str] = {}
    named: set[Node] = set()
    for i, node in enumerate(walk(root)):
        name: str | None = node.name or given.get(node)
        labels[node] = name or f"{node.op.name if node.op else 'leaf'}#{i}"
        if name:
            named.add(node)
    taken = set(labels.values())
    for node, letter in ((root, "E"), (w, "w")):
        if node not in named and letter not in taken:
            labels[node] = letter
    return labels, named
