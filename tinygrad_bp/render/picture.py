"""What is in a picture, before anyone lays it out: cards, arrows, folds. Plain data.

`draw` makes a `Picture` from a graph; the layout, SVG, DOT, text and the page read it.
"""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["leaf", "constant", "op", "fold"]


@dataclass(frozen=True, slots=True)
class Card:
    """One visible node: a tensor, a scalar, or a fold of several."""

    number: int  # stable: the position in the order of the graph; folds count on from there
    kind: Kind
    title: str  # "W1", "multiply#12", "neuron ×33"
    symbol: str = ""  # "×"
    lines: tuple[str, ...] = ()  # short lines on the card: shape and dtype, value, gradient, line
    badges: tuple[str, ...] = ()  # worst first
    scope: tuple[str, ...] = ()
    shade: float | None = None  # log10 of the gradient's size relative to the graph's median
    backward: bool = False  # a node of the gradient graph
    details: tuple[tuple[str, str], ...] = ()  # what the page shows beside: (heading, text)


@dataclass(frozen=True, slots=True)
class Arrow:
    """One edge, from an input to its consumer, in one argument slot."""

    source: int
    target: int
    slot: int = 0
    label: str = ""  # the local derivative
    share: float | None = None  # of the source's gradient that comes by this edge, 0 to 1
    dashed: bool = False  # no gradient passes
    gradient: bool = False  # an edge of the backward graph
    marked: bool = False  # on a path that is explained


@dataclass(frozen=True, slots=True)
class Fold:
    """A part of the picture that can be shown as one card."""

    card: Card
    members: tuple[int, ...]  # numbers of cards, or of inner folds
    why: str  # "scope", "repeat", "chain"


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that can be seen of a graph."""

    title: str
    cards: tuple[Card, ...]  # inputs before consumers; no folds
    arrows: tuple[Arrow, ...]  # between those cards
    folds: tuple[Fold, ...] = ()  # inner ones before outer ones
    closed: frozenset[int] = field(default_factory=frozenset)  # folds that are shown as one card
    notes: tuple[str, ...] = ()  # what is folded, and all totals
