"""Text in SVG: what may stand in XML, and how wide it is, without asking any font."""

import unicodedata
from functools import lru_cache
from html import escape

# Widths in em: of each glyph the widest of the usual sans-serif fonts, so that nothing overflows.
_GLYPHS = {
    0.30: "'IJijl", 0.36: " ,./:;\\f|", 0.42: "!()-[]rt", 0.48: '"', 0.54: "*?_`sz",
    0.60: "FLckvxy", 0.66: "$0123456789EKPSTYabdeghnopqu{}", 0.72: "ABCRVXZ", 0.78: "&DGHNU",
    0.84: "#+<=>OQ^w~×−", 0.90: "M", 0.96: "%", 1.02: "@Wm…",
}  # fmt: skip
_EM = {glyph: em for em, glyphs in _GLYPHS.items() for glyph in glyphs}
_OTHER, _WIDE = 0.85, 1.05
BOLD = 1.1

_CONTROLS = {  # XML cannot hold them; and what would turn around the text that follows
    *range(0x20), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000),
    *range(0x202A, 0x202F), *range(0x2066, 0x206A),
}  # fmt: skip
_SHOWN = dict.fromkeys(_CONTROLS, "\N{REPLACEMENT CHARACTER}") | dict.fromkeys(
    map(ord, "\t\n\r\v\f\x85\u2028\u2029"), " "
)
_RIGHT_TO_LEFT = {"R", "AL"}
ISOLATE, END_ISOLATE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


def clean(text: str) -> str:
    """Make one line of characters that XML allows; the others are shown as replaced.

    Characters that turn the direction of what follows are replaced too.

    >>> clean("two\\nlines\\0")
    'two lines\N{REPLACEMENT CHARACTER}'
    """
    return text if text.isascii() and text.isprintable() else text.translate(_SHOWN)


def xml(text: str) -> str:
    """Write text into XML; what runs from right to left keeps to itself.

    >>> xml("a < b & c")
    'a &lt; b &amp; c'
    """
    line = clean(text)
    if not line.isascii() and any(unicodedata.bidirectional(c) in _RIGHT_TO_LEFT for c in line):
        line = f"{ISOLATE}{line}{END_ISOLATE}"
    return escape(line, quote=True)


@lru_cache(maxsize=4096)
def width(text: str, size: float, *, bold: bool = False) -> float:
    """Measure a line of text in pixels; a little too wide rather than too narrow.

    >>> width("Wi", 10.0)
    13.2
    """
    return round(sum(map(_em, text)) * size * (BOLD if bold else 1.0), 4)


def _em(glyph: str) -> float:
    if glyph in _EM:
        return _EM[glyph]
    if unicodedata.combining(glyph):
        return 0.0
    return _WIDE if unicodedata.east_asian_width(glyph) in "WF" or glyph > "\uffff" else _OTHER


@lru_cache(maxsize=4096)
def fit(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """Shorten a line of text to so many pixels.

    >>> fit("a long line", 40.0, 10.0)
    'a lon…'
    """
    line = clean(text[:MOST])
    if width(line, size, bold=bold) <= room:
        return line if len(text) <= MOST else line[:-1] + "…"
    room -= width("…", size, bold=bold)
    used, end = 0.0, 0
    for glyph in line:
        used += _em(glyph) * size * (BOLD if bold else 1.0)
        if used > room:
            break
        end += 1
    return line[:end] + "…"


MOST = 400  # characters of a line that are looked at


def wrap(text: str, room: float, size: float) -> list[str]:
    """Break text into lines of so many pixels, at spaces.

    >>> wrap("one two three", 60.0, 10.0)
    ['one two', 'three']
    """
    lines: list[str] = []
    for word in clean(text).split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, size) <= room:
            lines[-1] = longer
        else:
            lines.append(fit(word, room, size))
    return lines
