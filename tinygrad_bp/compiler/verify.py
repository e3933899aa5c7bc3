"""The checker of programs: what every stage leaves must be typed, ordered and known."""

from typing import Any

import numpy as np

from tinygrad_bp.compiler.primitives import (
    COMPARISONS,
    LOGIC,
    MEANINGS,
    REDUCTIONS,
    SEARCHES,
    Value,
    evaluate,
    is_elementwise,
)
from tinygrad_bp.compiler.program import Program
from tinygrad_bp.errors import CompileError


def verify(program: Program, stage: str) -> Program:
    """Return the program; raise `CompileError` if a value is not what its primitive makes."""
    seen: set[Value] = set()
    for value in program.values:
        for x in value.inputs:
            _expect(x in seen, value, stage, "inputs that come before it")
        _check(value, stage)
        seen.add(value)
    for y in program.outputs:
        _expect(y in seen, y, stage, "outputs that are computed")
    return program


def _check(value: Value, stage: str) -> None:
    """Compare the stated shape and dtype with what the primitive gives on empty memory."""
    if value.primitive == "input":
        _expect(not value.inputs, value, stage, "an input without inputs")
    elif value.primitive == "constant":
        (array,) = value.params
        agrees = (array.shape, array.dtype) == (value.shape, value.dtype)
        _expect(agrees, value, stage, "the constant that it states")
    elif is_elementwise(value):
        _expect(all(x.shape == value.shape for x in value.inputs), value, stage, "equal shapes")
        _check_dtypes(value, stage)
    elif value.primitive in MEANINGS or value.primitive in REDUCTIONS | SEARCHES:
        if value.primitive != "call":
            _check_shape(value, stage)
    else:
        _expect(False, value, stage, "a primitive that exists")


def _check_dtypes(value: Value, stage: str) -> None:
    dtypes = [x.dtype for x in value.inputs]
    if value.primitive in LOGIC:
        _expect(all(d.kind == "b" for d in (*dtypes, value.dtype)), value, stage, "booleans")
    elif value.primitive in COMPARISONS:
        _expect(value.dtype.kind == "b", value, stage, "a boolean result")
    elif value.primitive == "select":
        agree = dtypes[0].kind == "b" and dtypes[1] == dtypes[2] == value.dtype
        _expect(agree, value, stage, "a condition and two branches of its dtype")
    elif value.primitive != "cast":
        result = getattr(np, value.primitive).resolve_dtypes((*dtypes, None))
        _expect(result == (*dtypes, value.dtype), value, stage, "the dtypes of its ufunc")


def _check_shape(value: Value, stage: str) -> None:
    """Evaluate on arrays that take no memory: all elements are one zero."""
    if value.size > 1 << 16 or any(x.size > 1 << 16 for x in value.inputs):
        return  # too large to try
    arrays = [np.broadcast_to(np.zeros((), x.dtype), x.shape) for x in value.inputs]
    try:
        shape: Any = np.shape(evaluate(value, *arrays))
    except (ValueError, IndexError, TypeError) as error:
        shape = error
    _expect(shape == value.shape, value, stage, f"its shape: NumPy gives {shape}")


def _expect(holds: bool, value: Value, stage: str, expected: str) -> None:
    if not holds:
        raise CompileError(
            f"{value!r}",
            where=f"the program after {stage}",
            expected=expected,
            repair="This is a fault of the compiler; engine='eager' does without it.",
        )
