"""A picture as SVG: one file, no script, no font to load, readable in black and white."""

from typing import Literal

import numpy as np

from tinygrad_bp.render.layout import Layout, layout
from tinygrad_bp.render.picture import Arrow, Picture
from tinygrad_bp.render.svg_arrow import draw_arrows, draw_labels, label_width
from tinygrad_bp.render.svg_card import Box, card_size, draw_card, draw_gauges
from tinygrad_bp.render.svg_legend import foot
from tinygrad_bp.render.svg_style import HEADS, STYLE
from tinygrad_bp.render.svg_text import clean, xml

__all__ = ["card_size", "label_room", "laid_out", "svg"]

EXPLAINED = 300  # cards; in larger pictures tooltips would double the file
SHORTEST, LONGEST = 56.0, 88.0  # gaps between ranks, for labels
MARGIN = 20


def svg(
    picture: Picture, *, direction: Literal["LR", "TB"] = "LR", made: Layout | None = None
) -> str:
    """Write all cards and arrows of a picture as SVG; folds are for the caller to close.

    ``made``: where everything stands, if that is known already, for arrows as `laid_out` has them.

    >>> from tinygrad_bp.render.picture import Card
    >>> text = svg(Picture("one leaf", (Card(0, "leaf", "w"),), ()))
    >>> text[:4], text[-7:-1]
    ('<svg', '</svg>')
    """
    down, tooltips = direction == "TB", len(picture.cards) <= EXPLAINED
    sizes = np.array([card_size(card) for card in picture.cards]).reshape(-1, 2)
    gap = label_room(picture)
    if made is None:
        made = layout(sizes[:, 0], sizes[:, 1], laid_out(picture), direction=direction, gap=gap)
    places = _places(made, sizes)
    ways = _ways(picture, made)
    across = made.centres[:, 0 if down else 1].tolist()
    middles = {card.number: y for card, y in zip(picture.cards, across, strict=True)}
    below, foot_width, foot_height = foot(picture, made.width - 2 * MARGIN)
    wide = int(max(made.width, foot_width + 2 * MARGIN))
    high = int(made.height + (foot_height + MARGIN if below else 0))
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
            f'viewBox="0 0 {wide} {high}" role="img"><title>{xml(picture.title)}</title>\n',
            f'{STYLE}\n<defs>{HEADS}</defs><rect class="bg" width="100%" height="100%"/>\n',
            draw_arrows(picture.arrows, ways, _tooltips(picture, tooltips), down),
            draw_labels(picture.arrows, ways, middles, gap - 16, down),
            *_cards(picture, places, tooltips),
            f"\n{draw_gauges(picture.cards, places)}",
            f'\n<g transform="translate({MARGIN} {int(made.height)})">{below}</g></svg>\n',
        ]
    )


def laid_out(picture: Picture) -> list[tuple[int, int]]:
    """Name the ends of arrows by the positions of their cards, as they are laid out.

    An arrow inside the gradient graph is laid out from its head to its tail, so that the gradient
    runs from right to left beside the graph that it belongs to.
    """
    place = {card.number: i for i, card in enumerate(picture.cards)}
    ends = [(place[arrow.source], place[arrow.target]) for arrow in picture.arrows]
    back = [card.backward for card in picture.cards]
    return [(b, a) if back[a] and back[b] else (a, b) for a, b in ends]


def _ways(picture: Picture, made: Layout) -> list[np.ndarray]:
    back = {card.number for card in picture.cards if card.backward}
    return [_way(arrow, i, made, arrow.source in back) for i, arrow in enumerate(picture.arrows)]


def _way(arrow: Arrow, i: int, made: Layout, backwards: bool) -> np.ndarray:
    """Return what is drawn of an arrow: its own part, or if it is marked its whole way."""
    if backwards:
        return made.route(i)[::-1]
    return made.route(i) if arrow.marked else made.points[made.starts[i] : made.starts[i + 1]]


def _places(made: Layout, sizes: np.ndarray) -> list[Box]:
    corners = np.rint(made.centres - sizes / 2)
    return [Box(*box) for box in np.hstack([corners, sizes]).astype(int).tolist()]


def label_room(picture: Picture) -> float:
    """Return how far ranks stand apart, so that labels fit between them."""
    return min(max(SHORTEST, label_width(picture.arrows) + 24), LONGEST)


def _cards(picture: Picture, places: list[Box], tooltips: bool) -> list[str]:
    return [
        "\n" + draw_card(card, place, tooltip=tooltips)
        for card, place in zip(picture.cards, places, strict=True)
    ]


def _tooltips(picture: Picture, wanted: bool) -> list[str]:
    if not wanted:
        return [""] * len(picture.arrows)
    names = {card.number: clean(card.title) for card in picture.cards}
    return [_tooltip(arrow, names) for arrow in picture.arrows]


def _tooltip(arrow: Arrow, names: dict[int, str]) -> str:
    text = f"{names[arrow.source]} → {names[arrow.target]}, input {arrow.slot}"
    text += f"; local derivative {arrow.label}" if arrow.label else ""
    if arrow.share is not None:
        text += f"; {100 * arrow.share:.3g} % of the gradient of {names[arrow.source]}"
    return text + ("; no gradient passes" if arrow.dashed else "")
