"""An honest numeric oracle: derivatives from values alone, each with an estimate of its error.

The checks below compare the library with it. They fail as well when the oracle itself is too
uncertain, so that nothing passes for want of precision.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import tinygrad_bp as tg
from tinygrad_bp.nested import flatten, transform
from tinygrad_bp.tracing import as_constant

STEPS = 0.015 / 2.0 ** np.arange(5)
COMPLEX_STEP = 1e-30
PRECISION = 1e-9  # of a central difference, relative to the size of the values and slopes
CERTAIN = 1e-7  # the relative error of a gradient that has to be visible
EXACT = 1e-12  # of a complex step, which has rounding errors only
NOISE = 16 * np.finfo(float).eps  # the rounding of a few operations, relative to the value


class Estimate(NamedTuple):
    """A derivative, how far off it may be, and the size of the numbers it came from."""

    value: Any
    error: Any
    scale: float


def flat(tree: Any) -> np.ndarray:
    """Return all numbers of nested arrays as one vector."""
    return np.concatenate([np.ravel(leaf) for leaf in flatten(tree)[0]])


def central_differences(
    function: Callable[..., Any], inputs: Sequence[Any], directions: Sequence[Any]
) -> Estimate:
    """Differentiate a function of plain arrays along directions, by Richardson extrapolation."""

    def at(t: float) -> np.ndarray:
        moved = [x + t * v for x, v in zip(inputs, directions, strict=True)]
        return flat(function(*moved))

    pairs = [(at(step), at(-step)) for step in STEPS]
    size = max((float(np.max(np.abs(pair), initial=0.0)) for pair in pairs), default=0.0)
    slopes = [(ahead - behind) / (2 * h) for (ahead, behind), h in zip(pairs, STEPS, strict=True)]
    value, error = extrapolate(slopes, NOISE * size / STEPS)
    return Estimate(value, error, size + float(np.max(np.abs(value), initial=0.0)))


def extrapolate(slopes: Sequence[np.ndarray], noise: Sequence[float]) -> tuple[Any, Any]:
    """Extrapolate to step 0, element by element; return (value, error) where it is most certain.

    ``slopes`` belong to steps that halve and have errors c₁h² + c₂h⁴ + …, of which each column
    of the table removes one term.
    """
    best, least = slopes[0], np.full(slopes[0].shape, np.inf)
    previous: list[np.ndarray] = []
    for slope, rounding in zip(slopes, noise, strict=True):
        row = [slope]
        for k, above in enumerate(previous):
            row.append(row[k] + (row[k] - above) / (4.0 ** (k + 1) - 1))
            error = np.maximum(np.abs(row[-1] - row[k]), np.abs(row[-1] - above)) + rounding
            best, least = np.where(error < least, row[-1], best), np.fmin(error, least)
        previous = row
    return best, least


def complex_step(
    function: Callable[..., Any], inputs: Sequence[Any], directions: Sequence[Any]
) -> np.ndarray:
    """Differentiate an analytic function of plain arrays: Im f(x + ihv) / h, without any error."""
    moved = [np.asarray(x + 1j * COMPLEX_STEP * v) for x, v in zip(inputs, directions, strict=True)]
    return flat(function(*moved)).imag / COMPLEX_STEP


# ---------------------------------------------------------------------------------- directions


def random_like(tree: Any, rng: np.random.Generator) -> Any:
    """Return arrays nested and shaped like `tree`, none of whose numbers is small."""

    def draw(leaf: Any) -> Any:
        shape = np.shape(leaf)
        return rng.uniform(0.4, 1.0, shape) * rng.choice([-1.0, 1.0], shape)

    return transform(draw, tree)


def one_at_a_time(inputs: Sequence[Any], rng: np.random.Generator) -> list[list[Any]]:
    """List for each input a random direction in which only that input moves."""
    still = [np.zeros(np.shape(x)) for x in inputs]
    return [
        [*still[:i], random_like(np.zeros(np.shape(x)), rng), *still[i + 1 :]]
        for i, x in enumerate(inputs)
    ]


def inner(first: Any, second: Any) -> float:
    """Return the inner product of two nests of arrays."""
    return float(flat(first) @ flat(second))


def assert_close(found: Any, estimate: Estimate, weight: float = 1.0) -> None:
    """Fail if a derivative differs from its estimate, or if the estimate says too little."""
    bound = PRECISION * estimate.scale * weight
    assert np.all(estimate.error <= bound), f"inconclusive: ±{np.max(estimate.error)}"
    difference = np.abs(found - estimate.value)
    assert np.all(difference <= bound), f"{found} is not {estimate.value} (±{estimate.error})"


def along(estimate: Estimate, cotangent: Any) -> Estimate:
    """Return the estimate of <cotangent, derivative>."""
    u = flat(cotangent)
    return Estimate(u @ estimate.value, np.abs(u) @ estimate.error, estimate.scale)


# ---------------------------------------------------------------------------------- checks


def check_gradient(
    function: Callable[..., Any], inputs: Sequence[Any], rng: np.random.Generator
) -> None:
    """Check the gradient by the library's own checker, which has to be certain."""
    seed = int(rng.integers(2**32))
    tg.gradcheck(function, tuple(inputs), seed=seed, resolution=CERTAIN, strict=True)


