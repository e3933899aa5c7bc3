"""The first place where two drawn graphs are not the same."""

import hashlib
import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.render.words import FULL, Reading
from tinygrad_bp.summary import many


class Trace(NamedTuple):
    """What is kept of numbers to compare them: exactly by digest, roughly by a few of them."""

    digest: bytes
    few: tuple[float, ...]  # all numbers if there are few, else their size
    text: str


class Record(NamedTuple):
    """What is kept of a node to compare it: words and traces, not the node."""

    title: str
    look: tuple[Any, ...]  # op, shape, dtype, parameters
    inputs: tuple[int, ...]
    value: Trace
    gradient: Trace | None
    line: str


def trace(array: Any, reading: Reading) -> Trace:
    """Take the trace of an array; 0.0 and -0.0 leave the same."""
    if np.ndim(array) == 0:  # as in a graph of scalars, where there are many
        x = float(array) + 0.0
        return Trace(struct.pack("d", x), (x,), reading.full)
    values = np.asarray(array, np.float64) + 0.0
    few = tuple(values.ravel().tolist()) if values.size <= FULL else (reading.typical, reading.size)
    digest = hashlib.blake2b(values.tobytes(), digest_size=12).digest()
    return Trace(digest, few, reading.full)


class Difference:
    """The first difference between two drawings; false if there is none.

    ``kind``: "structure", "value", "gradient" or "" for none; ``number``: of the node in the order
    of the graph; ``text``: what it says when it is printed.
    """

    def __init__(self, kind: str = "", number: int | None = None, text: str = "") -> None:
        self.kind, self.number = kind, number
        self.text = text or "No difference: the same graph, the same values, the same gradients."

    def __bool__(self) -> bool:
        return bool(self.kind)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Difference: {self.text}>"


def difference(a: Sequence[Record], b: Sequence[Record], rtol: float = 0.0) -> Difference:
    """Compare two graphs: structure and values from the inputs on, gradients from the root back."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if (x.look, x.inputs) != (y.look, y.inputs):
            return Difference("structure", i, _structure(x, y, a, b))
        if _differ(x.value, y.value, rtol):
            return Difference("value", i, _numbers("value", x, y, a, b, rtol))
    if len(a) != len(b):
        longer = max(a, b, key=len)[min(len(a), len(b))]
        text = f"The graphs have {len(a):,} and {many(len(b), 'node')}; the first that only one has"
        return Difference("structure", min(len(a), len(b)), f"{text} is {_place(longer)}.")
    for i in reversed(range(len(a))):
        if _differ(a[i].gradient, b[i].gradient, rtol):
            return Difference("gradient", i, _numbers("gradient", a[i], b[i], a, b, rtol))
    return Difference()


def _differ(x: Trace | None, y: Trace | None, rtol: float) -> bool:
    if x is None or y is None:
        return x is not y
    if x.digest == y.digest:
        return False
    if not rtol or len(x.few) != len(y.few):
        return True
    near = rtol * max((abs(v) for v in x.few if math.isfinite(v)), default=0.0)
    return not all(
        math.isclose(v, w, rel_tol=rtol, abs_tol=near) or (v != v and w != w)
        for v, w in zip(x.few, y.few, strict=True)
    )


# ---------------------------------------------------------------------------------- in words


def _place(x: Record) -> str:
    return f"{x.title} ({x.line})" if x.line else x.title


def _places(x: Record, y: Record) -> str:
    return _place(x) if _place(x) == _place(y) else f"{_place(x)} / {_place(y)}"


def _structure(x: Record, y: Record, a: Sequence[Record], b: Sequence[Record]) -> str:
    if x.look != y.look:
        return f"The graphs part at {_places(x, y)}: {_look(x)} and {_look(y)}."
    ours, theirs = ([graph[i].title for i in r.inputs] for graph, r in ((a, x), (b, y)))
    return (
        f"The graphs part at {_places(x, y)}: it is made of {', '.join(ours) or 'nothing'} "
        f"and of {', '.join(theirs) or 'nothing'}."
    )


def _look(x: Record) -> str:
    op, shape, dtype, params = x.look
    settings = "".join(f", {key}={value}" for key, value in params)
    return f"{op} of shape {shape}, {dtype}{settings}"


def _numbers(
    what: str, x: Record, y: Record, a: Sequence[Record], b: Sequence[Record], rtol: float
) -> str:
    ours, theirs = (getattr(r, what) for r in (x, y))
    said = [r.text if r else "none" for r in (ours, theirs)]
    if said[0] == said[1] and ours.few != theirs.few:
        said = [", ".join(map(repr, r.few)) for r in (ours, theirs)]
    counts = " and ".join(_counts(a, b, rtol))
    return (
        f"The first {what} that differs is that of {_places(x, y)}:\n"
        f"    {said[0]}\n    {said[1]}\nOf {many(len(a), 'node')}, {counts} differ."
    )


def _counts(a: Sequence[Record], b: Sequence[Record], rtol: float) -> Iterator[str]:
    for what in ("value", "gradient"):
        pairs = zip(a, b, strict=False)
        count = sum(_differ(getattr(x, what), getattr(y, what), rtol) for x, y in pairs)
        yield many(count, what)
