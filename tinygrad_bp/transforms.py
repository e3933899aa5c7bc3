"""Functions of functions: gradients, Jacobians, Hessians, and products with them.

Each calls the function with Tensors, so that it is recorded, and asks the graph. Arguments may be
arrays, numbers, or nested lists, tuples and dicts of them; results have the same nesting, and
are plain arrays and floats unless an argument is a Tensor (or another transform is at work).
Forward mode needs no rules of its own: u ↦ Jᵀu is a recorded linear function, and its derivative
with respect to u, applied to v, is Jv.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_bp.errors import ShapeError
from tinygrad_bp.nested import flatten, transform
from tinygrad_bp.ops.join import stack
from tinygrad_bp.ops.shape import reshape, transpose
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.tracing import (
    Argnums,
    Function,
    Trace,
    as_constant,
    as_tuple,
    at_work,
    contract_outputs,
    dot_all,
    gradients_of,
    nest,
    plain,
    plain_tree,
    pull,
    same_structure,
    single_output,
    trace_call,
)

# ---------------------------------------------------------------------------------- gradients


def grad(function: Function, argnums: Argnums = 0) -> Function:
    """Return the function that computes the gradient of a single number.

    ``argnums``: the position of the argument to differentiate, or several. Raises `ShapeError`
    if the function returns more than one number, `GraphError` if it returns no Tensor.

    >>> import numpy as np
    >>> grad(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """

    @functools.wraps(function)
    def gradient(*args: Any, **options: Any) -> Any:
        return pair(*args, **options)[1]

    pair = value_and_grad(function, argnums)
    return gradient


def value_and_grad(function: Function, argnums: Argnums = 0) -> Function:
    """Return the function that computes (value, gradient), as scipy.optimize expects them.

    Arguments and errors are those of `grad`.

    >>> import numpy as np
    >>> value_and_grad(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    (9.0, array([ 3., 12.]))
    """

    @functools.wraps(function)
    def value_and_gradient(*args: Any, **options: Any) -> Any:
        with at_work() as connected:
            trace = trace_call(function, args, argnums, options, connected)
            y = single_output(trace)
            if y.size != 1:
                raise ShapeError(
                    f"a result of shape {y.shape}",
                    where=f"the gradient of {trace.name}",
                    expected="a single number",
                    repair="Reduce it, e.g. with .sum(), or use jacobian or elementwise_grad.",
                )
            return plain(y, trace), gradients_of(trace, y, np.ones(y.shape))

    return value_and_gradient


def elementwise_grad(function: Function, argnums: Argnums = 0) -> Function:
    """Return the derivative of a function that acts on every element by itself.

    It is the gradient of the sum of its results. Arguments and errors are those of `grad`.

    >>> import numpy as np
    >>> elementwise_grad(np.sin)(np.array([0.0, np.pi]))
    array([ 1., -1.])
    """

    @functools.wraps(function)
    def derivative(*args: Any, **options: Any) -> Any:
        with at_work() as connected:
            trace = trace_call(function, args, argnums, options, connected)
            y = single_output(trace)
            return gradients_of(trace, y, np.ones(y.shape))

    return derivative


# ---------------------------------------------------------------------------------- products


def vjp(function: Function, *args: Any) -> tuple[Any, Function]:
    """Evaluate a function and return (value, pullback).

    ``pullback(u)`` takes a cotangent u, nested and shaped like the value, and returns a tuple
    with uᵀ·∂f/∂arg for each argument. Raises `ShapeError` if u does not fit.

    >>> import numpy as np
    >>> value, pullback = vjp(lambda x: x**2, np.array([1.0, 2.0]))
    >>> pullback(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    with at_work() as connected:
        trace = trace_call(function, args, tuple(range(len(args))), {}, connected)
        value = plain_tree(trace.output, trace)

    def pullback(cotangent: Any) -> Any:
        with at_work():
            total, seed = contract_outputs(trace.output, cotangent, f"the pullback of {trace.name}")
            return gradients_of(trace, total, seed)

    return value, pullback


def jvp(function: Function, args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Evaluate a function and its change along `tangents`: return (value, ∂f/∂args · tangents).

    ``args`` and ``tangents``: tuples, nested and shaped alike. Raises `ShapeError` if not.

    >>> import numpy as np
    >>> jvp(lambda x: x**2, (np.array([1.0, 2.0]),), (np.array([1.0, 10.0]),))
    (array([1., 4.]), array([ 2., 40.]))
    """
    args = as_tuple(args, "jvp, argument args")
    tangents = as_tuple(tangents, "jvp, argument tangents")
    with at_work() as connected:
        trace = trace_call(function, args, tuple(range(len(args))), {}, connected)
        same_structure(trace.variables, tuple(tangents), f"the tangents of {trace.name}")
        pushed = transform(lambda y: _push(y, trace, flatten(tuple(tangents))[0]), trace.output)
        return plain_tree(trace.output, trace), plain_tree(pushed, trace)


def hvp(function: Function, args: Sequence[Any], vectors: Sequence[Any]) -> Any:
    """Multiply the Hessian of a function by vectors, at the cost of a few gradients.

    ``args`` and ``vectors``: tuples, nested and shaped alike; so is the result. Errors are those
    of `grad` and `jvp`.

    >>> import numpy as np
    >>> hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 10.0]),))
    (array([  6., 120.]),)
    """
    args = as_tuple(args, "hvp, argument args")
    vectors = as_tuple(vectors, "hvp, argument vectors")
    every = tuple(range(len(args)))

    def directional(*inputs: Any) -> Any:
        gradients = flatten(grad(function, every)(*inputs))[0]
        return dot_all(gradients, flatten(tuple(vectors))[0])

    same_structure(tuple(args), tuple(vectors), "the vectors of hvp")
    return grad(directional, every)(*args)


def _push(y: Tensor, trace: Trace, tangents: list[Any]) -> Tensor:
    """Return J·v for one output: differentiate u ↦ Jᵀu, which is linear, with respect to u."""
    u = Tensor(np.ones(y.shape), dtype=y.dtype)
    pulled = pull(y, flatten(trace.variables)[0], True, u)
    return as_constant(pull(dot_all(pulled, tangents), [u], True, None)[0])


# ---------------------------------------------------------------------------------- matrices


def jacobian(function: Function, argnums: Argnums = 0) -> Function:
    """Return the function that computes all derivatives ∂y/∂x, of shape y.shape + x.shape.

    The result is nested like the value of the function and, inside, like the argument. It costs
    one pass through the graph per element of y or of x, whichever are fewer.

    >>> import numpy as np
    >>> jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    @functools.wraps(function)
    def matrix(*args: Any, **options: Any) -> Any:
        with at_work() as connected:
            trace = trace_call(function, args, argnums, options, connected)
            return transform(lambda y: _jacobian_of(y, trace), trace.output)

    return matrix


