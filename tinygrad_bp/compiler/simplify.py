"""Simplifying a program: every rule leaves the same numbers and less to do.

Values are made again in order. A rule looks at one value and returns a simpler one or None; what
was made before is used again (common subexpressions); what nobody needs is never looked at.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_bp.compiler import build
from tinygrad_bp.compiler.primitives import (
    Value,
    constant,
    evaluate,
    is_elementwise,
    known,
)
from tinygrad_bp.compiler.program import Program, program
from tinygrad_bp.compiler.rewrite import remake
from tinygrad_bp.facts import Shape

Rule = Callable[[Value], Value | None]
SMALL = 64  # constants of more elements are not computed in advance
ROUNDS = 8  # rules enable each other; this many times is enough for every known program


def simplify(given: Program, products: bool = False) -> Program:
    """Return a program with the same outputs and fewer values.

    ``products``: sums over one element stay products of matrices, which NumPy computes faster.
    """
    rules = RULES | {"contract": ()} if products else RULES
    for _ in range(ROUNDS):
        result = _once(given, rules)
        if len(result.values) == len(given.values):
            return result
        given = result
    return given


def _once(given: Program, rules: Mapping[str, Sequence[Rule]]) -> Program:
    made: dict[Value, Value] = {}
    seen: dict[Any, Value] = {}
    for value in given.values:
        new = _apply(remake(value, [made[x] for x in value.inputs]), rules)
        made[value] = _same(new, seen)
    return program([made.get(x, x) for x in given.inputs], [made[y] for y in given.outputs])


def _apply(value: Value, rules: Mapping[str, Sequence[Rule]]) -> Value:
    """Apply the first rule that fits."""
    for rule in (_fold, *rules.get(value.primitive, ())):
        simpler = rule(value)
        if simpler is not None:
            return simpler
    return value


def _same(value: Value, seen: dict[Any, Value]) -> Value:
    """Return what was made before in the same way."""
    if value.primitive in ("input", "call"):
        return value
    params = tuple(_hashable(p) for p in value.params)
    inputs = tuple(id(x) for x in value.inputs)
    return seen.setdefault((value.primitive, inputs, value.shape, value.dtype, params), value)


def _hashable(param: Any) -> Any:
    if isinstance(param, np.ndarray):
        return param.tobytes() if param.size <= SMALL else id(param)
    return param


# ---------------------------------------------------------------------------------- rules


def _fold(value: Value) -> Value | None:
    """Compute what is known already."""
    if not value.inputs or value.primitive in ("broadcast", "call"):
        return None
    with np.errstate(all="ignore"):
        if is_elementwise(value):
            numbers = [_number(x) for x in value.inputs]
            if all(n is not None for n in numbers):
                result = constant(evaluate(value, *numbers), value.dtype)
                return build.broadcast(result, value.shape)
        sizes = [x.size for x in (value, *value.inputs)]
        if max(sizes) <= SMALL and all(x.primitive == "constant" for x in value.inputs):
            return constant(evaluate(value, *(x.params[0] for x in value.inputs)), value.dtype)
    return None


def _number(x: Value) -> Any:
    """Return the one number of its dtype that a value is everywhere, or None."""
    number = known(x)
    return None if number is None else np.asarray(number, x.dtype)


def _is(x: Value, number: float) -> bool:
    """Tell whether a value is this number everywhere, the sign of a zero included."""
    found = known(x)
    return found is not None and found == number and np.signbit(found) == np.signbit(number)


def _add(value: Value) -> Value | None:
    a, b = value.inputs
    if _is(b, -0.0) or (value.dtype.kind in "iu" and _is(b, 0)):
        return a
    return b if _is(a, -0.0) or (value.dtype.kind in "iu" and _is(a, 0)) else None


def _subtract(value: Value) -> Value | None:
    a, b = value.inputs
    return a if _is(b, 0.0) else None


def _multiply(value: Value) -> Value | None:
    a, b = value.inputs
    if _is(a, 1.0) or _is(b, 1.0):
        return b if _is(a, 1.0) else a
    if value.dtype.kind == "f" and (_is(a, -1.0) or _is(b, -1.0)):
        return build.elementwise("negative", b if _is(a, -1.0) else a)
    return None


def _divide(value: Value) -> Value | None:
    a, b = value.inputs
    return a if _is(b, 1.0) else None


def _negative(value: Value) -> Value | None:
    (x,) = value.inputs
    return x.inputs[0] if x.primitive == "negative" else None


def _power(value: Value) -> Value | None:
    x, exponent = value.inputs
    if value.dtype.kind != "f":
        return None
    match known(exponent):
        case 1.0:
            return x
        case 2.0:
            return build.elementwise("multiply", x, x)
        case 0.5:
            return build.elementwise("sqrt", x)
        case -1.0:
            one = build.fill(x.shape, 1, x.dtype)
            return build.elementwise("divide", one, x)
    return None


def _select(value: Value) -> Value | None:
    condition, a, b = value.inputs
    chosen = known(condition)
    if chosen is None:
        return a if a is b else None
    return a if chosen else b


def _cast(value: Value) -> Value | None:
    (x,) = value.inputs
    return x if x.dtype == value.dtype else None


def _not_equal(value: Value) -> Value | None:
    """Ask a boolean that was made a number: it already was the answer."""
    a, b = value.inputs
    from_bool = a.primitive == "cast" and a.inputs[0].dtype == bool
    return a.inputs[0] if from_bool and _is(b, 0) else None


def _reshape(value: Value) -> Value | None:
    (x,) = value.inputs
    if x.primitive == "reshape":
        (x,) = x.inputs
        return build.reshape(x, value.shape)
    return x if x.shape == value.shape else None


def _broadcast(value: Value) -> Value | None:
    (x,) = value.inputs
    if x.primitive == "broadcast":
        return build.broadcast(x.inputs[0], value.shape)
    return x if x.shape == value.shape else None


def _transpose(value: Value) -> Value | None:
    (x,) = value.inputs
    (axes,) = value.params
    if x.primitive == "transpose":
        return build.transpose(x.inputs[0], [x.params[0][a] for a in axes])
    return x if axes == tuple(range(len(axes))) else None


def _reduce(value: Value) -> Value | None:
    """Reduce single elements: nothing is left to do."""
    (x,) = value.inputs
    single = all(x.shape[a] == 1 for a in value.params[0])
    return build.reshape(x, value.shape) if single and x.dtype == value.dtype else None


def _contract(value: Value) -> Value | None:
    """Write sums over one element, such as the outer products of one sample, as products."""
    a, b = value.inputs
    left, right, to = value.params
    lengths = dict(zip(left, a.shape, strict=True)) | dict(zip(right, b.shape, strict=True))
    if any(n != 1 for c, n in lengths.items() if c not in to):
        return None
    spread = [_spread(x, labels, to, value.shape) for x, labels in ((a, left), (b, right))]
    return build.elementwise("multiply", *spread)


def _spread(x: Value, labels: Shape, to: Shape, shape: Shape) -> Value:
    """Give the axes of x the order `to`, and repeat along those that it lacks."""
    kept = [c for c in to if c in labels]
    axes = [labels.index(c) for c in kept]
    dropped = [i for i, c in enumerate(labels) if c not in to]
    x = build.transpose(x, [*axes, *dropped])
    single = tuple(x.shape[kept.index(c)] if c in kept else 1 for c in to)
    return build.broadcast(build.reshape(x, single), shape)


def _constant(value: Value) -> Value | None:
    """Keep one number instead of an array of equal ones."""
    (array,) = value.params
    if value.size < 2 or array.tobytes() != array.flat[0].tobytes() * value.size:
        return None
    return build.fill(value.shape, array.flat[0], value.dtype)


RULES: dict[str, tuple[Rule, ...]] = {
    "constant": (_constant,),
    "add": (_add,),
    "subtract": (_subtract,),
    "multiply": (_multiply,),
    "divide": (_divide,),
    "negative": (_negative,),
    "power": (_power,),
    "select": (_select,),
    "cast": (_cast,),
    "not_equal": (_not_equal,),
    "reshape": (_reshape,),
    "broadcast": (_broadcast,),
    "transpose": (_transpose,),
    "contract": (_contract,),
    **dict.fromkeys(("sum", "prod", "max", "min", "any", "all"), (_reduce,)),
}
