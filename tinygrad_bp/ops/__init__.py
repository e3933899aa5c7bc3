"""All ops, one block each. Importing a module registers its ops and attaches them to Tensor."""

from tinygrad_bp.ops import (
    activation,
    angle,
    choice,
    compare,
    einsum,
    elementwise,
    join,
    linalg,
    network,
    reduce,
    shape,
)

__all__ = [
    "activation",
    "angle",
    "choice",
    "compare",
    "einsum",
    "elementwise",
    "join",
    "linalg",
    "network",
    "reduce",
    "shape",
]
