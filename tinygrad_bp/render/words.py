"""How arrays, counts and names are put into words."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.summary import FEW, Summary, summarize, summary_line
from tinygrad_bp.tensor import Tensor

LONGEST = 60  # characters of a line on a card
LINE = 32  # characters of a summary that fit on one
LABEL = 14  # characters on an arrow
FULL = 16  # numbers that are listed beside a card

_CONTROL = (*range(32), *range(127, 160), 0xFFFE, 0xFFFF)  # XML has no way to write them
_UNSEEN = dict.fromkeys(_CONTROL, "\N{REPLACEMENT CHARACTER}")
_BLANK = dict.fromkeys(map(ord, "\t\n\r\v\f\x85\u2028\u2029"), " ")


def clean(text: Any, longest: int = LONGEST) -> str:
    """Make one line of any text that every format can hold: no control characters, not endless.

    >>> clean("two\\nlines"), clean("a" * 9, longest=5)
    ('two lines', 'aaaa…')
    """
    line = str(text)
    if not line.isprintable():  # lone surrogates cannot be encoded
        line = line.translate(_UNSEEN | _BLANK).encode("utf-8", "replace").decode("utf-8")
    return line if len(line) <= longest else line[: longest - 1] + "…"


# ---------------------------------------------------------------------------------- arrays


def figure(x: Any, digits: int = 4) -> str:
    """Write a number so that products can be checked by hand: four digits, and no more zeros.

    >>> figure(0.25), figure(-0.1109576), figure(1e-9)
    ('0.25', '-0.111', '1e-09')
    """
    return f"{float(x) + 0.0:.{digits}g}"  # never -0


class Reading(NamedTuple):
    """What is said of an array: kept instead of the array."""

    typical: float  # the number itself, or the root mean square of several
    size: float  # NaN or infinity if any number is
    short: str  # for the card
    full: str  # for the space beside it


def read(array: Any) -> Reading:
    """Put an array or a number into words.

    >>> read(np.array([3.0, -4.0]))
    Reading(typical=3.5355339059327378, size=3.5355339059327378, short='[3, -4]', full='[3, -4]')
    """
    if np.ndim(array) == 0:
        x = float(array)
        return Reading(x, abs(x), figure(x), figure(x, 6))
    s = summarize(array)
    size = math.nan if s.nans else math.inf if s.infinities else s.rms
    if s.size > FULL:
        return Reading(s.rms, size, _in_short(s), summary_line(s, 4))
    full = listed(array)
    if s.size > FEW:
        return Reading(s.rms, size, _in_short(s), full)
    return Reading(s.rms, size, full if np.ndim(array) == 1 else listed(np.ravel(array)), full)


def _in_short(s: Summary) -> str:
    line = summary_line(s)
    return line if len(line) <= LINE else summary_line(s, 2)


def listed(array: Any, digits: int = 4) -> str:
    """Write every number of an array.

    >>> listed(np.array([[0.5, -1e-9], [1, 2]]))
    '[[0.5, -1e-09], [1, 2]]'
    """
    array = np.asarray(array)
    if array.ndim > 1:  # as deep as the array has axes, of which NumPy allows 64
        return f"[{', '.join(listed(row, digits) for row in array)}]"
    return f"[{', '.join(figure(x, digits) for x in array.tolist())}]"


def brief(array: Any) -> str:
    """Write numbers for an arrow: one if all are equal, a few in full, of many the range.

    >>> brief(np.ones((3, 3))), brief(np.array([1.0, 2.0])), brief(np.arange(9.0))
    ('1', '[1, 2]', '0 … 8')
    """
    if np.ndim(array) == 0:
        return figure(array)
    array = np.asarray(array)
    if array.size and (array == array.flat[0]).all():
        return figure(array.flat[0])
    few = listed(array.ravel(), 3) if 0 < array.size <= FEW else ""
    if len(few) <= LABEL and array.size <= FEW:
        return few
    s = summarize(array)
    return "NaN" if s.nans else f"{figure(s.low, 3)} … {figure(s.high, 3)}"


# ---------------------------------------------------------------------------------- names


def names_of(names: Mapping[str, Any] | None) -> dict[Tensor, str]:
    """Read a namespace such as ``locals()``: Tensors, and Tensors in its lists, tuples and dicts.

    A Tensor's own name comes before them all; else the first one counts. Names that begin with
    an underscore do not.
    """
    found: dict[Tensor, str] = {}
    for name, value in (names or {}).items():
        if isinstance(name, str) and not name.startswith("_"):
            for key, item in _items(value):
                if isinstance(item, Tensor) and not item.name:
                    found.setdefault(item, f"{name}{key}")
    return found


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, list | tuple):
        return ((f"[{i}]", item) for i, item in enumerate(value))
    if isinstance(value, dict):
        return ((f"[{key!r}]", item) for key, item in value.items())
    return (("", value),)
