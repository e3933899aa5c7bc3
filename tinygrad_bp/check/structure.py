"""What must hold of a gradient before its numbers are compared with any others.

It has the shape and dtype of its input, is the same in a second run, is linear in the cotangent,
and computing it changes neither inputs nor cotangents.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.check.directions import mixed, scales
from tinygrad_bp.check.stairs import STEEP, Stairs
from tinygrad_bp.check.subject import Probe

ALLOWED = 2.0**-11  # relative: more than the rounding of a float32 inside
LOW = 64.0  # roundings of a lower precision
NOTHING = 256.0  # roundings of the value: a gradient that is zero, and computed as a difference
NOT_LINEAR = (
    "the gradient is not linear in the cotangent",
    "the cotangent is ignored, or right only for a seed of ones",
)
NOT_REPEATED = "the gradient is random, or keeps state: two calls at the same point differ"
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


@np.errstate(all="ignore")
def examine(
    probe: Probe, cotangent: np.ndarray, outputs: np.ndarray, rng: np.random.Generator
) -> Structure:
    """Compute the gradient in two runs and check everything but its numbers.

    Whether it repeats itself is asked first: what does not is not linear either.
    """
    other, pull = mixed(cotangent.size, rng), watched(probe)
    raw = pull(cotangent)
    for argument, problem, diagnosis in ill_formed(probe, raw):
        return Structure(np.zeros(0), problem, diagnosis, argument)
    gradient = probe.joined(raw)
    least = NOTHING * float(np.abs(cotangent) @ np.abs(outputs)) / scales(probe.subject.inputs)
    if probe.subject.by_hand:  # it is contracted with the cotangent here: that is linear
        return repeated(probe, gradient, watched(probe)(cotangent), least) or Structure(gradient)
    second, again = probe.joined(pull(other)), watched(probe)
    mixture = SUMS[0] * cotangent + SUMS[1] * other
    found = probe.joined(again(mixture))
    different = repeated(probe, gradient, again(cotangent), least)
    if different or second.size != gradient.size or found.size != gradient.size:
        return different or Structure(gradient, NOT_REPEATED)
    expected = SUMS[0] * gradient + SUMS[1] * second
    size = np.abs(SUMS[0] * gradient) + np.abs(SUMS[1] * second)
    worst = difference(found, expected, size, least, probe)
    if worst:  # by more than cancels inside?
        own = scales(probe.subject.inputs, 0.0)
        jump = Stairs(probe, mixture, outputs, probe.point).jump(own, found)
        worst = difference(found, expected, size, least, probe, STEEP * jump / own)
    if worst:  # a state may come back to where it was when it was last asked
        different = repeated(probe, found, again(mixture), least)
        return different or Structure(gradient, *NOT_LINEAR, 0, worst)
    return Structure(gradient)


def watched(probe: Probe) -> Callable[[np.ndarray], Sequence[Any]]:
    """Do what `Probe.linearize` does at the point, and refuse a gradient that changes its input."""
    inputs = probe.arrays(probe.point.copy())
    before = [x.copy() for x in inputs]
    _, pull = probe.subject.linearize(inputs)
    name = f"the gradient of {probe.subject.name}"

    def pulled(vector: np.ndarray) -> Sequence[Any]:
        probe.gradient_calls += 1
        given, untouched = probe.cotangents(vector), probe.cotangents(vector)
        found = [None if g is None else np.array(g) for g in pull(given)]  # g may be a buffer
        labels = [*probe.subject.labels, *cotangent_labels(len(given))]
        probe.refuse_changed([*inputs, *given], [*before, *untouched], name, labels)
        return found

    return pulled


def cotangent_labels(count: int) -> list[str]:
    """Name the cotangents of the outputs of a function."""
    return [f"cotangent {i}" for i in range(count)] if count > 1 else ["cotangent"] * count


def repeated(
    probe: Probe, first: np.ndarray, raw: Sequence[Any], least: np.ndarray
) -> Structure | None:
    """Return what is wrong if a second call does not give what the first one gave."""
    again = probe.joined(raw)
    if again.size != first.size:
        return Structure(first, NOT_REPEATED)
    worst = difference(again, first, np.abs(first), least, probe)
    return Structure(first, NOT_REPEATED, worst=worst) if worst else None


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
