"""Inputs for every entry of the registry: shapes, values and memory layouts it may be tested on."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from tinygrad_bp.facts import OPS, Derived, Domain
from tinygrad_bp.op import Elementwise, Op

SHAPES = ((), (1,), (0,), (3,), (2, 3), (3, 3), (2, 0), (2, 1, 3))
LAYOUTS = ("C", "Fortran", "reversed", "strided", "read-only")
CLEARANCE = 0.1  # from kinks
CROWD = 40  # how many places there are at least, so that few values are not always the same

DIFFERENTIABLE = [e for e in OPS.values() if getattr(e, "differentiable", True)]
PRIMITIVE = [e for e in DIFFERENTIABLE if isinstance(e, Op)]


class Sample(NamedTuple):
    """An entry of the registry with inputs and parameters on which to try it."""

    entry: Op | Derived
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
        if self.entry.facts.positive_definite:  # a step must not leave the symmetric matrices
            inputs = [(x + x.mT) / 2 for x in inputs]
        if getattr(self.entry, "sequence", False):
            return self.entry(inputs, **self.params)
        return self.entry(*inputs, **self.params)

    def with_layouts(self, layouts: Sequence[str]) -> "Sample":
        """Return the same numbers, arranged differently in memory."""
        arranged = [arrange(x, how) for x, how in zip(self.inputs, layouts, strict=False)]
        return self._replace(inputs=arranged)

    def __repr__(self) -> str:
        shapes = ", ".join(str(x.shape) for x in self.inputs)
        return f"<{self.entry.facts.name}: {shapes} {self.params}>"


# ---------------------------------------------------------------------------------- strategies


@st.composite
def samples(draw: st.DrawFn, entry: Op | Derived) -> Sample:
    """Draw a sample with any shape, case, values and layouts."""
    shapes, params = draw(cases(entry))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    layouts = [draw(st.sampled_from(LAYOUTS)) for _ in shapes]
    return make(entry, shapes, params, rng).with_layouts(layouts)


@st.composite
def cases(draw: st.DrawFn, entry: Op | Derived) -> tuple[Any, dict[str, Any]]:
    """Draw the shapes of the inputs and the parameters."""
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    if entry.facts.cases is None:
        return draw(broadcastable(shape, entry.arity)), draw(settings_of(entry))
    possible = list(entry.facts.cases(shape)) or list(entry.facts.cases((2, 3)))
    return draw(st.sampled_from(possible))


@st.composite
def broadcastable(draw: st.DrawFn, shape: tuple[int, ...], count: int) -> list[tuple[int, ...]]:
    """Draw shapes that broadcast to `shape`, of which at least one is `shape`."""
    shapes = [shape]
    for _ in range(count - 1):
        kept = shape[draw(st.integers(0, len(shape))) :]
        shapes.append(tuple(1 if draw(st.booleans()) else n for n in kept))
    return draw(st.permutations(shapes))


def settings_of(entry: Op) -> st.SearchStrategy[dict[str, Any]]:
    """Draw values for the parameters of an elementwise op that are floats."""
    floats = {k: v for k, v in entry.defaults.items() if isinstance(v, float)}
    return st.fixed_dictionaries({k: st.sampled_from([v, 0.3]) for k, v in floats.items()})


def every_case(entry: Op | Derived) -> Iterator[Sample]:
    """Yield a sample of every case for every shape in `SHAPES`; with broadcasting if there is."""
    rng = np.random.default_rng(7)
    for shape in SHAPES:
        if entry.facts.cases is not None:
            found = list(entry.facts.cases(shape))
        elif entry.arity == 1:
            found = [((shape,), {})]
        else:
            rest = (shape,) * (entry.arity - 2)
            single = (1,) * len(shape)
            pairs = ((shape, shape), (shape, ()), ((), shape), (single, shape), (shape[1:], shape))
            found = [((*rest, *pair), {}) for pair in pairs]
        for shapes, params in found:
            yield make(entry, shapes, params, rng)


# ---------------------------------------------------------------------------------- values


def make(entry: Op | Derived, shapes: Any, params: dict[str, Any], rng: Any) -> Sample:
    """Fill inputs with numbers of the declared domain, no two of them equal."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    units = spread(sum(sizes), rng)
    domains = entry.facts.domain
    inputs = []
    for i, (shape, part) in enumerate(
        zip(shapes, np.split(units, np.cumsum(sizes)[:-1]), strict=True)
    ):
        values = into(domains[min(i, len(domains) - 1)], part).reshape(shape)
        inputs.append(suited(entry, i, values, rng))
    return Sample(entry, inputs, params)


def spread(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return numbers between 0 and 1, in random order, that keep their distance from each other."""
    places = max(count, CROWD)
    chosen = rng.permutation(places)[:count]
    return (chosen + rng.uniform(0.3, 0.7, count)) / places


def into(domain: Domain, units: np.ndarray) -> np.ndarray:
    """Map numbers between 0 and 1 to a domain, clear of its kinks."""
    starts = np.array([domain.low, *(kink + CLEARANCE for kink in domain.kinks)])
    ends = np.array([*(kink - CLEARANCE for kink in domain.kinks), domain.high])
    before = np.concatenate([[0.0], np.cumsum(ends - starts)])
    distance = units * before[-1]
    piece = np.searchsorted(before, distance, side="right") - 1
    return starts[piece] + distance - before[piece]


def suited(entry: Op | Derived, position: int, values: np.ndarray, rng: Any) -> np.ndarray:
    """Turn numbers into what an input has to be: a condition, or a matrix that can be inverted."""
    if position in getattr(entry, "skipped", ()):
        return np.asarray(rng.random(values.shape) < 0.5)
    square = values.ndim >= 2 and values.shape[-1] == values.shape[-2]
    if entry.facts.positive_definite:
        return values @ values.mT / 4 + np.eye(values.shape[-1])
    if square and is_linear_algebra(entry):
        return values / 5 + 3 * np.diag(rng.choice([-1.0, 1.0], values.shape[-1]))
    return values


def is_linear_algebra(entry: Op | Derived) -> bool:
    """Ask whether an entry is declared among the functions of matrices."""
    function = entry.forward if isinstance(entry, Op) else entry.function
    return function.__module__.endswith("linalg")


def arrange(x: np.ndarray, layout: str) -> np.ndarray:
    """Return the same numbers in another memory layout."""
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


def each(entries: Sequence[Op | Derived]) -> Any:
    """Parametrise a test by entries of the registry; its ids are their names."""
    import pytest

    return pytest.mark.parametrize("entry", entries, ids=lambda entry: entry.facts.name)


__all__ = ["DIFFERENTIABLE", "LAYOUTS", "OPS", "PRIMITIVE", "Elementwise", "Sample", "each",
           "every_case", "make", "samples"]  # fmt: skip
