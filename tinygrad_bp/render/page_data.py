"""What the page knows of a picture, as columns: cards, folds, arrows, and where all of it stands.

Items are the cards in their order and then the folds, inner ones first; -1 is none. The page finds
out by itself what is seen while other folds are closed; `Scene` is its first answer, computed here
so that it can be laid out well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_bp.diagnosing.badges import SEVERITY
from tinygrad_bp.render.layout import layout
from tinygrad_bp.render.pack import Texts, pack
from tinygrad_bp.render.picture import Card, Picture
from tinygrad_bp.render.svg_arrow import label_width
from tinygrad_bp.render.svg_card import card_size

KINDS = ("leaf", "constant", "op", "fold")
BACKWARD = 4  # the kind of a card of the gradient graph
LISTED = 200  # of the worst
SHORTEST, LONGEST = 56.0, 88.0  # gaps between ranks, for labels
ROUTED = 3_000  # arrows; more are drawn as plain curves
DASHED, GRADIENT, MARKED = 1, 2, 4  # flags of an arrow
STEPS = 4  # of a length of 1


def data(picture: Picture) -> str:
    """Pack a picture and its layout; the page unpacks it."""
    items = [*picture.cards, *(fold.card for fold in picture.folds)]
    place = {card.number: i for i, card in enumerate(items)}
    parent = np.full(len(items), -1)
    for i, fold in enumerate(picture.folds, len(picture.cards)):
        parent[[place[member] for member in fold.members]] = i
    arrows = np.array([(place[a.source], place[a.target]) for a in picture.arrows], int)
    arrows = arrows.reshape(-1, 2)
    size = np.array([card_size(card) for card in items]).reshape(-1, 2)
    closed = np.array(sorted(place[number] for number in picture.closed), int)
    texts = Texts()
    columns = {
        **_items(items, texts),
        **_arrows(picture, arrows, texts),
        **_places(picture, arrows, parent, closed, size),
        "parent": parent,
        "width": _exact(size[:, 0]),
        "height": _exact(size[:, 1]),
        "worst": _worst(items, len(picture.cards)),
    }
    head = {
        "title_text": picture.title,
        "notes": _notes(picture),
        "strings": list(texts.numbers),
        "cards": len(picture.cards),
        "closed": closed.tolist(),
        "root": _root(picture.cards),
    }
    return pack(head, columns)


def _notes(picture: Picture) -> list[str]:
    """Return the notes, and what the thick arrows are where an explanation has marked some."""
    marked = any(arrow.marked for arrow in picture.arrows)
    return [*picture.notes, *["Thick orange arrows: the explained path."] * marked]


def _items(items: Sequence[Card], texts: Texts) -> dict[str, Any]:
    """Turn cards into columns."""
    numbered = [card.title.endswith(f"#{card.number}") for card in items]
    titles = [
        card.title[: -len(str(card.number))] if short else card.title
        for card, short in zip(items, numbered, strict=True)
    ]
    columns: dict[str, Any] = {
        "number": [card.number for card in items],
        "kind": [_kind(card) for card in items],
        "backward": [card.backward for card in items],
        "title_ids": texts.column(titles),
        "numbered": numbered,
        "symbol_ids": texts.column(card.symbol for card in items),
        "shade": [_shade(card.shade) for card in items],
    }
    for name in ("lines", "badges", "scope"):
        columns |= texts.columns(name, [getattr(card, name) for card in items])
    return columns | _details(items, texts)


def _kind(card: Card) -> int:
    return BACKWARD if card.backward and card.kind != "fold" else KINDS.index(card.kind)


def _details(items: Sequence[Card], texts: Texts) -> dict[str, Any]:
    """Number the facts beside a card; what is the end of one of its lines is only pointed at."""
    columns: dict[str, Any] = texts.columns(
        "headings", [[heading for heading, _ in card.details] for card in items]
    )
    for i in range(len(columns)):
        facts = [card.details[i][1] if i < len(card.details) else "" for card in items]
        places = list(map(_on_a_line, items, facts))
        own = texts.column("" if place else fact for place, fact in zip(places, facts, strict=True))
        columns[f"details{i}"] = np.array(places) + own
    return columns


def _on_a_line(card: Card, text: str) -> int:
    """Return minus (1 + line + 8 · letters before), or 0."""
    if not text:
        return 0
    for i, line in enumerate(card.lines[:8]):
        if line.endswith(text) and len(line) - len(text) < 12:
            return -(1 + i + 8 * (len(line) - len(text)))
    return 0


def _shade(shade: float | None) -> int:
    """Write tenths of a power of ten from 1 on; 0 is none."""
    return 0 if shade is None or shade != shade else 500 + round(10 * min(max(shade, -49.0), 49.0))


def _share(share: float | None) -> int:
    """Write half percents from 1 on; 0 is none."""
    return 0 if share is None or share != share else 1 + round(200 * min(max(share, 0.0), 1.0))


def _arrows(picture: Picture, ends: np.ndarray, texts: Texts) -> dict[str, Any]:
    """Turn arrows into columns; they are in the order of their targets and slots."""
    arrows = picture.arrows
    return {
        "source": ends[:, 0],
        "target": ends[:, 1],
        "slot": [arrow.slot for arrow in arrows],
        "label": texts.column(arrow.label for arrow in arrows),
        "share": [_share(arrow.share) for arrow in arrows],
        "flags": [DASHED * a.dashed + GRADIENT * a.gradient + MARKED * a.marked for a in arrows],
    }


# ------------------------------------------------------------------------------ where things stand


@dataclass(frozen=True)
class Scene:
    """What is seen while some folds are closed."""

    items: np.ndarray
    arrows: np.ndarray  # (m, 2), items; merged where one end is a fold, in the order of the first


def scene(
    arrows: np.ndarray, gradient: np.ndarray, parent: np.ndarray, closed: np.ndarray, cards: int
) -> Scene:
    """Find what stands for every item, and the arrows between those."""
    count = len(parent)
    is_closed = np.zeros(count, bool)
    is_closed[closed] = True
    face = np.arange(count)
    for i in range(count - 1, -1, -1):  # a fold comes after what it holds
        outer = parent[i]
        if outer >= 0 and (face[outer] != outer or is_closed[outer]):
            face[i] = face[outer]
    own = (face == np.arange(count)) & (is_closed | (np.arange(count) < cards))
    ends = face[arrows]
    merging = (ends >= cards).any(axis=1)
    key = 2 * (ends[:, 0] * count + ends[:, 1]) + gradient
    key[~merging] = -1 - np.flatnonzero(~merging)
    first = np.sort(np.unique(key, return_index=True)[1])
    return Scene(np.flatnonzero(own), ends[first[ends[first, 0] != ends[first, 1]]])


def _places(
    picture: Picture, arrows: np.ndarray, parent: np.ndarray, closed: np.ndarray, size: np.ndarray
) -> dict[str, Any]:
    """Lay out what is seen at first, and what is seen when everything is unfolded."""
    gradient = np.array([arrow.gradient for arrow in picture.arrows], bool)
    cards, nothing = len(picture.cards), np.empty(0, int)
    gap = min(max(SHORTEST, label_width(picture.arrows[:ROUTED]) + 24), LONGEST)
    columns = _placed("", scene(arrows, gradient, parent, closed, cards), size, parent, gap)
    if len(closed):
        flat = scene(arrows, gradient, parent, nothing, cards)
        columns |= _placed("flat_", flat, size, parent, gap)
    return columns


def _placed(
    prefix: str, seen: Scene, size: np.ndarray, parent: np.ndarray, gap: float
) -> dict[str, Any]:
    """Return positions of items, and the ways of arrows where they are not too many."""
    position = np.full(len(size), -1)
    position[seen.items] = np.arange(len(seen.items))
    widths, heights = size[seen.items].T
    made = layout(widths, heights, position[seen.arrows], groups=parent[seen.items], gap=gap)
    centres = np.zeros((len(size), 2))
    centres[seen.items] = made.centres
    columns = {f"{prefix}x": _exact(centres[:, 0]), f"{prefix}y": _exact(centres[:, 1])}
    if len(seen.arrows) <= ROUTED:
        routes = [made.route(i) for i in range(len(seen.arrows))]
        points = np.concatenate([*routes, np.empty((0, 2))])
        columns[f"{prefix}route_sizes"] = np.array([len(route) for route in routes], int)
        columns[f"{prefix}route_x"] = _exact(points[:, 0])
        columns[f"{prefix}route_y"] = _exact(points[:, 1])
    return columns


def _exact(lengths: np.ndarray) -> np.ndarray:
    return np.rint(lengths * STEPS).astype(np.int64)


# ------------------------------------------------------------------------------ what is pointed at


def _root(cards: Sequence[Card]) -> int:
    """Return the card that everything is drawn for: the last of the forward graph."""
    return max((i for i, card in enumerate(cards) if not card.backward), default=0)


def _worst(items: Sequence[Card], cards: int) -> list[int]:
    """Return cards with badges, worst first; without any, the one with the oddest gradient."""
    rank = {badge: i for i, badge in enumerate(SEVERITY)}
    suspects = [
        (rank.get(card.badges[0], len(rank)), i)
        for i, card in enumerate(items[:cards])
        if card.badges
    ]
    if suspects:
        return [i for _, i in sorted(suspects)[:LISTED]]
    odd = [(-abs(card.shade), i) for i, card in enumerate(items[:cards]) if card.shade is not None]
    return [i for _, i in sorted(odd)[:1]]
