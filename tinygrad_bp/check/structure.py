"""What must hold of a gradient before its numbers are compared with any others.

It has the shape and dtype of its input, is the same in a second run, is linear in the cotangent,
and computing it changes neither inputs nor cotangents.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.check.directions import mixed, scales
from tinygrad_bp.check.stairs import STEEP, Stairs
from tinygrad_bp.check.subject import Probe, flat

ALLOWED = 2.0**-11  # relative: more than the rounding of a float32 inside
LOW = 64.0  # roundings of a lower precision
NOTHING = 256.0  # roundings of the value: a gradient that is zero, and computed as a difference
NOT_LINEAR = (
    "the gradient is not linear in the cotangent",
    "the cotangent is ignored, or right only for a seed of ones",
)
NOT_REPEATED = (
    "two backward passes at the same point differ",
    "something is kept from one pass to the next, or is random",
)
SUMS = (0.75, -1.25)  # of two cotangents


class Structure(NamedTuple):
    """The gradient as one vector, or what is wrong with it."""

    gradient: np.ndarray
    problem: str = ""
    diagnosis: str = ""
    argument: int = 0
    worst: "Difference | None" = None


class Difference(NamedTuple):
    """Where two ways to the same gradient differ most."""

    position: int
    found: float
    expected: float
    allowed: float


def examine(
    probe: Probe, cotangent: np.ndarray, outputs: np.ndarray, rng: np.random.Generator
) -> Structure:
    """Compute the gradient in two runs and check everything but its numbers."""
    raw, other = first_run(probe, cotangent, mixed(cotangent.size, rng))
    for argument, problem, diagnosis in ill_formed(probe, raw):
        return Structure(np.zeros(0), problem, diagnosis, argument)
    gradient = probe.joined(raw)
    if probe.subject.by_hand:  # what is written by hand is not a program with state
        return Structure(gradient)
    second, mixture, weights = other
    pull = probe.linearize(probe.point.copy())
    found = probe.joined(pull(mixture))
    expected = weights[0] * gradient + weights[1] * second
    size = np.abs(weights[0] * gradient) + np.abs(weights[1] * second)
    least = NOTHING * float(np.abs(cotangent) @ np.abs(outputs)) / scales(probe.subject.inputs)
    worst = difference(found, expected, size, least, probe)
    if worst:  # by more than cancels inside?
        own = scales(probe.subject.inputs, 0.0)
        jump = Stairs(probe, mixture, outputs, probe.point).jump(own, found)
        noise = STEEP * jump / own
        if difference(found, expected, size, least, probe, noise):
            return Structure(gradient, *NOT_LINEAR, 0, worst)
    again = probe.joined(pull(cotangent))
    worst = difference(again, gradient, np.abs(gradient), least, probe)
    return Structure(gradient, *NOT_REPEATED, 0, worst) if worst else Structure(gradient)


def first_run(probe: Probe, u: np.ndarray, w: np.ndarray) -> Any:
    """Pull back two cotangents, and say which mixture of them to try next."""
    pull = probe.linearize(probe.point.copy())
    raw = [None if g is None else np.array(g) for g in pull(u)]
    if probe.subject.by_hand or any(g is None for g in raw):
        return raw, None
    with np.errstate(all="ignore"):
        second = flat(pull(w))
    return raw, (second, SUMS[0] * u + SUMS[1] * w, SUMS)


def difference(
    found: np.ndarray,
    expected: np.ndarray,
    size: np.ndarray,
    least: np.ndarray,
    probe: Probe,
    noise: float | np.ndarray = 0.0,
) -> Difference | None:
    """Return where two gradients differ by more than rounding, array by array; or None."""
    noise = np.broadcast_to(noise, found.shape)
    start = 0
    for shape, dtype in zip(probe.shapes, probe.dtypes, strict=True):
        part = slice(start, start := start + int(np.prod(shape)))
        largest = np.nanmax(size[part], initial=0.0)
        epsilon = max([float(np.finfo(d).eps) for d in (dtype, *probe.output_dtypes)])
        allowed = max(ALLOWED, LOW * epsilon) * largest + epsilon * least[part] + noise[part]
        distance = np.abs(found[part] - expected[part])
        if np.any(distance > allowed):
            i = part.start + int(np.nanargmax(distance - allowed))
            return Difference(
                i, float(found[i]), float(expected[i]), float(allowed[i - part.start])
            )
    return None


def ill_formed(probe: Probe, gradients: Sequence[Any]) -> Iterator[tuple[int, str, str]]:
    """Yield what is wrong with shapes and dtypes: the argument, the problem, a diagnosis."""
    labels = probe.subject.labels
    if len(gradients) != len(labels):
        problem = f"{len(gradients)} gradients for {len(labels)} inputs"
        yield 0, problem, "one is missing or too many"
        return
    for i, (g, label) in enumerate(zip(gradients, labels, strict=True)):
        who = f"the gradient of argument {i} '{label}'"
        shape, dtype = probe.shapes[i], probe.dtypes[i]
        found = np.asarray(0.0 if g is None else g)
        if g is None:
            yield i, f"{who} is None", "the backward pass does not reach it, or returns nothing"
        elif found.shape != shape:
            problem = f"{who} has shape {found.shape}, not {shape}"
            yield i, problem, shape_diagnosis(found.shape, shape)
        elif not probe.subject.by_hand and found.dtype != dtype:
            yield i, f"{who} has dtype {found.dtype}, not {dtype}", "a conversion is missing"


def shape_diagnosis(found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """Guess how a gradient came to a wrong shape."""
    if found == expected[::-1]:
        return "transposed"
    try:
        broadcast = np.broadcast_shapes(found, expected) == found
    except ValueError:
        broadcast = False
    if broadcast:
        return "the sum over a broadcast axis is missing"
    return "reshaped, or summed over a wrong axis"
