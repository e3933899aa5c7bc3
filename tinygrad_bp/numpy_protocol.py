"""NumPy's own functions on Tensors: they record, or they say which supported one is nearest.

NumPy asks `__array_ufunc__` for its ufuncs and `__array_function__` for everything else. The table
of what is supported is derived from the registry; nothing is listed twice.
"""

import difflib
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_bp.facts import OPS
from tinygrad_bp.op import Op
from tinygrad_bp.tensor import Tensor

# Questions about shapes and values: answered from the plain values, nothing to record.
PLAIN_ANSWERS: tuple[Callable[..., Any], ...] = (
    np.shape, np.ndim, np.size, np.result_type, np.zeros_like, np.ones_like, np.full_like,
    np.empty_like, np.array_equal, np.array_equiv, np.allclose, np.isclose, np.count_nonzero,
    np.argsort, np.nonzero, np.flatnonzero, np.searchsorted, np.array_repr, np.array_str,
    np.array2string, np.iscomplexobj, np.isrealobj, np.isscalar, np.may_share_memory,
    np.shares_memory, np.min_scalar_type, np.common_type, np.can_cast, np.copy,
)  # fmt: skip

ALIASES: dict[Callable[..., Any], str] = {np.amax: "max", np.amin: "min"}
REDUCTIONS = {np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min"}

# Keyword arguments of NumPy's functions that change nothing at these values.
_HARMLESS = {"out": (None,), "dtype": (None,), "where": (True,), "casting": ("same_kind",),
             "order": ("K", "C"), "subok": (True, False), "like": (None,), "copy": (None,),
             "optimize": (True, False, "greedy"), "mean": (), "initial": (None,)}  # fmt: skip


def supported() -> dict[Callable[..., Any], str]:
    """Map every NumPy function that records on Tensors to the name of its op.

    >>> supported()[np.tanh]
    'tanh'
    """
    table = {f: name for name, op in OPS.items() for f in op.facts.numpy}
    return table | ALIASES


def array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """Record a NumPy ufunc as the op of the same meaning."""
    table = _TABLE if ufunc in _TABLE else _fill()
    if method == "__call__" and ufunc in table:
        op = OPS[table[ufunc]]
        if isinstance(op, Op) and op.arity == 2 == len(inputs) and not options:
            return op.quick(*inputs)  # array * tensor: straight to the point
        return op(*inputs, **_without_harmless(ufunc, options))
    if method == "reduce" and ufunc in REDUCTIONS:
        options.setdefault("axis", 0)
        return OPS[REDUCTIONS[ufunc]](*inputs, **_without_harmless(ufunc, options))
    raise _unsupported(ufunc.__name__ + ("" if method == "__call__" else f".{method}"))


def array_function(
    self: Tensor, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    """Record a NumPy function as the op of the same meaning, or answer it from the values."""
    table = _TABLE if function in _TABLE else _fill()
    if function in table:
        return OPS[table[function]](*args, **_without_harmless(function, options))
    if function in PLAIN_ANSWERS:
        return function(*_values(args), **_values(options))
    raise _unsupported(_dotted(function))


_TABLE: dict[Callable[..., Any], str] = {}


def _fill() -> dict[Callable[..., Any], str]:
    """Read the registry again: an op may have been declared since."""
    _TABLE.update(supported())
    return _TABLE


def _without_harmless(function: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Drop keyword arguments that ask for nothing; refuse those that ask for what we cannot."""
    kept = {}
    for key, value in options.items():
        if value is np._NoValue or key in _HARMLESS and any(value is v for v in _HARMLESS[key]):
            continue
        if key in ("out", "dtype", "where", "casting"):
            raise TypeError(
                f"numpy.{_dotted(function)}: got {key}={value!r}; expected no such argument with "
                f"a Tensor. {_REPAIRS[key]}"
            )
        kept[key] = value
    return kept


_REPAIRS = {
    "out": "Recorded values never change: use the result that is returned.",
    "dtype": "Convert with tensor.astype(dtype).",
    "where": "Use tg.where(mask, tensor, 0).",
    "casting": "Leave it out.",
}


def _values(data: Any) -> Any:
    """Replace Tensors by their values, inside lists, tuples and dicts as well."""
    if isinstance(data, Tensor):
        return data.data
    if isinstance(data, list | tuple):
        return type(data)(_values(x) for x in data)
    if isinstance(data, dict):
        return {key: _values(x) for key, x in data.items()}
    return data


def _dotted(function: Any) -> str:
    module = getattr(function, "__module__", None) or "numpy"  # a ufunc has none
    return f"{module}.{function.__name__}".removeprefix("numpy.")


def _unsupported(name: str) -> TypeError:
    names = sorted({_dotted(f) for f in supported()})
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
    return TypeError(
        f"numpy.{name}: got a Tensor; expected one of the functions that record. The nearest is "
        f"numpy.{nearest}; for the plain value, without a gradient, use tensor.data."
    )


Tensor.__array_ufunc__ = array_ufunc  # type: ignore[attr-defined]  # a protocol NumPy looks up
Tensor.__array_function__ = array_function  # type: ignore[attr-defined]  # likewise
