"""The checker of programs: what every stage leaves must be typed, ordered and known."""

import numpy as np

from tinygrad_bp.compiler.primitives import COMPARISONS, LOGIC, Value, is_elementwise
from tinygrad_bp.compiler.program import Program
from tinygrad_bp.compiler.signatures import RULES, RuleError, expect, signature_of
from tinygrad_bp.errors import CompileError


def verify(program: Program, stage: str) -> Program:
    """Return the program; raise `CompileError` if a value is not what its primitive makes."""
    seen: set[Value] = set()
    for value in program.values:
        try:
            expect(all(x in seen for x in value.inputs), "inputs that come before it")
            _check(value)
        except RuleError as refused:
            raise _refusal(value, stage, str(refused)) from None
        seen.add(value)
    for y in program.outputs:
        if y not in seen:
            raise _refusal(y, stage, "outputs that are computed")
    return program


def _check(value: Value) -> None:
    """Compare the stated shape and dtype with what the primitive makes."""
    expect(all(type(n) is int and n >= 0 for n in value.shape), "a shape of whole numbers")
    if value.primitive == "input":
        expect(not value.inputs, "an input without inputs")
    elif value.primitive == "constant":
        (array,) = value.params
        agrees = (array.shape, array.dtype) == (value.shape, value.dtype)
        expect(agrees and not value.inputs, "the constant that it states")
    elif is_elementwise(value):
        expect(value.inputs and all(x.shape == value.shape for x in value.inputs), "equal shapes")
        _check_dtypes(value)
    elif value.primitive in RULES:
        shape, dtype = signature_of(value)
        expect(shape == value.shape, f"its shape: {list(shape)}")
        expect(dtype == value.dtype, f"its dtype: {dtype}")
    else:  # what a call returns is compared when it does
        expect(value.primitive == "call", "a primitive that exists")


def _check_dtypes(value: Value) -> None:
    dtypes = [x.dtype for x in value.inputs]
    if value.primitive in LOGIC:
        expect(all(d.kind == "b" for d in (*dtypes, value.dtype)), "booleans")
    elif value.primitive in COMPARISONS:
        expect(value.dtype.kind == "b", "a boolean result")
        expect(len(dtypes) == 2 and dtypes[0] == dtypes[1], "two inputs of one dtype")
    elif value.primitive == "select":
        agree = len(dtypes) == 3 and dtypes[0].kind == "b" and dtypes[1] == dtypes[2] == value.dtype
        expect(agree, "a condition and two branches of its dtype")
    elif value.primitive == "cast":
        expect(len(dtypes) == 1, "one input")
    else:
        _check_ufunc(value, dtypes)


def _check_ufunc(value: Value, dtypes: list[np.dtype]) -> None:
    function = getattr(np, value.primitive)
    expect(len(dtypes) == function.nin, f"{function.nin} inputs")
    try:
        result = function.resolve_dtypes((*dtypes, None))
    except TypeError as error:
        raise RuleError(f"dtypes that its ufunc takes ({error})") from error
    expect(result == (*dtypes, value.dtype), "the dtypes of its ufunc")


def _refusal(value: Value, stage: str, expected: str) -> CompileError:
    return CompileError(
        f"{value!r}",
        where=f"the program after {stage}",
        expected=expected,
        repair="This is a fault of the compiler; engine='eager' does without it.",
    )
