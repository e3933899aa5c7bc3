"""What happens to every cotangent, whatever the op: products, shapes, dtypes, branches.

A derivative rule states dy/dx. That the cotangent is multiplied by it, summed over broadcast axes
and given the dtype of the input is arranged here, once.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_bp.facts import OPS, Shape
from tinygrad_bp.record import WEAK
from tinygrad_bp.selected import Selected
from tinygrad_bp.tensor import Tensor


def times(cotangent: Any, factor: Any) -> Any:
    """Multiply a cotangent by a local derivative, which often is the integer 1."""
    return cotangent if type(factor) is int and factor == 1 else cotangent * factor


def promote(inputs: Sequence[Any], y: Any) -> Sequence[Any]:
    """Give inputs the dtype of the result, so that a rule never computes in a lower precision."""
    dtype = getattr(y, "dtype", None)
    for x in inputs:
        if getattr(x, "dtype", dtype) is not dtype:
            return [x if type(x) in WEAK else OPS["astype"](x, dtype) for x in inputs]
    return inputs


def match(share: Any, like: Any) -> Any:
    """Give a share the shape and dtype of the input it belongs to: sum what was broadcast."""
    if type(share) not in _ARRAYS:
        return share
    if share.shape != like.shape:
        share = sum_to(share, like.shape)
    if share.dtype is not like.dtype and share.dtype != like.dtype:
        share = OPS["astype"](share, like.dtype)
    return share


_FLOATS = {np.float16, np.float32, np.float64, np.longdouble}
_ARRAYS = {np.ndarray, Tensor, np.int64, np.bool_} | _FLOATS  # and not, say, fractions


def select(share: Any, taken: Any, like: Any) -> Selected:
    """Keep a share where `taken`; give it and the mask the shape of the input they belong to."""
    kept = OPS["where"](taken, share, 0)
    taken = OPS["broadcast_to"](taken, kept.shape)
    if kept.shape != like.shape:
        taken = sum_to(1 * taken, like.shape) != 0
    return Selected(match(kept, like), taken)


def sum_to(array: Any, shape: Shape) -> Any:
    """Sum over the axes along which `shape` was broadcast to give `array`."""
    extra = array.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        axis + extra for axis, n in enumerate(shape) if n == 1 != array.shape[axis + extra]
    )
    return OPS["reshape"](OPS["sum"](array, axis=axes), shape)
