"""The small fixed set of operations that programs consist of, and what each of them means.

`Value` is one array of a program: the primitive that makes it, the values that it is made from, a
shape and a dtype. `evaluate` says in NumPy what a primitive means; every engine must agree with it.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_bp.errors import CompileError, describe
from tinygrad_bp.facts import Shape
from tinygrad_bp.record import compute

_serial = itertools.count()  # only its order matters: that of recording


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """One array in a program."""

    primitive: str
    inputs: tuple["Value", ...]
    shape: Shape
    dtype: np.dtype
    params: tuple[Any, ...] = ()
    label: str = ""  # the name that a person gave it
    order: int = field(default_factory=lambda: next(_serial))

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __repr__(self) -> str:
        return f"<{self.primitive} {self.dtype}{list(self.shape)}>"


# Elementwise primitives carry the names of the ufuncs that they stand for. All inputs have the
# shape of the result: broadcasting and conversion are primitives of their own.
ARITHMETIC = (
    "add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "hypot", "arctan2",
)  # fmt: skip
UNARY = (
    "negative", "absolute", "sqrt", "floor", "ceil", "rint", "exp", "log", "tanh", "expm1",
    "log1p", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "arcsinh",
    "arccosh", "arctanh", "exp2", "log2", "log10", "cbrt",
)  # fmt: skip
COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
LOGIC = ("logical_and", "logical_or", "logical_not")
ELEMENTWISE = {*ARITHMETIC, *UNARY, *COMPARISONS, *LOGIC, "select", "cast"}
VIEWS = ("broadcast", "reshape", "transpose", "slice")
REDUCTIONS = {
    "sum": np.add.reduce,
    "prod": np.multiply.reduce,
    "max": np.maximum.reduce,
    "min": np.minimum.reduce,
    "any": np.logical_or.reduce,
    "all": np.logical_and.reduce,
}
SEARCHES = {"argmax": np.argmax, "argmin": np.argmin}


def is_elementwise(value: Value) -> bool:
    """Tell whether each element is computed from the elements of the inputs at the same place."""
    return value.primitive in ELEMENTWISE


def is_view(value: Value) -> bool:
    """Tell whether the elements are those of the input, found elsewhere."""
    return value.primitive in VIEWS


def base_of(value: Value) -> Value:
    """Return what a chain of views looks at."""
    while is_view(value):
        (value,) = value.inputs
    return value


def constant(data: Any, dtype: Any = None) -> Value:
    """Make a value that is known."""
    array = np.array(data, dtype=dtype)
    array.flags.writeable = False
    return Value("constant", (), array.shape, array.dtype, (array,))


def known(value: Value) -> Any:
    """Return the number that a value is everywhere, if it is a constant, else None."""
    while value.primitive == "broadcast":
        (value,) = value.inputs
    return value.params[0].item() if value.primitive == "constant" and value.size == 1 else None


# ---------------------------------------------------------------------------------- meaning


def slices(starts: Sequence[int], steps: Sequence[int], lengths: Shape) -> tuple[slice, ...]:
    """Return the index that takes `lengths` elements from `starts` in `steps`."""
    index = []
    for start, step, length in zip(starts, steps, lengths, strict=True):
        stop = start + step * length
        index.append(slice(start, stop if stop >= 0 else None, step))
    return tuple(index)


def view_of(value: Value, x: Any) -> Any:
    """Apply a view to an array."""
    match value.primitive:
        case "broadcast":
            return np.broadcast_to(x, value.shape)
        case "reshape":
            return np.reshape(x, value.shape)
        case "transpose":
            return np.transpose(x, value.params[0])
    starts, steps = value.params
    return x[slices(starts, steps, value.shape)]


def subscripts_of(value: Value) -> str:
    """Write the labels of a contraction as np.einsum takes them."""
    left, right, result = ("".join(chr(97 + i) for i in labels) for labels in value.params)
    return f"{left},{right}->{result}"


def _select(_: Value, condition: Any, a: Any, b: Any) -> Any:
    return np.where(condition, a, b)


def _cast(value: Value, x: Any) -> Any:
    return np.asarray(x).astype(value.dtype)


def _gather(value: Value, x: Any) -> Any:
    return np.reshape(x, -1)[value.params[0]]


def _scatter(value: Value, x: Any) -> Any:
    y = np.zeros(value.size, value.dtype)
    np.add.at(y, value.params[0], x)
    return y.reshape(value.shape)


def _place(value: Value, x: Any) -> Any:
    starts, steps, fill = value.params
    y = np.full(value.shape, fill, value.dtype)
    y[slices(starts, steps, np.shape(x))] = x
    return y


def _join(value: Value, *arrays: Any) -> Any:
    return np.concatenate(arrays, axis=value.params[0])


def _cumsum(value: Value, x: Any) -> Any:
    return np.cumsum(x, axis=value.params[0])


def _contract(value: Value, a: Any, b: Any) -> Any:
    return np.einsum(subscripts_of(value), a, b)


def _call(value: Value, *arrays: Any) -> Any:
    op, leaves, places, rebuild = value.params
    given = list(leaves)
    for place, array in zip(places, arrays, strict=True):
        given[place] = array if array.ndim else array[()]
    result = np.asarray(compute(op, *rebuild(iter(given))))
    if result.shape != value.shape or result.dtype != value.dtype:
        raise CompileError(
            f"{describe(result)} from {op.name}",
            where="a compiled program",
            expected=f"{value.dtype} of shape {value.shape}, as when it was recorded",
            repair="The shape must not depend on the numbers; leave this part uncompiled.",
        )
    return result


MEANINGS: dict[str, Callable[..., Any]] = {
    "select": _select,
    "cast": _cast,
    "gather": _gather,
    "scatter": _scatter,
    "place": _place,
    "join": _join,
    "cumsum": _cumsum,
    "contract": _contract,
    "call": _call,
    **dict.fromkeys(VIEWS, view_of),
}


def evaluate(value: Value, *arrays: Any) -> Any:
    """Compute a value from the arrays of its inputs."""
    if value.primitive == "constant":
        return value.params[0]
    if value.primitive in MEANINGS:
        return MEANINGS[value.primitive](value, *arrays)
    if value.primitive in REDUCTIONS:
        return REDUCTIONS[value.primitive](arrays[0], axis=value.params[0])
    if value.primitive in SEARCHES:
        return SEARCHES[value.primitive](arrays[0], axis=value.params[0])
    return getattr(np, value.primitive)(*arrays)
