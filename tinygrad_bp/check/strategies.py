"""Hypothesis strategies for tests of gradients: numbers, arrays, Tensors, ops, whole programs.

In the manner of `hypothesis.extra.numpy`; they need ``pip install 'tinygrad_bp[test]'``.

    from hypothesis import given
    from tinygrad_bp.check import strategies

    @given(strategies.programs())
    def test_my_check_accepts_every_program(program): ...
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

try:
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
except ImportError as error:
    raise ImportError(
        "tinygrad_bp.check.strategies needs hypothesis: pip install 'tinygrad_bp[test]'"
    ) from error

from tinygrad_bp.check import programs as growing
from tinygrad_bp.check.samples import (
    LAYOUTS,
    Entry,
    Sample,
    arrange,
    cases_of,
    differentiable,
    find,
    make,
)
from tinygrad_bp.facts import Case, Shape
from tinygrad_bp.op import Op
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.validate import as_count, as_floats, refuse

Strategy = st.SearchStrategy
Shapes = int | Shape | Strategy[Shape] | None  # None: any small shape

__all__ = [
    "arrays", "at_kink", "away_from", "beside_kink", "broadcastable", "cotangents",
    "matmul_operands", "noncontiguous", "ops", "programs", "shapes", "tensors", "ties",
    "well_scaled",
]  # fmt: skip

# ---------------------------------------------------------------------------------- numbers


def well_scaled(min_exp: float = -8, max_exp: float = 8) -> Strategy[float]:
    """Draw ±10ᵉ with e uniform in [min_exp, max_exp]: all magnitudes alike, never 0.

    >>> from hypothesis import given
    >>> @given(well_scaled(-8, 8))
    ... def test_it_keeps_to_its_decades(x):
    ...     assert 0.9e-8 < abs(x) < 1.1e8
    >>> test_it_keeps_to_its_decades()
    """
    if not -300 <= min_exp <= max_exp <= 300:
        given = f"min_exp={min_exp}, max_exp={max_exp}"
        refuse("well_scaled", given, "-300 ≤ min_exp ≤ max_exp ≤ 300", "Exchange or shrink them.")
    exponents = st.floats(min_exp, max_exp)
    return st.builds(lambda sign, e: sign * 10.0**e, st.sampled_from((1, -1)), exponents)


def away_from(
    kinks: Sequence[float] = (0.0,), margin: float = 0.1, low: float = -3.0, high: float = 3.0
) -> Strategy[float]:
    """Draw numbers in [low, high] that keep at least `margin` from every kink.

    Raises `InputError` if there is no such number.

    >>> away_from((0.0, 1.0), margin=0.5, low=0.0)
    one_of(floats(min_value=0.5, max_value=0.5), floats(min_value=1.5, max_value=3.0))
    """
    kinks = _as_kinks(kinks, "away_from")
    starts = [low, *(kink + margin for kink in sorted(kinks))]
    ends = [*(kink - margin for kink in sorted(kinks)), high]
    gaps = [(max(a, low), min(b, high)) for a, b in zip(starts, ends, strict=True)]
    free = [st.floats(a, b) for a, b in gaps if a <= b]
    if not free:
        given = f"kinks {tuple(kinks)}, margin {margin}, from {low} to {high}"
        refuse("away_from", given, "a gap between the kinks", "Lower the margin.")
    return st.one_of(free)


def at_kink(kinks: Sequence[float] = (0.0,)) -> Strategy[float]:
    """Draw exactly a kink, where only a range of gradients is right.

    >>> at_kink((0.0, 1.0))
    sampled_from((0.0, 1.0))
    """
    found = _as_kinks(kinks, "at_kink")
    if not found:
        refuse("at_kink, argument kinks", "none", "at least one number", "Use e.g. (0.0,).")
    return st.sampled_from(found)


def beside_kink(
    kinks: Sequence[float] = (0.0,), min_exp: float = -12, max_exp: float = -2
) -> Strategy[float]:
    """Draw numbers 10ᵉ beside a kink, e in [min_exp, max_exp]: steps of a difference cross it.

    Never a kink itself: where 10ᵉ is less than the spacing of floats, the float next to it.

    >>> import tinygrad_bp as tg
    >>> from hypothesis import given
    >>> @given(beside_kink())
    ... def test_the_slope_is_that_of_the_side(x):
    ...     assert tg.grad(tg.relu)(x) == (x > 0)
    >>> test_the_slope_is_that_of_the_side()
    """
    found, distances = _as_kinks(kinks, "beside_kink"), well_scaled(min_exp, max_exp)
    return st.builds(_beside, at_kink(found), distances).filter(lambda x: x not in found)


def _beside(kink: float, distance: float) -> float:
    """Return a number at a distance from a kink, at least the next one."""
    moved = kink + distance
    return moved if moved != kink else math.nextafter(kink, math.copysign(math.inf, distance))


def _as_kinks(kinks: Any, where: str) -> tuple[float, ...]:
    return tuple(as_floats(kinks, f"{where}, argument kinks").reshape(-1).tolist())


# ---------------------------------------------------------------------------------- arrays


def shapes(min_dims: int = 0, max_dims: int = 3, min_side: int = 0) -> Strategy[Shape]:
    """Draw shapes of few elements, by default also empty ones and ().

    >>> shapes(min_dims=2, max_dims=2, min_side=3)
    array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=4)
    """
    return hnp.array_shapes(
        min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max(min_side + 1, 3)
    )


@st.composite
def arrays(
    draw: st.DrawFn,
    dtype: Any = np.float64,
    shape: Shapes = None,
    elements: Strategy[float] | None = None,
) -> np.ndarray:
    """Draw arrays of floats, elements between 0.01 and 100 of either sign unless told.

    >>> from hypothesis import given
    >>> @given(arrays(np.float32, (2, 3)))
    ... def test_it_is_as_asked_for(x):
    ...     assert (x.dtype, x.shape) == (np.float32, (2, 3))
    >>> test_it_is_as_asked_for()
    """
    shape = _draw_shape(draw, shape)
    numbers = well_scaled(-2, 2) if elements is None else elements
    return np.asarray(draw(hnp.arrays(np.float64, shape, elements=numbers))).astype(dtype)


def tensors(
    dtype: Any = np.float64,
    shape: Shapes = None,
    elements: Strategy[float] | None = None,
    requires_grad: bool = True,
) -> Strategy[Tensor]:
    """Draw leaf Tensors: ``tensors(np.float32, (2, 3), well_scaled())``.

    >>> from hypothesis import given
    >>> @given(tensors(shape=(2, 3)))
    ... def test_a_sum_has_a_gradient_of_ones(x):
    ...     x.sum().backward()
    ...     assert (x.grad == 1).all()
    >>> test_a_sum_has_a_gradient_of_ones()
    """
    leaf = functools.partial(Tensor, dtype=dtype, requires_grad=requires_grad)
    return arrays(dtype, shape, elements).map(leaf)


@st.composite
def ties(
    draw: st.DrawFn, shape: Shapes = None, elements: Strategy[float] | None = None
) -> np.ndarray:
    """Draw arrays whose largest or whose smallest element occurs more than once.

    >>> from hypothesis import given
    >>> @given(ties((4,)))
    ... def test_ties_occur(x):
    ...     assert 1 in (np.sum(x == x.max()) > 1, np.sum(x == x.min()) > 1)
    >>> test_ties_occur()
    """
    x = _several(draw, "ties", np.float64, shape, elements).copy()
    flat = x.reshape(-1)
    first, second = draw(st.permutations(range(x.size)))[:2]
    flat[[first, second]] = draw(st.sampled_from((np.max, np.min)))(flat)
    return x


@st.composite
def noncontiguous(
    draw: st.DrawFn,
    dtype: Any = np.float64,
    shape: Shapes = None,
    elements: Strategy[float] | None = None,
) -> np.ndarray:
    """Draw arrays that are not contiguous in memory: reversed, strided or in Fortran's order.

    >>> from hypothesis import given
    >>> @given(noncontiguous())
    ... def test_rows_do_not_follow_each_other(x):
    ...     assert not x.flags.c_contiguous
    >>> test_rows_do_not_follow_each_other()
    """
    x = _several(draw, "noncontiguous", dtype, shape, elements)
    layouts = (
        "reversed",
        "strided",
        *(("Fortran",) if min(np.sort(x.shape)[-2:]) > 1 < x.ndim else ()),
    )
    return arrange(x, draw(st.sampled_from(layouts)))


@st.composite
def cotangents(draw: st.DrawFn, shape: Shapes = None) -> np.ndarray:
    """Draw what to pull back: never constant, no element 0 or ±1.

    A cotangent of ones cannot tell a right gradient from one that ignores it.

    >>> from hypothesis import given
    >>> @given(cotangents((2, 3)))
    ... def test_no_two_elements_are_alike(u):
    ...     assert len(np.unique(u)) == 6
    >>> test_no_two_elements_are_alike()
    """
    shape = _draw_shape(draw, shape)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = int(np.prod(shape))
    sizes = 0.4 + 0.5 * (rng.permutation(count) + rng.uniform(0.1, 0.9, count)) / max(count, 1)
    return (sizes * rng.choice([-1.0, 1.0], count)).reshape(shape)


@st.composite
def broadcastable(draw: st.DrawFn, n: int = 2, shape: Shapes = None) -> tuple[Shape, ...]:
    """Draw `n` shapes that broadcast to `shape`, as NumPy's functions of several inputs take them.

    >>> from hypothesis import given
    >>> @given(broadcastable(3, (2, 3)))
    ... def test_they_fit(shapes):
    ...     assert np.broadcast_shapes(*shapes) == (2, 3)
    >>> test_they_fit()
    """
    shape = _draw_shape(draw, shape)
    found = []
    for _ in range(n):
        kept = shape[draw(st.integers(0, len(shape))) :]
        found.append(tuple(1 if draw(st.booleans()) else length for length in kept))
    if np.broadcast_shapes(*found) != shape:
        found[draw(st.integers(0, n - 1))] = shape
    return tuple(found)


@st.composite
def matmul_operands(
    draw: st.DrawFn, elements: Strategy[float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw pairs that ``a @ b`` takes: vectors, matrices, and batches that broadcast.

    >>> from hypothesis import given
    >>> @given(matmul_operands())
    ... def test_they_fit(operands):
    ...     np.matmul(*operands)
    >>> test_they_fit()
    """
    sides = st.integers(1, 3)
    rows, inner, columns = draw(sides), draw(st.integers(0, 3)), draw(sides)
    left = (inner,) if draw(st.booleans()) else (rows, inner)
    right = (inner,) if draw(st.booleans()) else (inner, columns)
    before, after = draw(broadcastable(2, shapes(max_dims=2, min_side=1)))
    a = before + left if len(left) == 2 else left
    b = after + right if len(right) == 2 else right
    return draw(arrays(shape=a, elements=elements)), draw(arrays(shape=b, elements=elements))


