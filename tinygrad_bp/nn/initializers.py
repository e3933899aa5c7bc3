"""Where training starts: random weights whose signals neither die out nor explode.

A unit adds up `fan_in` products, so weights of variance 1 / fan_in keep the variance of a signal;
relu halves it, hence 2 / fan_in; 2 / (fan_in + fan_out) is the compromise with the gradient's way
back. Glorot and Bengio, 2010; He et al., 2015; LeCun et al., 1998.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from tinygrad_bp.errors import ShapeError
from tinygrad_bp.validate import refuse

Shape = tuple[int, ...]
Initializer = Callable[[np.random.Generator, Shape, int, int], np.ndarray]


class Parameter(NamedTuple):
    """What a layer says of one of its parameters before there is any: shape, fans, initializer."""

    shape: Shape
    initializer: str | Initializer
    fan_in: int = 1
    fan_out: int = 1

    def start(self, generator: np.random.Generator) -> np.ndarray:
        """Draw the first values, in float64 whatever the network computes in.

        >>> Parameter((2,), "ones").start(np.random.default_rng(0))
        array([1., 1.])
        """
        make = self.initializer
        function = INITIALIZERS[make] if isinstance(make, str) else make
        made = np.asarray(function(generator, self.shape, self.fan_in, self.fan_out), float)
        if made.shape != self.shape:
            given, expected = f"an array of shape {made.shape}", f"shape {self.shape}"
            refuse("initializer", given, expected, "Return one number per weight.", ShapeError)
        return made


def uniform(generator: np.random.Generator, shape: Shape, variance: float) -> np.ndarray:
    """Draw from the uniform distribution of a variance around zero: ±√(3 variance)."""
    bound = np.sqrt(3 * variance)
    return generator.uniform(-bound, bound, shape)


def normal(generator: np.random.Generator, shape: Shape, variance: float) -> np.ndarray:
    """Draw from the normal distribution of a variance around zero."""
    return np.sqrt(variance) * generator.standard_normal(shape)


INITIALIZERS: Mapping[str, Initializer] = {
    "glorot_uniform": lambda g, shape, n, m: uniform(g, shape, 2 / (n + m)),
    "glorot_normal": lambda g, shape, n, m: normal(g, shape, 2 / (n + m)),
    "he_uniform": lambda g, shape, n, m: uniform(g, shape, 2 / n),
    "he_normal": lambda g, shape, n, m: normal(g, shape, 2 / n),
    "lecun_uniform": lambda g, shape, n, m: uniform(g, shape, 1 / n),
    "lecun_normal": lambda g, shape, n, m: normal(g, shape, 1 / n),
    "zeros": lambda g, shape, n, m: np.zeros(shape),
    "ones": lambda g, shape, n, m: np.ones(shape),
}