def check_second_order(
    function: Callable[..., Any], inputs: Sequence[Any], rng: np.random.Generator
) -> None:
    """Check the gradient, for a random cotangent, as a function of its own.

    Of a gradient that is constant around the point and jumps further off, as that of the standard
    deviation of two numbers, the checker says that it could be a stair. Then smaller steps, which
    stay between the kinks, have to be certain.
    """
    u = random_like(function(*inputs), rng)

    def gradients(*xs: Any) -> Any:
        found = tg.vjp(function, *xs)[1](u)
        recorded = any(isinstance(x, tg.Tensor) for x in xs)
        return [as_constant(g) for g in found] if recorded else list(found)

    seed = int(rng.integers(2**32))
    report = tg.gradcheck(gradients, tuple(inputs), seed=seed, resolution=CERTAIN)
    if report.verdict == "INCONCLUSIVE":
        check_forward_mode(gradients, inputs, rng)
    else:
        assert report.verdict == "PASS", str(report)


def check_forward_mode(
    function: Callable[..., Any], inputs: Sequence[Any], rng: np.random.Generator
) -> None:
    """Check Jv element by element, and that <Jv, u> = <v, Jᵀu>."""
    v = random_like(tuple(inputs), rng)
    value, pushed = tg.jvp(function, tuple(inputs), v)
    for y, dy in zip(flatten(value)[0], flatten(pushed)[0], strict=True):
        assert np.shape(dy) == np.shape(y)
    estimate = central_differences(function, inputs, v)
    assert_close(flat(pushed), estimate)
    u = random_like(value, rng)
    pulled = tg.vjp(function, *inputs)[1](u)
    size = 1 + estimate.scale * (np.sum(np.abs(flat(u))) + np.sum(np.abs(flat(v))))
    assert abs(inner(pushed, u) - inner(pulled, v)) <= EXACT * size


def check_complex_step(
    function: Callable[..., Any], inputs: Sequence[Any], rng: np.random.Generator
) -> None:
    """Check Jᵀu, for a random u, against the complex step along a direction in each input."""
    value, pullback = tg.vjp(function, *inputs)
    u = random_like(value, rng)
    gradients = pullback(u)
    for directions in one_at_a_time(inputs, rng):
        slopes = complex_step(function, inputs, directions)
        size = np.max(np.abs(slopes), initial=0.0) * np.sum(np.abs(flat(u)))
        assert abs(inner(gradients, directions) - inner(slopes, u)) <= 10 * EXACT * size