def _draw_shape(draw: st.DrawFn, shape: Shapes) -> Shape:
    shape = _ANY_SHAPE if shape is None else shape
    shape = draw(shape) if isinstance(shape, Strategy) else shape
    sides = shape if isinstance(shape, tuple | list) else (shape,)
    return tuple(as_count(side, "argument shape", least=0) for side in sides)


def _several(
    draw: st.DrawFn, where: str, dtype: Any, shape: Shapes, elements: Strategy[float] | None
) -> np.ndarray:
    """Draw an array of at least two elements."""
    shape = shapes(min_dims=1, min_side=2) if shape is None else shape
    x = draw(arrays(dtype, shape, elements))
    if x.size < 2:
        refuse(
            f"{where}, argument shape", f"{x.shape}", "at least two elements", "Use e.g. (2, 3)."
        )
    return x


# ---------------------------------------------------------------------------------- ops


@st.composite
def ops(draw: st.DrawFn, op: Any = None) -> Sample:
    """Draw an op (any that has a gradient, unless told) with arguments that it may be tested on.

    The sample is a function of its ``varied`` inputs: any declared case, parameters, shapes that
    broadcast, numbers of the declared domain clear of kinks and ties, any memory layout.

    >>> import tinygrad_bp as tg
    >>> from hypothesis import given
    >>> @given(ops(tg.tanh))
    ... def test_its_gradient_has_the_shape_of_its_input(sample):
    ...     x = tg.Tensor(sample.varied[0])
    ...     sample(x).sum().backward()
    ...     assert x.grad.shape == x.shape
    >>> test_its_gradient_has_the_shape_of_its_input()
    """
    entry = draw(st.sampled_from(differentiable())) if op is None else find(op)
    shapes_of_inputs, params = _draw_case(draw, entry)
    rng = np.random.default_rng(draw(_SEEDS))
    layouts = [draw(_ANY_LAYOUT) for _ in shapes_of_inputs]
    return make(entry, shapes_of_inputs, params, rng).with_layouts(layouts)


