"""A cotangent that arrives only where a branch was taken.

``where(mask, sqrt(x), 0)`` at x = 0 does not use the root, so the root contributes *nothing*, which
is not the same as 0 · ∞ = NaN. `Selected` carries that difference backwards: the values, zero
elsewhere, and the mask of elements that exist at all.
"""

from typing import Any


class Selected:
    """Values where `taken`, and no contribution (rather than a zero factor) elsewhere."""

    __slots__ = ("taken", "values")
    __array_ufunc__ = None  # array + Selected asks Selected, not every element of the array

    def __init__(self, values: Any, taken: Any) -> None:
        self.values, self.taken = values, taken

    def __add__(self, other: Any) -> Any:
        if type(other) is Selected:
            return Selected(self.values + other.values, self.taken | other.taken)
        return self.values + other

    def __radd__(self, other: Any) -> Any:
        return other + self.values


def settle(cotangent: Any) -> Any:
    """Return a finished cotangent as plain values: what was not taken contributed zero."""
    return cotangent.values if type(cotangent) is Selected else cotangent
