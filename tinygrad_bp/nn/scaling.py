"""Standardizing: columns of mean 0 and variance 1, so that one learning rate suits them all."""

from typing import NamedTuple

import numpy as np

from tinygrad_bp.validate import refuse


class Scaling(NamedTuple):
    """A shift and a scale for every column.

    >>> scaling = Scaling.of(np.array([[1.0, 5.0], [3.0, 5.0]]), np.ones(2))
    >>> scaling.apply(np.array([[1.0, 5.0], [4.0, 6.0]]))
    array([[-1.,  0.],
           [ 2.,  1.]])
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, weights: np.ndarray) -> "Scaling":
        """Return the scaling that makes rows of these weights standard; a constant is shifted.

        Raises `InputError` for numbers too large to be squared.
        """
        share = weights.astype(float) / weights.max()  # large weights must not overflow
        share /= share.sum()
        with np.errstate(over="ignore"):
            mean = share @ rows.astype(float)
            deviation = np.sqrt(share @ np.square(rows - mean))
        if not np.isfinite(deviation).all():
            given = f"numbers up to {np.abs(rows).max():.3g}"
            expected = "numbers whose squares float64 can hold"
            refuse("standardizing", given, expected, "Scale them down first.")
        constant = deviation <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
        return cls(mean, np.where(constant, 1.0, deviation))

    @classmethod
    def none(cls, columns: int) -> "Scaling":
        """Return the scaling that changes nothing."""
        return cls(np.zeros(columns), np.ones(columns))

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Return standard rows, in their dtype."""
        return ((rows - self.mean) / self.scale).astype(rows.dtype)

    def undo(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows as they were, in their dtype."""
        return (rows * self.scale + self.mean).astype(rows.dtype)
