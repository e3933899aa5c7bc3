"""Computing an op and making its node: the way from a call to the graph.

`record` says what happens, for any op. The two recorders do the same for the commonest shapes of a
call, spelled out, because a program of scalars spends most of its time here.
"""

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_bp.errors import CompileError, user_line
from tinygrad_bp.listeners import RECORDING
from tinygrad_bp.nested import flatten
from tinygrad_bp.selected import Selected
from tinygrad_bp.tensor import _NO_PARAMS, Tensor
from tinygrad_bp.validate import as_array

if TYPE_CHECKING:
    from tinygrad_bp.op import Op

# What NumPy raises at inputs that it does not accept.
REFUSALS = (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError)
NUMBERS = {float, int, bool, np.float64, np.float32}
PLAIN = {np.ndarray, *NUMBERS}
WEAK = {float, int}  # numbers without a dtype of their own

_new = Tensor.__new__


def record(op: "Op", inputs: Sequence[Any], params: dict[str, Any]) -> Tensor:
    """Compute `op` and, if an input belongs to a graph, remember how."""
    nodes = tuple([x if type(x) is Tensor else constant(op, i, x) for i, x in enumerate(inputs)])
    values = [x.value for x in nodes]
    value = compute(op, values, params)
    requires_grad = any(x.requires_grad for x in nodes)
    made = any(x.op is not None for x in nodes)
    return _node(op, value, nodes, values, params, requires_grad, made)


def compute(op: "Op", values: Sequence[Any], params: dict[str, Any]) -> Any:
    """Return the value of an op on plain values; say in one voice what was wrong with them."""
    try:
        return op.forward(*values, **params)
    except REFUSALS as error:
        raise op.explain(values, params, error) from error
    except CompileError as error:
        return unwritten(op, values, params, error)


def unary_recorder(op: "Op") -> Callable[[Tensor], Tensor]:
    """Make a function that does what `record` does, faster: one input, default parameters."""

    def record_unary(a: Tensor) -> Tensor:
        x = a.value
        try:
            value = op.forward(x)
        except REFUSALS as error:
            raise op.explain((x,), op.defaults, error) from error
        except CompileError as error:
            value = unwritten(op, (x,), op.defaults, error)
        if not a.requires_grad or RECORDING.get() is not True:
            return _node(op, value, (a,), (x,), op.defaults, a.requires_grad, a.op is not None)
        node = _new(Tensor)
        node.value, node.op, node.inputs, node.saved = value, op, (a,), (x,)
        node.params, node.requires_grad = op.defaults, op.differentiable
        node.name = node._grad = None
        return node

    return record_unary


def binary_recorder(op: "Op") -> Callable[[Any, Any], Tensor]:
    """Make a function that does what `record` does, faster: two inputs, no parameters."""

    def record_binary(a: Any, b: Any) -> Tensor:
        if type(a) is not Tensor:
            a = constant(op, 0, a)
        if type(b) is not Tensor:
            if type(b) is Selected:
                return NotImplemented  # it adds itself
            b = constant(op, 1, b)
        x, y = a.value, b.value
        try:
            value = op.forward(x, y)
        except REFUSALS as error:
            raise op.explain((x, y), _NO_PARAMS, error) from error
        except CompileError as error:
            value = unwritten(op, (x, y), _NO_PARAMS, error)
        requires_grad = a.requires_grad or b.requires_grad
        if not requires_grad or RECORDING.get() is not True:
            made = a.op is not None or b.op is not None
            return _node(op, value, (a, b), (x, y), _NO_PARAMS, requires_grad, made)
        node = _new(Tensor)
        node.value, node.op, node.inputs, node.saved = value, op, (a, b), (x, y)
        node.params, node.requires_grad = _NO_PARAMS, op.differentiable
        node.name = node._grad = None
        return node

    return record_binary


def unwritten(op: "Op", values: Sequence[Any], params: dict[str, Any], error: CompileError) -> Any:
    """Let an op that looks at numbers, where these are not known yet, wait for them."""
    for value in (*values, *flatten(params)[0]):
        if hasattr(value, "unwritten"):
            return value.unwritten(op, values, params)
    raise error


def _node(
    op: "Op",
    value: Any,
    inputs: tuple[Tensor, ...],
    saved: Sequence[Any],
    params: dict[str, Any],
    requires_grad: bool,
    made: bool,
) -> Tensor:
    """Make the node of a computed value: with its history if an input has one, else a constant."""
    y = _new(Tensor)
    y.value, y.params, y.name, y._grad = value, params, None, None
    mode = RECORDING.get()
    if mode is False or not (requires_grad or made):
        y.op, y.inputs, y.saved, y.requires_grad = None, (), (), False
        return y
    y.op, y.inputs, y.saved = op, inputs, saved
    y.requires_grad = requires_grad and op.differentiable
    if mode is not True:
        mode(y)
    return y


def constant(op: "Op", position: int, x: Any) -> Tensor:
    """Return a number or array met in an expression as a constant node."""
    if isinstance(x, Tensor):
        return x
    node = _new(Tensor)
    kind = type(x)
    if kind is not np.ndarray or x.dtype.kind not in "fiub":
        node.value = x if kind is float and op.weak else numbers(op, position, x)
    else:  # copied only if it is kept
        node.value = x if RECORDING.get() is False else x.copy()
    node.op = node.name = node._grad = None
    node.inputs = node.saved = ()
    node.params, node.requires_grad = _NO_PARAMS, False
    return node


def numbers(op: "Op", position: int, x: Any) -> Any:
    """Return a number as it is (so that 2 * x keeps the dtype of x), anything else as an array."""
    kind = type(x)
    if kind is np.ndarray and x.dtype.kind in "fiub":
        return x
    if isinstance(x, np.generic) and x.dtype.kind in "fiub":
        return x
    if op.weak and kind in NUMBERS and (kind is not int or x.bit_length() < 64):
        return x  # longer integers would become objects
    name = f"input {position}" if op.variadic else op.input_names[position]
    return as_array(x, f"{op.name}, argument {name} (at {user_line()})")


def freeze(value: Any, *, lists_are_arrays: bool = False) -> Any:
    """Copy what a caller could change later: lists become tuples (or arrays), Tensors values."""
    if value is None or isinstance(value, int | float | str):
        return value
    if isinstance(value, slice):
        bounds = (value.start, value.stop, value.step)
        return slice(*(freeze(b if b is None else operator.index(b)) for b in bounds))
    if isinstance(value, Tensor):
        value = value.value
    if isinstance(value, np.ndarray) or (lists_are_arrays and isinstance(value, list)):
        return np.array(value)
    if isinstance(value, tuple | list | range):
        return tuple(freeze(v, lists_are_arrays=lists_are_arrays) for v in value)
    return value
