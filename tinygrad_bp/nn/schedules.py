"""Schedules: the learning rate as a pure function of time, in epochs, fractions included.

As nothing is remembered, training that is resumed goes on with the right rate.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tinygrad_bp.nn.settings import Settings, above_zero, checked, count, number, read
from tinygrad_bp.validate import as_number, refuse


class Schedule(Settings):
    """A learning rate that changes: ``schedule(epoch)``."""

    def __call__(self, epoch: float) -> float:
        """Return the rate after so many epochs."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class Steps(Schedule):
    """Multiply the rate by `factor` after every `every` epochs.

    >>> Steps(0.1, every=10, factor=0.5)(25)
    0.025
    """

    rate: float = above_zero()
    every: int = count()
    factor: float = above_zero(0.1)

    def __call__(self, epoch: float) -> float:
        """Return the rate after so many epochs."""
        return self.rate * self.factor ** (epoch // self.every)


@dataclass(frozen=True, repr=False)
class Exponential(Schedule):
    """Multiply the rate by `factor` in every epoch, smoothly.

    >>> Exponential(0.1, factor=0.25)(0.5)
    0.05
    """

    rate: float = above_zero()
    factor: float = above_zero(0.95)

    def __call__(self, epoch: float) -> float:
        """Return the rate after so many epochs."""
        return self.rate * self.factor**epoch


@dataclass(frozen=True, repr=False)
class Cosine(Schedule):
    """Let the rate fall to `final` within `epochs`, along half a cosine. Loshchilov, Hutter, 2017.

    ``warmup``: epochs of a linear rise before that.

    >>> Cosine(0.1, epochs=10)(5)
    0.05
    """

    rate: float = above_zero()
    epochs: int = count()
    final: float = number(0.0)
    warmup: int = count(0, least=0)

    def __call__(self, epoch: float) -> float:
        """Return the rate after so many epochs."""
        if epoch < self.warmup:
            return self.rate * epoch / self.warmup
        share = min((epoch - self.warmup) / max(self.epochs - self.warmup, 1), 1.0)
        return self.final + (self.rate - self.final) * (1 + math.cos(math.pi * share)) / 2


KINDS: Mapping[str, type[Schedule]] = {k.__name__: k for k in (Steps, Exponential, Cosine)}


def rate(default: float) -> Any:
    """Declare a learning rate: a number above zero, or a schedule."""

    def check(value: Any, name: str) -> Any:
        if isinstance(value, dict):  # from a file
            return read(KINDS, value, name)
        if isinstance(value, type):
            refuse(name, value.__name__, "a number or a schedule", "Make one: Cosine(0.01, 50).")
        return value if isinstance(value, Schedule) else as_number(value, name, positive=True)

    return checked(check, default)