# Made once: hypothesis validates a new strategy at its first draw.
_SEEDS, _ANY_LAYOUT, _ANY_SHAPE = st.integers(0, 2**32 - 1), st.sampled_from(LAYOUTS), shapes()


def _draw_case(draw: st.DrawFn, entry: Entry) -> Case:
    """Draw the shapes of the inputs and the parameters."""
    shape = draw(_ANY_SHAPE)
    if entry.facts.cases is None and isinstance(entry, Op):
        return draw(broadcastable(entry.arity, shape)), draw(_settings(entry))
    possible = cases_of(entry, shape) or cases_of(entry, (2, 3))
    return draw(st.sampled_from(possible))


def _settings(entry: Op) -> Strategy[dict[str, Any]]:
    """Draw values for the parameters of an elementwise op that are floats."""
    floats = {k: v for k, v in entry.defaults.items() if isinstance(v, float)}
    return st.fixed_dictionaries({k: st.sampled_from([v, 0.3]) for k, v in floats.items()})


# ---------------------------------------------------------------------------------- programs


def programs(max_ops: int = 8, ops: Sequence[Any] | None = None) -> Strategy[growing.Program]:
    """Draw programs of up to `max_ops` ops (any that has a gradient, or those of `ops`).

    A program is a directed acyclic graph with reuse and broadcasting, smooth at its
    ``program.inputs``, called with arrays or Tensors; its repr is Python source. One that fails a
    test shrinks to few ops.

    >>> import tinygrad_bp as tg
    >>> from hypothesis import given
    >>> @given(programs(4))
    ... def test_recording_changes_no_value(program):
    ...     recorded = program(*map(tg.Tensor, program.inputs))
    ...     np.testing.assert_array_equal(recorded.data, program(*program.inputs))
    >>> test_recording_changes_no_value()
    """
    entries = differentiable() if ops is None else [find(op) for op in ops]
    pick = st.integers(0, 9)
    genes = st.builds(
        growing.Gene,
        st.integers(0, len(entries) - 1), st.integers(0, 11), pick, st.tuples(pick, pick, pick),
    )  # fmt: skip
    many = st.lists(genes, min_size=1, max_size=max_ops)
    return many.map(lambda found: growing.grow(found, entries))
