"""Badges: a shape and a word each, so that nobody needs colour to tell them apart."""

from collections.abc import Iterable, Sequence

from tinygrad_bp.render.svg_text import fit, width, xml

SIZE = 10.0  # of the words
SHAPE = 14.0  # width of the shape and the space after it
SPACE = 8.0  # around both
GAP = 4.0  # between badges

SHAPES = {  # each within 10 by 10 pixels, around (0, 0)
    "NaN": "M-2 -4h4l2 2v4l-2 2h-4l-2 -2v-4z",
    "Inf": "M-2 -4h4l2 2v4l-2 2h-4l-2 -2v-4z",
    "exploded": "M0 -4l4.5 8h-9z",
    "vanished": "M0 4l4.5 -8h-9z",
    "dead": "M-4 -4l8 8m0 -8l-8 8",
    "saturated": "M-5 4h3l4 -8h3",
    "detached": "M-5 0h3m4 0h3m-6 -4l2 8",
    "unreached": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
    "broadcast": "M-4 -3h8m-8 3h8m-8 3h8",
}
OTHER = "M0 -5l5 5l-5 5l-5 -5z"
MILD = ("saturated", "detached", "unreached", "broadcast")


def badge_width(badge: str) -> float:
    """Return the width of a badge.

    >>> badge_width("dead")
    51.0
    """
    return float(int(width(_word(badge), SIZE, bold=True) + SHAPE + SPACE))


def badge_row(badges: Iterable[str], x: float, y: float) -> list[str]:
    """Draw badges side by side."""
    parts = []
    for badge in badges:
        wide = int(badge_width(badge))
        kind = "m" if badge in MILD else "k"
        left, top = int(x), int(y)
        parts.append(
            f'<g class="{kind}"><rect x="{left}" y="{top}" width="{wide}" height="16" rx="8"/>'
            f'<path transform="translate({left + 9} {top + 8})" d="{_shape(badge)}"/>'
            f'<text x="{left + 18}" y="{top + 12}">{xml(_word(badge))}</text></g>'
        )
        x += wide + GAP
    return parts


def _word(badge: str) -> str:
    return fit(badge, 150.0, SIZE, bold=True)


def _shape(badge: str) -> str:
    return SHAPES.get(badge.partition(" ")[0], OTHER)


def total_width(badges: Sequence[str]) -> float:
    """Return the width of a row of badges."""
    return sum(map(badge_width, badges)) + GAP * max(len(badges) - 1, 0)
