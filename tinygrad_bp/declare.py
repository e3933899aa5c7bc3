"""Declaring ops: the decorators that make one from a function, and give Tensor its methods.

@elementwise("tanh")                 # its symbol in pictures
def tanh(x):
    return np.tanh(x)

@tanh.derivative                     # dy/dx, once for each input
def _(y, x):
    return 1 - y * y
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_bp.arguments import bind
from tinygrad_bp.errors import InputError, ShapeError, TinygradError, describe, user_line
from tinygrad_bp.facts import OPS, REALS, Derived, Domain, Facts
from tinygrad_bp.op import Elementwise, Op, Structural
from tinygrad_bp.record import REFUSALS
from tinygrad_bp.tensor import Tensor


def _facts(function: Callable[..., Any], options: dict[str, Any]) -> Facts:
    """Collect what is known of a function: NumPy's function of the same name unless told."""
    name = options.pop("name", function.__name__)
    numpy = options.pop("numpy", None)
    if numpy is None:
        same = getattr(np, name, None)
        numpy = same if callable(same) and not isinstance(same, type) else ()
    domain = options.pop("domain", REALS)
    return Facts(
        name=name,
        doc=inspect.cleandoc(function.__doc__ or ""),
        symbol=options.pop("symbol", name),
        numpy=numpy if isinstance(numpy, tuple) else (numpy,),
        domain=(domain,) if isinstance(domain, Domain) else tuple(domain),
        **options,
    )


def elementwise(
    symbol: str, *, constant: bool = False, skip: tuple[int, ...] = (), **options: Any
) -> Callable[[Callable[..., Any]], Elementwise]:
    """Declare an op on single numbers; the decorated function computes it on arrays.

    ``symbol`` stands for it in pictures; ``constant``: it has no gradient; ``skip``: positions
    of inputs without one; ``options``: the fields of `Facts`. Parameters with a default are
    settings, all others are inputs. Then declare its derivative:

    >>> import numpy as np, tinygrad_bp as tg
    >>> @tg.elementwise("∛", numpy=np.cbrt, method=False)
    ... def cube_root(x):
    ...     return np.cbrt(x)
    >>> @cube_root.derivative
    ... def _(y, x):
    ...     return 1 / (3 * y * y)
    >>> tg.grad(cube_root)(8.0)
    0.08333333333333333
    """

    def declare(forward: Callable[..., Any]) -> Elementwise:
        facts = _facts(forward, options | {"symbol": symbol})
        return _register(Elementwise(forward, facts, constant=constant, skip=skip))

    return declare


def structural(
    symbol: str,
    *,
    constant: bool = False,
    inputs: int | None = None,
    skip: tuple[int, ...] = (),
    sequence: bool = False,
    routes: bool = False,
    **options: Any,
) -> Callable[[Callable[..., Any]], Structural]:
    """Declare an op on whole arrays; the decorated function computes it.

    Like `elementwise`, with ``inputs`` (how many leading parameters are tensors; by default
    those without a default), ``sequence`` (they come in one sequence), ``cases`` (shapes and
    parameters on which it may be tested) and ``routes`` (its rule only moves and adds numbers).
    Then declare what becomes of a cotangent:

    >>> import numpy as np, tinygrad_bp as tg
    >>> @tg.structural("rev", cases=lambda shape: [(((4,),), {})], method=False)
    ... def reverse(x):
    ...     return np.asarray(x)[::-1]
    >>> @reverse.vjp
    ... def _(g, y, x):
    ...     return reverse(g)
    >>> tg.grad(lambda x: (reverse(x) * [1, 2, 3]).sum())(np.zeros(3))
    array([3., 2., 1.])
    """

    def declare(forward: Callable[..., Any]) -> Structural:
        facts = _facts(forward, options | {"symbol": symbol})
        op = Structural(
            forward, facts, constant=constant, inputs=inputs, skip=skip, sequence=sequence
        )
        op.routes = routes
        return _register(op)

    return declare


def derived(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function that is written in terms of ops, whose errors then have one voice."""

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        facts = _facts(function, dict(options))
        function = in_one_voice(function, facts)
        OPS[facts.name] = Derived(function, facts)
        attach(facts, function)
        return function

    return declare


def in_one_voice(function: Callable[..., Any], facts: Facts) -> Callable[..., Any]:
    """Return the function with what NumPy says to wrong arguments told like every other error."""

    @functools.wraps(function)
    def guarded(*args: Any, **params: Any) -> Any:
        try:
            return function(*args, **params)
        except TinygradError as error:
            error.locate(facts.name)
            raise
        except (*REFUSALS, AttributeError) as error:
            bind(facts.name, function, args, params)  # a wrong call stays a TypeError
            given = [describe(x) for x in args] + [f"{k}={v!r}" for k, v in params.items()]
            raise (ShapeError if isinstance(error, ValueError | IndexError) else InputError)(
                ", ".join(given),
                where=f"{facts.name} (at {user_line()})",
                expected=facts.expects or "arguments that NumPy accepts",
                repair=f"NumPy says: {str(error).rstrip(' .')}.",
            ) from error

    return guarded


def _register(op: Any) -> Any:
    OPS[op.name] = op
    attach(op.facts, op)
    return op


def attach(facts: Facts, function: Callable[..., Any]) -> None:
    """Give Tensor the operator and the method that a function of tensors asks for."""
    method = _method(facts, function)
    if facts.method:
        setattr(Tensor, facts.name, method)
    if facts.operator:
        setattr(Tensor, f"__{facts.operator}__", method)
    if facts.operator in _REFLECTED:
        setattr(Tensor, f"__r{facts.operator}__", lambda self, other: method(other, self))


_REFLECTED = {"add", "sub", "mul", "truediv", "pow", "matmul", "and", "or", "xor"}


def _method(facts: Facts, function: Callable[..., Any]) -> Callable[..., Any]:
    if isinstance(function, Op) and function.arity in (1, 2) and not function.params:
        return function.quick

    def method(self: Tensor, *args: Any, **params: Any) -> Any:
        if facts.unpacked and (len(args) > 1 or (args and isinstance(args[0], int))):
            args = (args,)
        return function(self, *args, **params)

    method.__doc__, method.__name__ = facts.doc, facts.name
    return method
