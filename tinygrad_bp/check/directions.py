"""Random directions and cotangents in which nothing is small, equal to 1, or hidden by the rest."""

from collections.abc import Iterator, Sequence

import numpy as np

FLOOR = 1e-2  # an element moves by at least this share of the largest of its array
LEAST = 1e-12  # the same where very small elements are to count on their own
NORMAL = float(np.finfo(np.float64).tiny)  # what is smaller could not move by a share of itself
RESOLVED = 2.0**20  # roundings by which an output has to change to be given weight


def scales(arrays: Sequence[np.ndarray], floor: float = FLOOR) -> np.ndarray:
    """Return how far each element should move: by its own size, or 1 where all are zero.

    ``floor``: the least, as a share of the largest element of the same array.
    """
    found = []
    for x in arrays:
        sizes = np.abs(x.astype(np.float64)).ravel()
        largest = sizes.max(initial=0.0)
        zeros = FLOOR * largest if largest else 1.0  # have no size of their own
        moved = np.where(sizes == 0, zeros, np.maximum(sizes, floor * largest))
        found.append(np.maximum(moved, NORMAL))
    return np.concatenate(found) if found else np.zeros(0)


def mixed(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return random numbers of both signs between 0.5 and 1.5 in size."""
    return (0.5 + rng.random(count)) * (2.0 * rng.integers(0, 2, count) - 1)


def balanced(direction: np.ndarray, gradient: np.ndarray, share: float) -> np.ndarray:
    """Shorten a direction where the gradient is large, so that no element drowns the others.

    Afterwards no element contributes more than `share` to the slope.
    """
    with np.errstate(all="ignore"):
        contributions = np.abs(direction * gradient)
        return direction * np.where(contributions > share, share / contributions, 1.0)


def quantile(contributions: np.ndarray, part: float) -> float:
    """Return the size below which a part of the contributions that are not zero lies."""
    sizes = np.abs(contributions[contributions != 0])
    sizes = sizes[np.isfinite(sizes)]
    return float(np.quantile(sizes, part, method="lower")) if sizes.size else 0.0


def leveled(
    values: np.ndarray, changes: np.ndarray, dtype: np.dtype, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield cotangents that give every output the same weight, by how much it changes.

    There is more than one if the range of the dtype is too small for all outputs at once.
    ``changes``: of the outputs over a step along the direction to be checked.
    """
    limits = np.finfo(dtype)
    sizes = np.maximum(np.abs(changes), RESOLVED * float(limits.eps) * np.abs(values))
    sizes = np.where(np.isfinite(sizes) & (changes != 0), sizes, 0.0)
    signs = mixed(values.size, rng)
    largest, still = sizes.max(initial=0.0), sizes == 0  # what stands still is asked, too
    if not largest:
        yield signs
    while largest:
        group = sizes > largest / float(limits.max) ** 0.25
        weights = np.divide(largest, sizes, out=1.0 * still, where=group)
        yield signs * weights
        sizes, still = np.where(group, 0.0, sizes), np.zeros_like(still)
        largest = sizes.max(initial=0.0)