def hessian(function: Function, argnums: Argnums = 0) -> Function:
    """Return the function that computes all second derivatives of a single number.

    The result has the shape x.shape + x.shape; for several or nested arguments it is nested
    twice. Errors are those of `grad`.

    >>> import numpy as np
    >>> hessian(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    return jacobian(grad(function, argnums), argnums)


def _jacobian_of(y: Tensor, trace: Trace) -> Any:
    """Return all derivatives of one output, nested like the variables."""
    variables, rebuild = flatten(trace.variables)
    if y.size <= sum(x.size for x in variables):
        rows = [pull(y, variables, trace.differentiable, unit) for unit in _units(y)]
        blocks = [_stacked([row[i] for row in rows], y, x) for i, x in enumerate(variables)]
    else:
        blocks = [_by_columns(y, x, trace.differentiable) for x in variables]
    return nest(trace, rebuild, blocks)


def _by_columns(y: Tensor, x: Tensor, differentiable: bool) -> Any:
    """Differentiate u ↦ Jᵀu, which is linear, once for every element of x."""
    u = Tensor(np.ones(y.shape), dtype=y.dtype)
    (pulled,) = pull(y, [x], True, u)
    columns = [pull(pulled, [u], differentiable, unit)[0] for unit in _units(x)]
    axes = (*range(x.ndim, x.ndim + y.ndim), *range(x.ndim))
    return transpose(_stacked(columns, x, y), axes)


def _stacked(rows: list[Any], outer: Tensor, inner: Tensor) -> Any:
    shape = outer.shape + inner.shape
    return reshape(stack(rows), shape) if rows else np.zeros(shape, inner.dtype)


def _units(x: Tensor) -> Iterator[np.ndarray]:
    """Yield, for each element of x, an array that is 1 there and 0 elsewhere."""
    for i in range(x.size):
        unit = np.zeros(x.size, x.dtype)
        unit[i] = 1
        yield unit.reshape(x.shape)
