"""One instruction for each elementwise primitive: the table from meanings to LLVM."""

import numpy as np

from tinygrad_bp.compiler.llvm_math import LIBM, OWN, function_of
from tinygrad_bp.compiler.llvm_text import Code, literal, type_of
from tinygrad_bp.compiler.primitives import COMPARISONS, LOGIC, Value

FLOATS = {"add": "fadd", "subtract": "fsub", "multiply": "fmul", "divide": "fdiv"}
INTEGERS = {"add": "add", "subtract": "sub", "multiply": "mul"}
INTRINSICS = {"sqrt": "sqrt", "absolute": "fabs", "floor": "floor", "ceil": "ceil", "rint": "rint"}
ORDERS = {
    "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge",
    "equal": "eq", "not_equal": "ne",
}  # fmt: skip
EXTREMES = {"maximum": ("maximum", "smax", "umax"), "minimum": ("minimum", "smin", "umin")}
LATER_ZERO = bool(np.signbit(np.maximum(0.0, -0.0)))  # of two zeros NumPy takes the second: x86


def supported(value: Value) -> bool:
    """Tell whether there is an instruction for a primitive on these dtypes."""
    name, dtype = value.primitive, value.inputs[0].dtype
    if name in ("cast", "select", *COMPARISONS, *LOGIC):
        return True
    if value.dtype.kind == "f":
        return name in {*FLOATS, *INTRINSICS, *EXTREMES, *OWN, *LIBM, "negative"}
    if dtype.kind in "iu":
        return name in {*INTEGERS, *EXTREMES, "negative", "absolute"}
    return name in ("maximum", "minimum", "add", "multiply")


def suffix_of(dtype: np.dtype, width: int) -> str:
    """Return how the names of intrinsics for this type end."""
    letter = "f" if dtype.kind == "f" else "i"
    bits = 1 if dtype.kind == "b" else dtype.itemsize * 8
    return f"v{width}" * (width > 1) + f"{letter}{bits}"


def emit(code: Code, value: Value, inputs: list[str], width: int) -> str:
    """Write the instructions for `width` elements of a value; return the name of the result."""
    name, dtype = value.primitive, value.inputs[0].dtype
    kind = type_of(dtype, width)
    if name == "cast":
        return _cast(code, inputs[0], dtype, value.dtype, width)
    if name == "select":
        return _select(code, value.dtype, inputs, width)
    if name in COMPARISONS:
        return compare(code, ORDERS[name], dtype, inputs, width)
    if name in OWN or name in LIBM:
        function = function_of(code.module, name, value.dtype, width)
        given = ", ".join(f"{kind} {x}" for x in inputs)
        return code.put(f"call {kind} @{function}({given})")
    if name in EXTREMES and dtype.kind == "f" and LATER_ZERO:
        return _extreme(code, "gt" if name == "maximum" else "lt", dtype, inputs, width)
    if len(inputs) == 2:
        return combine(code, name, dtype, inputs[0], inputs[1], width)
    return _unary(code, name, dtype, inputs[0], width)


def combine(code: Code, name: str, dtype: np.dtype, a: str, b: str, width: int) -> str:
    """Write an operation on two inputs of one dtype."""
    kind = type_of(dtype, width)
    if name in EXTREMES and dtype.kind != "b":
        choice = EXTREMES[name]["fiu".index(dtype.kind)]
        return code.call(f"llvm.{choice}.{suffix_of(dtype, width)}", kind, (kind, a), (kind, b))
    if dtype.kind == "b":
        either = name in ("logical_or", "maximum", "add")
        return code.put(f"{'or' if either else 'and'} {kind} {a}, {b}")
    operation = (FLOATS if dtype.kind == "f" else INTEGERS)[name]
    return code.put(f"{operation} {kind} {a}, {b}")


def _extreme(code: Code, order: str, dtype: np.dtype, inputs: list[str], width: int) -> str:
    """Choose as NumPy does on x86: the first of two NaN, the second of two equal numbers."""
    mask, kind = type_of(np.dtype(bool), width), type_of(dtype, width)
    a, b = inputs
    beyond = compare(code, order, dtype, inputs, width)
    best = code.put(f"select {mask} {beyond}, {kind} {a}, {kind} {b}")
    nan = code.put(f"fcmp uno {kind} {a}, {a}")
    return code.put(f"select {mask} {nan}, {kind} {a}, {kind} {best}")


def _unary(code: Code, name: str, dtype: np.dtype, x: str, width: int) -> str:
    kind = type_of(dtype, width)
    if name == "logical_not":
        return code.put(f"xor {kind} {x}, {literal(1, dtype, width)}")
    if dtype.kind == "f":
        if name == "negative":
            return code.put(f"fneg {kind} {x}")
        intrinsic = f"llvm.{INTRINSICS[name]}.{suffix_of(dtype, width)}"
        return code.call(intrinsic, kind, (kind, x))
    negative = code.put(f"sub {kind} {literal(0, dtype, width)}, {x}")
    if name == "negative" or dtype.kind == "u":
        return negative if name == "negative" else x
    below = compare(code, "lt", dtype, [x, literal(0, dtype, width)], width)
    mask = type_of(np.dtype(bool), width)
    return code.put(f"select {mask} {below}, {kind} {negative}, {kind} {x}")


def compare(code: Code, order: str, dtype: np.dtype, inputs: list[str], width: int) -> str:
    """Compare; a comparison with NaN is false, and only ≠ is true."""
    kind = type_of(dtype, width)
    if dtype.kind == "f":
        condition = "une" if order == "ne" else f"o{order}"
        return code.put(f"fcmp {condition} {kind} {inputs[0]}, {inputs[1]}")
    sign = "" if order in ("eq", "ne") else "s" if dtype.kind == "i" else "u"
    return code.put(f"icmp {sign}{order} {kind} {inputs[0]}, {inputs[1]}")


def _select(code: Code, dtype: np.dtype, inputs: list[str], width: int) -> str:
    mask, kind = type_of(np.dtype(bool), width), type_of(dtype, width)
    condition, a, b = inputs
    return code.put(f"select {mask} {condition}, {kind} {a}, {kind} {b}")


def _cast(code: Code, x: str, old: np.dtype, new: np.dtype, width: int) -> str:
    before, after = type_of(old, width), type_of(new, width)
    if old == new or (old.kind in "iu" and new.kind in "iu" and old.itemsize == new.itemsize):
        return x
    if new.kind == "b":
        return compare(code, "ne", old, [x, literal(0, old, width)], width)
    if new.kind == "f" and old.kind == "f":
        return code.put(f"{'fpext' if new.itemsize > 4 else 'fptrunc'} {before} {x} to {after}")
    if new.kind == "f":
        return code.put(f"{'sitofp' if old.kind == 'i' else 'uitofp'} {before} {x} to {after}")
    if old.kind == "f":  # saturating: what does not fit must not be undefined
        sign = "s" if new.kind == "i" else "u"
        intrinsic = f"llvm.fpto{sign}i.sat.{suffix_of(new, width)}.{suffix_of(old, width)}"
        return code.call(intrinsic, after, (before, x))
    if old.kind != "b" and new.itemsize < old.itemsize:
        return code.put(f"trunc {before} {x} to {after}")
    return code.put(f"{'sext' if old.kind == 'i' else 'zext'} {before} {x} to {after}")
