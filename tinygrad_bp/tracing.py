"""Calling a function with Tensors: what every transform does before it asks the graph."""

import functools
import operator
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.errors import GraphError, ShapeError, describe, user_line
from tinygrad_bp.listeners import RECORDING
from tinygrad_bp.nested import flatten, transform
from tinygrad_bp.ops.elementwise import positive
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.validate import as_array, refuse

Function = Callable[..., Any]
Argnums = int | Sequence[int]

DEPTH: ContextVar[int] = ContextVar("depth", default=0)  # how many transforms are at work


class Trace(NamedTuple):
    """A function recorded at its arguments."""

    output: Any  # nested like the result of the function; its leaves are Tensors
    variables: Any  # nested like the chosen arguments; its leaves are Tensors
    inputs: Any  # the chosen arguments themselves
    differentiable: bool  # whether results have to be Tensors
    name: str


class at_work:
    """Record inside a transform, and say whether its results are connected to what is outside.

    Inside another transform results must stay differentiable; inside no_grad() they must not.
    """

    def __enter__(self) -> bool:
        mode = RECORDING.get()
        connected = mode is not False
        self.depth = DEPTH.set(DEPTH.get() + 1 if connected else 1)
        self.mode = RECORDING.set(mode or True)
        return connected

    def __exit__(self, *exception: object) -> None:
        RECORDING.reset(self.mode)
        DEPTH.reset(self.depth)


def as_tuple(values: Any, where: str) -> tuple[Any, ...]:
    """Return the arguments, tangents or vectors of a function as a tuple."""
    if not isinstance(values, tuple | list):
        refuse(where, describe(values), "a tuple, one for each argument", "Write (x,) for one.")
    return tuple(values)


def trace_call(
    function: Function, args: Sequence[Any], argnums: Argnums, options: Any, connected: bool
) -> Trace:
    """Call the function with fresh variables in place of the chosen arguments."""
    name = name_of(function)
    where = f"the derivative of {name}"
    if not callable(function):
        refuse(where, describe(function), "a function", "Pass f itself: grad(f), not grad(f(x)).")
    positions = tuple(argnums) if isinstance(argnums, tuple | list) else (argnums,)
    if not all(isinstance(i, int) and -len(args) <= i < len(args) for i in positions):
        given = f"argnums={argnums!r} and {len(args)} arguments"
        expected = "the number of an argument that is given by position"
        refuse(where, given, expected, "Count from 0 and pass it without a keyword.")
    chosen = [args[position] for position in positions]
    variables = [
        transform(functools.partial(_variable, name=name, connected=connected), arg)
        for arg in chosen
    ]
    replaced = list(args)
    for position, variable in zip(positions, variables, strict=True):
        replaced[position] = variable
    output = transform(functools.partial(_as_output, name=name), function(*replaced, **options))
    tensors = connected and any(isinstance(x, Tensor) for x in flatten([args, options])[0])
    single = isinstance(argnums, int)
    return Trace(
        output,
        variables[0] if single else tuple(variables),
        chosen[0] if single else tuple(chosen),
        tensors or DEPTH.get() > 1,
        name,
    )


def _variable(x: Any, name: str, connected: bool) -> Tensor:
    """Make a new node for an argument: a leaf, or one that leads on to the outer graph."""
    if isinstance(x, Tensor) and x.requires_grad and connected:
        return positive(x)
    value = value_of(x)
    if type(value) is not np.ndarray or value.dtype.kind != "f":  # else Tensor reads it alike
        value = as_array(value, f"an argument of {name}")
    return Tensor(value, dtype=value.dtype if value.dtype.kind == "f" else np.float64)


def _as_output(y: Any, name: str) -> Tensor:
    if not isinstance(y, Tensor):
        raise no_tensor(y, name)
    return y


def no_tensor(y: Any, name: str) -> GraphError:
    """Make the error for a result that is no Tensor."""
    return GraphError(
        describe(y),
        where=f"the result of {name} (called at {user_line()})",
        expected="a Tensor, computed from the arguments",
        repair="Compute with the Tensors themselves, not with float(x) or x.data; "
        "for a constant return 0 * x + constant.",
    )


