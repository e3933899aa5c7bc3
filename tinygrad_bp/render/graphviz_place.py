"""Places for the cards of a small picture, asked of Graphviz: all drawing stays our own."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_bp.errors import StoreError
from tinygrad_bp.render.graphviz_dot import is_there, run_dot
from tinygrad_bp.render.layout import MARGIN, Layout
from tinygrad_bp.render.picture import Picture
from tinygrad_bp.render.svg import card_size, label_room, laid_out

LARGEST = 120  # cards; for those `dot` needs less than a second
INCH = 72.0  # points, which are our pixels
BETWEEN = 18.0  # cards of one rank
SCREEN, LONG = 1600.0, 3.0  # a width, and width over height, of what is better set in rows
SLOT = 12.0  # between two arrows that enter a card


def placed_by_dot(picture: Picture, engine: str) -> Layout | None:
    """Return places that `dot` has found, or None if it is not there or not able to.

    A long picture it does not set in rows as our own layout does, so that is left to ours. With
    the engine "dot" large and long pictures are tried as well, and what goes wrong is an error.
    """
    must = engine == "dot"
    if not must and (len(picture.cards) > LARGEST or not is_there()):
        return None
    try:
        found = _ask(picture)
    except StoreError:
        if must:
            raise
        return None
    long = found.width > max(SCREEN, LONG * found.height)
    return None if long and not must else found


def _ask(picture: Picture) -> Layout:
    answer = run_dot("\n".join(_lines(picture)), "json", "Drawing.svg")
    try:
        return _layout(picture, json.loads(answer))
    except (ValueError, KeyError) as error:
        raise StoreError(
            f"an answer of `dot` that is no layout ({error!r})",
            where="Drawing.svg",
            expected="Graphviz 2.30 or newer",
            repair='Leave out engine="dot".',
        ) from error


def _lines(picture: Picture) -> Iterator[str]:
    yield f"digraph {{ rankdir=LR; nodesep={BETWEEN / INCH}; ranksep={label_room(picture) / INCH}"
    yield 'node [shape=box, fixedsize=true, label=""]'
    yield "edge [arrowhead=none]"
    for i, card in enumerate(picture.cards):
        width, height = card_size(card)
        yield f"n{i} [width={width / INCH}, height={height / INCH}]"
    back = [card.backward for card in picture.cards]
    for i, (a, b) in enumerate(laid_out(picture)):
        enters = back[b] and not back[a]
        ports = "tailport=e, headport=e, constraint=false" if enters else "tailport=e, headport=w"
        yield f"n{a} -> n{b} [id={i}, {ports}]"
    yield "}"


def _layout(picture: Picture, answer: dict[str, Any]) -> Layout:
    """Read the answer of `dot`: y grows upwards there, and there is no margin."""
    box = [float(x) for x in answer["bb"].split(",")]

    def points(text: str) -> np.ndarray:
        found = np.array([pair.split(",") for pair in text.split()], np.float64)
        return np.stack([found[:, 0] + MARGIN, box[3] - found[:, 1] + MARGIN], axis=1)

    centre = {item["name"]: points(item["pos"])[0] for item in answer["objects"]}
    centres = np.array([centre[f"n{i}"] for i in range(len(picture.cards))])
    ways = {int(item["id"]): points(item["pos"]) for item in answer.get("edges", ())}
    ordered = [
        _from_its_source(ways[i], centres[a], centres[b])
        for i, (a, b) in enumerate(laid_out(picture))
    ]
    _spread(picture, ordered)
    return Layout(
        centres=centres,
        width=box[2] + 2 * MARGIN,
        height=box[3] + 2 * MARGIN,
        points=np.concatenate(ordered) if ordered else np.empty((0, 2)),
        starts=np.cumsum([0, *map(len, ordered)]),
        owner=np.arange(len(ordered)),
        branch=np.zeros(len(ordered), np.int64),
        rank=np.unique(centres[:, 0], return_inverse=True)[1],
    )


def _from_its_source(way: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Turn a way around if it runs from target to source, as `dot` likes to give some."""
    ends = np.stack([way[0], way[-1]])
    as_it_is = np.abs(ends - [source, target]).sum()
    return way if as_it_is <= np.abs(ends - [target, source]).sum() else way[::-1].copy()


def _spread(picture: Picture, ways: Sequence[np.ndarray]) -> None:
    """Let the arrows that enter a card end below one another, so that each has its label."""
    high = {card.number: card_size(card)[1] for card in picture.cards}
    back = {card.number for card in picture.cards if card.backward}
    ends: dict[int, list[tuple[float, int, np.ndarray]]] = {}
    for arrow, way in zip(picture.arrows, ways, strict=True):
        way = way[::-1] if arrow.source in back else way  # a view: what moves, moves in both
        ends.setdefault(arrow.target, []).append((float(way[0, 1]), arrow.slot, way))
    for target, entering in ends.items():
        step = min(SLOT, (high[target] - SLOT) / len(entering))
        entering.sort(key=lambda end: end[:2])
        for place, (_, _, way) in enumerate(entering):
            way[-2:, 1] += step * (place - (len(entering) - 1) / 2)
