"""Symbols: they stand for arrays whose numbers are not known yet, and write down what is done.

While a function is recorded for compilation, every Tensor holds a `Symbol` instead of an array.
The ops compute with it as ever; NumPy asks `__array_ufunc__` and `__array_function__`, and they
answer with a new Symbol. So the forward function of an op *is* its definition in primitives.
There are no numbers anywhere, hence none that could be baked into the program by accident.
"""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinygrad_bp.compiler import build
from tinygrad_bp.compiler.primitives import ELEMENTWISE, LOGIC, Value, constant
from tinygrad_bp.errors import CompileError, user_line
from tinygrad_bp.facts import Shape
from tinygrad_bp.nested import flatten
from tinygrad_bp.record import compute
from tinygrad_bp.tensor import Tensor


class Symbol(NDArrayOperatorsMixin):
    """An array of known shape and dtype, and of numbers that only the compiled program has."""

    __slots__ = ("value", "weak")
    symbolic = True

    def __init__(self, value: Value, weak: bool = False) -> None:
        self.value, self.weak = value, weak  # weak: a Python number, which adopts any float dtype

    @property
    def shape(self) -> Shape:
        """The length of every axis."""
        return self.value.shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the elements."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.value.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.value.size

    @property
    def T(self) -> "Symbol":
        """The axes reversed."""
        return Symbol(build.transpose(self.value, range(self.ndim)[::-1]))

    @property
    def mT(self) -> "Symbol":
        """The last two axes exchanged."""
        axes = list(range(self.ndim))
        axes[-2:] = axes[:-3:-1]
        return Symbol(build.transpose(self.value, axes))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a single number")
        return self.shape[0]

    def __getitem__(self, key: Any) -> "Symbol":
        if any(isinstance(k, Symbol) for k in (key if isinstance(key, tuple) else (key,))):
            refuse("an index that is computed")
        return self if self.shape == () == key else Symbol(build.index(self.value, key))

    def astype(self, dtype: Any) -> "Symbol":
        """Convert to a dtype."""
        return Symbol(build.cast(self.value, dtype))

    def scatter(self, key: Any, shape: Shape) -> "Symbol":
        """Add the elements into zeros of `shape`."""
        return Symbol(build.scatter(self.value, key, shape))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        if method == "reduce" and ufunc in REDUCED:
            return reduce_with(REDUCED[ufunc], *inputs, **{"axis": 0, **options})
        known = ufunc is np.fabs or ufunc.__name__ in ELEMENTWISE or ufunc in UFUNCS
        if method != "__call__" or options or not known:
            refuse(f"np.{ufunc.__name__}, which is no primitive")
        return UFUNCS[ufunc](*inputs) if ufunc in UFUNCS else apply(ufunc, *inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        from tinygrad_bp.compiler.numpy_functions import FUNCTIONS  # it builds on this file

        if function not in FUNCTIONS:
            refuse(f"np.{function.__name__}, which is no primitive")
        return FUNCTIONS[function](*args, **options)

    def __getattr__(self, name: str) -> Any:
        """Find the methods of arrays: NumPy's functions of the same name."""
        function = getattr(np, name, None)
        if not callable(function) or not hasattr(np.ndarray, name):
            raise AttributeError(f"a traced value has no attribute {name!r}")

        def method(*args: Any, **options: Any) -> Any:
            unpacked = name in ("reshape", "transpose") and args and isinstance(args[0], int)
            return function(self, *((args,) if unpacked else args), **options)

        return method

    def unwritten(self, op: Any, values: Any, params: Any) -> "Symbol":
        """Make an op that is not written in primitives one step of the program."""
        return call(op, values, params)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        refuse("a number asked of a traced value")

    __array__ = __bool__ = __float__ = __int__ = __index__ = _refuse
    item = tolist = _refuse
    __hash__ = object.__hash__


def refuse(given: str) -> NoReturn:
    """Raise the error for what cannot be written down."""
    raise CompileError(
        given,
        where=f"compile (at {user_line()})",
        expected="a computation that does not depend on the numbers, which are not known yet",
        repair="Choose with where(condition, a, b), index with known numbers, get gradients "
        "from grad(f) or y.gradient(x, differentiable=True), or leave this part uncompiled.",
    )


def call(op: Any, values: Sequence[Any], params: dict[str, Any]) -> Symbol:
    """Write down an op as it is: it is computed when the numbers are there.

    Its inputs may be symbols, and so may numbers inside of its parameters, such as an index.
    """
    leaves, rebuild = flatten((list(values), params))
    inputs = len(flatten(list(values))[0])
    places = tuple(i for i, x in enumerate(leaves) if isinstance(x, Symbol))
    if any(leaves[i].dtype.kind == "b" for i in places if i >= inputs):
        refuse("a mask as an index, which picks as many elements as the numbers say")
    sample = list(leaves)
    for i in places:
        sample[i] = harmless(leaves[i].value, index=i >= inputs)
    given, options = rebuild(iter(sample))
    with np.errstate(all="ignore"):
        y = np.asarray(compute(op, given, options))
    fixed = tuple(None if isinstance(x, Symbol) else x for x in leaves)
    made_from = tuple(leaves[i].value for i in places)
    return Symbol(Value("call", made_from, y.shape, y.dtype, (op, fixed, places, rebuild)))


def harmless(x: Value, index: bool = False) -> Any:
    """Make an array on which every function works: ones, the unit matrix, or a good index."""
    if index:
        return np.zeros(x.shape, x.dtype)[()]
    if len(x.shape) > 1:
        return np.broadcast_to(np.eye(*x.shape[-2:], dtype=x.dtype), x.shape).copy()
    return np.ones(x.shape, x.dtype)[()]


# ---------------------------------------------------------------------------------- elementwise


def apply(ufunc: np.ufunc, *inputs: Any) -> Any:
    """Write down a ufunc: convert its inputs to the dtypes that NumPy would compute in."""
    *dtypes, result = ufunc.resolve_dtypes((*map(kind_of, inputs), None))
    name = "absolute" if ufunc is np.fabs else ufunc.__name__
    if name in LOGIC:
        dtypes = [build.BOOL] * len(dtypes)
    values = [as_value(x, dtype) for x, dtype in zip(inputs, dtypes, strict=True)]
    weak = all(getattr(x, "weak", type(x) in (int, float)) for x in inputs)
    return Symbol(build.elementwise(name, *values, dtype=result), weak and result.kind == "f")


def kind_of(x: Any) -> Any:
    """Return what decides the dtype of a result: a dtype, or Python's int or float."""
    if isinstance(x, Symbol):
        return float if x.weak else x.dtype
    return type(x) if type(x) in (int, float) else np.asarray(x).dtype


def as_value(x: Any, dtype: Any = None) -> Value:
    """Return the value behind a symbol, or a constant."""
    if isinstance(x, Symbol):
        return x.value if dtype is None else build.cast(x.value, dtype)
    return constant(x, dtype)


def as_values(inputs: Any) -> tuple[list[Value], np.dtype]:
    """Convert arrays to the dtype that they have in common."""
    dtype = common_dtype(*inputs)
    return [as_value(x, dtype) for x in inputs], dtype


def common_dtype(*inputs: Any) -> np.dtype:
    """Return the dtype of a result that mixes the inputs."""
    kinds = [kind_of(x) for x in inputs]
    return np.result_type(*(k(0) if isinstance(k, type) else k for k in kinds))


def _sign(x: Any) -> Any:
    return np.where(x > 0, 1, np.where(x < 0, -1, np.where(x == 0, 0, x)))


def _heaviside(x: Any, at_zero: Any) -> Any:
    *_, dtype = np.heaviside.resolve_dtypes((kind_of(x), kind_of(at_zero), None))
    x, at_zero = Symbol(as_value(x, dtype)), Symbol(as_value(at_zero, dtype))
    step = np.where(x > 0, dtype.type(1), np.where(x < 0, dtype.type(0), at_zero))
    return np.where(x == x, step, x)


def _logaddexp(a: Any, b: Any) -> Any:
    larger, difference = np.maximum(a, b), a - b
    return np.where(a == b, a + float(np.log(2.0)), larger + np.log1p(np.exp(-np.abs(difference))))


# What these mean, in terms of simpler ones.
UFUNCS: dict[np.ufunc, Callable[..., Any]] = {
    np.matmul: lambda a, b: Symbol(build.matmul(*as_values((a, b))[0])),
    np.square: lambda x: x * x,
    np.reciprocal: lambda x: 1 / x,
    np.positive: lambda x: x,
    np.sign: _sign,
    np.heaviside: _heaviside,
    np.logaddexp: _logaddexp,
    np.isnan: lambda x: x != x,
    np.isfinite: lambda x: np.abs(x) < np.inf,
    np.isinf: lambda x: np.abs(x) == np.inf,
    np.bitwise_and: lambda a, b: bits(np.bitwise_and, np.logical_and, a, b),
    np.bitwise_or: lambda a, b: bits(np.bitwise_or, np.logical_or, a, b),
    np.invert: lambda x: bits(np.invert, np.logical_not, x),
}


def bits(ufunc: np.ufunc, logic: np.ufunc, *inputs: Any) -> Any:
    """Read & | ~ on booleans as logic."""
    return apply(logic if common_dtype(*inputs).kind == "b" else ufunc, *inputs)


# ---------------------------------------------------------------------------------- reductions

REDUCED = {
    np.add: "sum",
    np.multiply: "prod",
    np.maximum: "max",
    np.minimum: "min",
    np.logical_or: "any",
    np.logical_and: "all",
}


def axes_of(x: Symbol, axis: Any) -> tuple[int, ...]:
    """Return the axes that `axis` names, counted from the front."""
    if axis is None:
        return tuple(range(x.ndim))
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    return np.lib.array_utils.normalize_axis_tuple(axes, x.ndim)


def reduce_with(
    name: str, x: Symbol, axis: Any = None, keepdims: bool = False, initial: Any = None
) -> Any:
    """Write down a reduction."""
    combine = {"max": np.maximum, "min": np.minimum}
    if initial is not None and x.size == 0:
        shape = np.any(np.empty(x.shape, bool), axis, keepdims=keepdims).shape
        return Symbol(build.fill(shape, initial, x.dtype))
    y = Symbol(build.reduce(name, x.value, axes_of(x, axis), keepdims))
    return y if initial is None else combine[name](y, x.dtype.type(initial))
