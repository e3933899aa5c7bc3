"""What a loop nest computes at one place: the values between memory and the result.

A value inside views is written (value, path): `path` lists the views that are still to be applied
to it. Views commute with elementwise work, so they travel down to the memory that is read, where
NumPy itself turns them into an offset and strides.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from tinygrad_bp.compiler.primitives import Value, is_elementwise, is_view, view_of
from tinygrad_bp.errors import CompileError
from tinygrad_bp.facts import Shape

Path = tuple[Value, ...]
Place = tuple[Value, Path]


class Access(NamedTuple):
    """Where elements lie in the memory of a value: offset and strides, in elements."""

    offset: int
    strides: Shape


def access(value: Value, path: Path) -> Access:
    """Apply views to the strides of contiguous memory."""
    dummy = np.zeros(value.shape, np.int8)
    view = dummy
    for step in path:
        view = view_of(step, view)
    if view.size == 0:
        return Access(0, (0,) * view.ndim)
    if not np.may_share_memory(view, dummy):
        raise CompileError(
            f"a reshape of {value!r} that has to copy",
            where="schedule",
            expected="memory for what it reads",
            repair="This is a fault of the compiler; engine='numpy' does without it.",
        )
    start = view.__array_interface__["data"][0] - dummy.__array_interface__["data"][0]
    return Access(start, view.strides)


def expression(root: Value, stored: Collection[Value], compute: bool = True) -> list[Place]:
    """List what is computed for one element of `root`, inputs first, memory that is read included.

    ``compute``: the root itself is computed, even if it has memory.
    """
    done: dict[Place, None] = {}
    stack: list[tuple[Place, bool]] = [((root, ()), False)]
    while stack:
        place, ready = stack.pop()
        if place in done:
            continue
        computed = place[0] not in stored or (compute and place[0] is root)
        inner = inputs_of(place) if computed else []
        if ready or not inner:
            done[place] = None
            continue
        stack.append((place, True))
        stack.extend((x, False) for x in reversed(inner) if x not in done)
    return list(done)


def inputs_of(place: Place) -> list[Place]:
    """Return the places that one place is computed from."""
    value, path = place
    if is_view(value):
        return [(value.inputs[0], (value, *path))]
    return [(x, path) for x in value.inputs] if is_elementwise(value) else []


def reads_of(value: Value, stored: Collection[Value]) -> list[Place]:
    """List the stored values that the loop nest of `value` reads, each with its views."""
    if is_elementwise(value) or is_view(value):
        return [p for p in expression(value, stored) if p[0] in stored and p[0] is not value]
    found: dict[Place, None] = {}
    for x in value.inputs:
        for read, path in expression(x, stored, compute=False):
            if read in stored:
                found[(read, (*path, value))] = None
    return list(found)
