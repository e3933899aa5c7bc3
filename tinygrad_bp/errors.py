"""The exceptions of tinygrad_bp and the one voice in which they speak.

Every text answers four questions: where it happened, what was given, what was expected, and how
to repair it. Each class is also a standard one, so ``except ValueError`` keeps working.
"""

import re
import reprlib
import sys
from pathlib import Path
from typing import Any

_PACKAGE = str(Path(__file__).parent)


class TinygradError(Exception):
    """Base of every error that this library raises on purpose.

    >>> print(TinygradError("one word", where="add", expected="two", repair="Add a word."))
    add: got one word; expected two. Add a word.
    """

    def __init__(
        self, given: str, *, where: str = "", expected: str = "", repair: str = ""
    ) -> None:
        self.given, self.where, self.expected, self.repair = given, where, expected, repair
        super().__init__(self._text())

    def _text(self) -> str:
        text = f"{self.where}: got {self.given}" if self.where else self.given
        text += f"; expected {self.expected}." if self.expected else ""
        return f"{text} {self.repair}".strip()

    def locate(self, name: str) -> None:
        """Say where it happened, as far as that is not said: in which function, at which line.

        >>> error = ShapeError("(2,)", where="add")
        >>> error.locate("layer")
        >>> error.where.partition(" (at ")[0]
        'layer, in add'
        """
        own = not self.where or re.match(rf"{re.escape(name)}\b", self.where)
        where = (self.where or name) if own else f"{name}, in {self.where}"
        self.where = where if "(at " in where else f"{where} (at {user_line()})"
        self.args = (self._text(),)


class ShapeError(TinygradError, ValueError):
    """Shapes or axes that do not fit together."""


class InputError(TinygradError, ValueError):
    """A value that the called function cannot accept."""


class GraphError(TinygradError, RuntimeError):
    """A question that the recorded graph cannot answer."""


class GradientError(TinygradError, AssertionError):
    """A gradient that disagrees with independent numerics."""


class CompileError(TinygradError, RuntimeError):
    """A graph that cannot be turned into faster code."""


class StoreError(TinygradError, OSError):
    """A file that cannot be written, read or trusted."""


def describe(value: Any) -> str:
    """Say in a few words what a value is, such as ``float64 of shape (2, 3)``.

    >>> describe([1, 2]), describe("abc"), describe(None)
    ('list [1, 2]', "str 'abc'", 'None')
    """
    if value is None:
        return "None"
    kind = type(value).__name__
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is None:
        return f"{kind} of shape {shape}"
    if isinstance(shape, tuple) and (shape or not hasattr(value, "item")):
        return f"{dtype} of shape {shape}"
    if isinstance(shape, tuple):
        kind, value = str(dtype), value.item()
    try:
        text = " ".join(_SHORT.repr(value).split())
    except Exception:  # a repr that fails must not hide the error that is being reported
        return f"{kind} object"
    return f"{kind} object" if " at 0x" in text else f"{kind} {text}"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def user_line() -> str:
    """Name the innermost source line that is not part of this library, as ``file.py:12``.

    >>> user_line().count(":")
    1
    """
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
