"""Inputs on which an entry of the registry may be tried: shapes, parameters, values, layouts.

All of it follows from the `Facts` of the entry, so an op that a user declares has samples too.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.errors import InputError, describe
from tinygrad_bp.facts import OPS, Case, Derived, Domain, Shape
from tinygrad_bp.op import Op

SHAPES: tuple[Shape, ...] = ((), (1,), (0,), (3,), (2, 3), (3, 3), (2, 0), (2, 1, 3))
LAYOUTS = ("C", "Fortran", "reversed", "strided", "read-only")
CLEARANCE = 0.1  # from kinks
CROWD = 40  # how many places there are at least, so that few values are not always the same

Entry = Op | Derived


class Sample(NamedTuple):
    """An entry of the registry with inputs and parameters on which to try it.

    It is itself a function, of those inputs that may vary (conditions may not):

    >>> sample = next(every_case(find("tanh")))
    >>> len(sample.varied), float(sample(0.0))
    (1, 0.0)
    """

    entry: Entry
    inputs: list[np.ndarray]
    params: dict[str, Any]

    @property
    def varied(self) -> list[np.ndarray]:
        """The inputs with respect to which it is differentiated."""
        return [x for x in self.inputs if x.dtype != bool]

    def __call__(self, *varied: Any) -> Any:
        """Call the entry with other values for its varied inputs."""
        values = iter(varied)
        return self.call([x if x.dtype == bool else next(values) for x in self.inputs])

    def call(self, inputs: Sequence[Any]) -> Any:
        """Call the entry with other inputs."""
        return apply(self.entry, inputs, self.params)

    def with_layouts(self, layouts: Sequence[str]) -> "Sample":
        """Return the same numbers, arranged differently in memory."""
        arranged = [arrange(x, how) for x, how in zip(self.inputs, layouts, strict=False)]
        return self._replace(inputs=arranged)

    def __repr__(self) -> str:
        shapes = ", ".join(str(x.shape) for x in self.inputs)
        return f"<{self.entry.facts.name}: {shapes} {self.params}>"


def apply(entry: Entry, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    """Call an entry in the form that it takes its inputs in."""
    if entry.facts.positive_definite:  # a step must not leave the symmetric matrices
        inputs = [(x + x.mT) / 2 for x in inputs]
    if getattr(entry, "sequence", False):
        return entry(inputs, **params)
    return entry(*inputs, **params)


def find(op: Any) -> Entry:
    """Return an entry of the registry by its name, or as it is; `InputError` for anything else.

    >>> find("tanh")
    <elementwise op tanh>
    """
    entry = OPS.get(op) if isinstance(op, str) else op
    if not isinstance(entry, Op | Derived):  # a derived function is public without its entry
        entry = OPS.get(getattr(op, "__name__", ""))
    if isinstance(entry, Op | Derived):
        return entry
    raise InputError(
        describe(op),
        where="the op",
        expected="an op, or the name of one",
        repair="Declare it with tg.elementwise or tg.structural first.",
    )


def differentiable() -> list[Entry]:
    """List every entry of the registry, as it is now, that has a gradient."""
    return [entry for entry in OPS.values() if getattr(entry, "differentiable", True)]


# ---------------------------------------------------------------------------------- cases


def every_case(entry: Entry) -> Iterator[Sample]:
    """Yield a sample of every case for every shape in `SHAPES`; with broadcasting if there is."""
    rng = np.random.default_rng(7)
    for shape in SHAPES:
        for shapes, params in cases_of(entry, shape):
            yield make(entry, shapes, params, rng)


def cases_of(entry: Entry, shape: Shape) -> list[Case]:
    """List the shapes of inputs and the parameters that belong to one shape."""
    if entry.facts.cases is not None:
        return list(entry.facts.cases(shape))
    arity = entry.arity if isinstance(entry, Op) else 1
    if arity == 1:
        return [((shape,), {})]
    rest = (shape,) * (arity - 2)
    single = (1,) * len(shape)
    pairs = ((shape, shape), (shape, ()), ((), shape), (single, shape), (shape[1:], shape))
    return [((*rest, *pair), {}) for pair in pairs]


# ---------------------------------------------------------------------------------- values


def make(
    entry: Entry, shapes: Sequence[Shape], params: dict[str, Any], rng: np.random.Generator
) -> Sample:
    """Fill inputs with numbers of the declared domain, no two of them equal."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    parts = np.split(spread(sum(sizes), rng), np.cumsum(sizes)[:-1])
    inputs = [
        suited(entry, i, into(domain_of(entry, i), part).reshape(shape), rng)
        for i, (shape, part) in enumerate(zip(shapes, parts, strict=True))
    ]
    return Sample(entry, inputs, params)


def domain_of(entry: Entry, position: int) -> Domain:
    """Return where an input may be tested."""
    domains = entry.facts.domain
    return domains[min(position, len(domains) - 1)]


def spread(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return numbers between 0 and 1, in random order, that keep their distance from each other."""
    places = max(count, CROWD)
    chosen = rng.permutation(places)[:count]
    return (chosen + rng.uniform(0.3, 0.7, count)) / places


def into(domain: Domain, units: np.ndarray, clearance: float = CLEARANCE) -> np.ndarray:
    """Map numbers between 0 and 1 to a domain, clear of its kinks."""
    starts = np.array([domain.low, *(kink + clearance for kink in domain.kinks)])
    ends = np.array([*(kink - clearance for kink in domain.kinks), domain.high])
    before = np.concatenate([[0.0], np.cumsum(ends - starts)])
    distance = units * before[-1]
    piece = np.minimum(np.searchsorted(before, distance, side="right"), len(starts)) - 1
    return np.asarray(starts[piece] + distance - before[piece])


def suited(entry: Entry, position: int, values: np.ndarray, rng: Any) -> np.ndarray:
    """Turn numbers into what an input has to be: a condition, or a matrix that can be inverted."""
    if position in getattr(entry, "skipped", ()):
        return np.asarray(rng.random(values.shape) < 0.5)
    square = values.ndim >= 2 and values.shape[-1] == values.shape[-2]
    if entry.facts.positive_definite:
        return np.asarray(values @ values.mT / 4 + np.eye(values.shape[-1]))
    if square and is_linear_algebra(entry):
        return np.asarray(values / 5 + 3 * np.diag(rng.choice([-1.0, 1.0], values.shape[-1])))
    return values


def is_linear_algebra(entry: Entry) -> bool:
    """Ask whether an entry is declared among the functions of matrices."""
    function = entry.forward if isinstance(entry, Op) else entry.function
    return str(function.__module__).endswith("linalg")  # None in code without a module


def arrange(x: np.ndarray, layout: str) -> np.ndarray:
    """Return the same numbers in another memory layout, one of `LAYOUTS`.

    >>> arrange(np.ones((2, 3)), "reversed").strides
    (-24, -8)
    """
    if layout == "Fortran":
        return x.copy(order="F")
    if layout == "reversed":
        return np.flip(np.flip(x).copy())
    if layout == "strided":
        wide = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
        view = wide[(slice(None, None, 2),) * x.ndim + (...,)]
        view[...] = x
        return view
    copy = x.copy()
    copy.flags.writeable = layout != "read-only"
    return copy