def single_output(trace: Trace) -> Tensor:
    """Return the one output of a trace, or raise `GraphError`."""
    if not isinstance(trace.output, Tensor):
        raise GraphError(
            f"a {type(trace.output).__name__} of tensors",
            where=f"the gradient of {trace.name}",
            expected="one tensor",
            repair="Return one, or use vjp or jacobian.",
        )
    return trace.output


def gradients_of(trace: Trace, y: Tensor, cotangent: Any) -> Any:
    """Return the gradients of y, nested and typed like the arguments."""
    variables, rebuild = flatten(trace.variables)
    return nest(trace, rebuild, pull(y, variables, trace.differentiable, cotangent))


def pull(y: Tensor, variables: list[Tensor], differentiable: bool, cotangent: Any) -> list[Any]:
    """Return cotangentᵀ · ∂y/∂x for every variable: zeros if y does not depend on it."""
    found = y._gradients(variables, differentiable, cotangent) if y.requires_grad else {}
    return [found[x] if x in found else np.zeros(x.shape, x.dtype) for x in variables]


def contract_outputs(output: Any, cotangent: Any, where: str) -> tuple[Tensor, Any]:
    """Reduce outputs and their cotangents to one tensor and its cotangent."""
    same_structure(output, cotangent, where)
    if isinstance(output, Tensor):
        return output, cotangent
    return dot_all(flatten(output)[0], flatten(cotangent)[0]), None


def same_structure(tree: Any, given: Any, where: str) -> None:
    """Raise `ShapeError` unless two trees have leaves of the same shapes."""
    wanted = [np.shape(value_of(x)) for x in flatten(tree)[0]]
    shapes = [shape_of(x, where) for x in flatten(given)[0]]
    if wanted != shapes:
        raise ShapeError(
            f"shapes {shapes}",
            where=where,
            expected=f"shapes {wanted}",
            repair="Pass one array for each, nested alike and of the same shape.",
        )


def shape_of(x: Any, where: str) -> tuple[int, ...]:
    """Return the shape of a Tensor or of real numbers; raise `InputError` for anything else."""
    known = isinstance(x, Tensor) or (type(x) is np.ndarray and x.dtype.kind in "fiub")
    shape: tuple[int, ...] = x.shape if known else as_array(x, where).shape
    return shape


# ---------------------------------------------------------------------------------- results


def nest(trace: Trace, rebuild: Any, results: list[Any]) -> Any:
    """Put results, as the caller should see them, into the structure of the arguments."""
    return rebuild(iter([plain(g, trace) for g in results]))


def plain_tree(tree: Any, trace: Trace) -> Any:
    """Return the outputs of a trace as the caller should see them."""
    return transform(lambda y: plain(y, trace), tree)


def plain(result: Any, trace: Trace) -> Any:
    """Return a Tensor where the result must stay differentiable, else a float or a new array."""
    if trace.differentiable or hasattr(value_of(result), "symbolic"):
        return as_constant(result)
    array = np.array(value_of(result))
    return array if array.ndim else array[()] if array.dtype != np.float64 else float(array)


def value_of(x: Any) -> Any:
    """Return the value of a Tensor, and anything else as it is."""
    return x.value if isinstance(x, Tensor) else x


def name_of(function: Function) -> str:
    """Return what a function is called."""
    return getattr(function, "__name__", type(function).__name__)


def dot_all(first: Sequence[Any], second: Sequence[Any]) -> Tensor:
    """Add up the products of all elements of two lists of arrays."""
    products = [(as_constant(a) * b).sum() for a, b in zip(first, second, strict=True)]
    return functools.reduce(operator.add, products)


def as_constant(x: Any) -> Tensor:
    """Return a Tensor as it is, and anything else as a constant."""
    return x if isinstance(x, Tensor) else Tensor(x, requires_grad=False)
