"""One entry of a tensor: its place in the flat order, and its name."""

import operator
from typing import Any

import numpy as np

from tinygrad_bp.errors import ShapeError, describe
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.validate import refuse


def position_of(tensor: Tensor, index: Any, where: str) -> int:
    """Return the position of an entry in the flat order; None stands for the only one.

    Raises `InputError` for an index that is none, `ShapeError` for one outside the shape.

    >>> position_of(Tensor([[1.0, 2.0], [3.0, 4.0]]), (1, -1), "here")
    3
    """
    shape = tensor.shape
    if index is None:
        if tensor.size == 1:
            return 0
        example = f", such as {(0,) * len(shape)}" if tensor.size else ""
        refuse(where, f"no index for a tensor of shape {shape}", "the index of one entry",
               f"Pass one number for each axis{example}.", ShapeError)  # fmt: skip
    parts = index if isinstance(index, tuple | list) else (index,)
    try:
        numbers = [operator.index(part) for part in parts]
    except TypeError:
        refuse(where, describe(index), f"whole numbers, {len(shape)} of them",
               "Pass a tuple with one number for each axis.")  # fmt: skip
    inside = [-n <= i < n for i, n in zip(numbers, shape, strict=False)]
    if len(numbers) != len(shape) or not all(inside):
        refuse(where, f"index {tuple(numbers)}", f"an entry of a tensor of shape {shape}",
               "Pass one number for each axis, counted from 0.", ShapeError)  # fmt: skip
    return int(np.ravel_multi_index([i % n for i, n in zip(numbers, shape, strict=True)], shape))


def entry_name(name: str, shape: tuple[int, ...], position: int) -> str:
    """Name an entry: ``W1[3, 4]``, or ``E`` where there is only one.

    >>> entry_name("W1", (5, 6), 22), entry_name("E", (1, 1), 0)
    ('W1[3, 4]', 'E')
    """
    if int(np.prod(shape)) == 1:
        return name
    index = np.unravel_index(position, shape)
    return f"{name}[{', '.join(str(int(i)) for i in index)}]"
