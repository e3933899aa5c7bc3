"""Optimizers: settings, and a pure rule (parameter, gradient, state, rate) → (parameter, state).

A rule is a Tensor expression, so the same line is recorded, drawn and compiled. The state is a
dictionary of arrays; an array is as large as its parameter, or a single number that counts.
"""

import functools
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tinygrad_bp.nn.schedules import Schedule, rate
from tinygrad_bp.nn.settings import Settings, above_zero, number, optional
from tinygrad_bp.ops.choice import maximum
from tinygrad_bp.ops.elementwise import expm1, sqrt, square
from tinygrad_bp.ops.reduce import sum

State = dict[str, Any]


@dataclass(frozen=True, repr=False)
class Optimizer(Settings):
    """What all optimizers share.

    ``rate``: the learning rate, a number or a schedule. ``weight_decay``: the share λ of every
    weight that is added to its gradient (biases and scales are spared). ``clip_norm``: gradients
    that are longer, all together, are scaled down to this length.
    """

    rate: float | Schedule = rate(0.01)
    weight_decay: float = number(0.0)
    clip_norm: float | None = optional(above_zero())

    arrays: ClassVar[Sequence[str]] = ()  # of the state, each shaped like the parameter
    counts: ClassVar[Sequence[str]] = ()  # of the state, each a single number

    def start(self, parameter: np.ndarray) -> dict[str, np.ndarray]:
        """Return the state before the first step: zeros."""
        zero = {name: np.zeros_like(parameter) for name in self.arrays}
        return zero | {name: np.zeros((), parameter.dtype) for name in self.counts}

    def rule(self, p: Any, g: Any, state: State, rate: Any) -> tuple[Any, State]:
        """Return a parameter after a step, and its state."""
        raise NotImplementedError

    def decay(self, p: Any, g: Any, rate: Any) -> tuple[Any, Any]:
        """Let the weights decay: here as the gradient of ½λ|p|²."""
        return p, g + self.weight_decay * p

    def rate_at(self, epoch: float) -> float:
        """Return the learning rate after so many epochs."""
        return self.rate(epoch) if isinstance(self.rate, Schedule) else self.rate

    def step(
        self, parameters: Sequence[Any], gradients: Sequence[Any], states: Any, rate: Any
    ) -> tuple[list[Any], list[State]]:
        """Return all parameters after a step, and their states."""
        if self.clip_norm is not None:
            gradients = clip(gradients, self.clip_norm)
        made = []
        for p, g, state in zip(parameters, gradients, states, strict=True):
            if self.weight_decay and p.ndim > 1:
                p, g = self.decay(p, g, rate)
            made.append(self.rule(p, g, state, rate))
        return [p for p, _ in made], [state for _, state in made]


def clip(gradients: Sequence[Any], norm: float) -> list[Any]:
    """Scale gradients down so that all together are not longer than `norm`."""
    length = sqrt(functools.reduce(operator.add, [sum(square(g)) for g in gradients]))
    factor = norm / maximum(length, norm)
    return [g * factor for g in gradients]


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Gradient descent: p ← p − α g.

    >>> SGD().rule(1.0, 0.5, {}, rate=0.1)
    (0.95, {})
    """

    rate: float | Schedule = rate(0.1)

    def rule(self, p: Any, g: Any, state: State, rate: Any) -> tuple[Any, State]:
        """Return a parameter after a step, and its state."""
        return p - rate * g, {}


@dataclass(frozen=True, repr=False)
class Momentum(SGD):
    """Gradient descent with a velocity: v ← μ v + g, p ← p − α v. Polyak, 1964."""

    momentum: float = number(0.9, high=1.0)

    arrays = ("velocity",)

    def rule(self, p: Any, g: Any, state: State, rate: Any) -> tuple[Any, State]:
        """Return a parameter after a step, and its state."""
        velocity = self.momentum * state["velocity"] + g
        return p - rate * velocity, {"velocity": velocity}


@dataclass(frozen=True, repr=False)
class Nesterov(Momentum):
    """Momentum that looks ahead: v ← μ v + g, p ← p − α (g + μ v). Nesterov, 1983."""

    def rule(self, p: Any, g: Any, state: State, rate: Any) -> tuple[Any, State]:
        """Return a parameter after a step, and its state."""
        velocity = self.momentum * state["velocity"] + g
        return p - rate * (g + self.momentum * velocity), {"velocity": velocity}


@dataclass(frozen=True, repr=False)
class RMSProp(Optimizer):
    """Divide by the recent size of the gradient: s ← ρ s + (1 − ρ) g², p ← p − α g / (√s + ε).

    Tieleman and Hinton, 2012.
    """

    rho: float = number(0.9, high=1.0)
    epsilon: float = above_zero(1e-8)

    arrays = ("square",)

    def rule(self, p: Any, g: Any, state: State, rate: Any) -> tuple[Any, State]:
        """Return a parameter after a step, and its state."""
        size = self.rho * state["square"] + (1 - self.rho) * square(g)
        return p - rate * g / (sqrt(size) + self.epsilon), {"square": size}


@dataclass(frozen=True, repr=False)
class Adam(Optimizer):
    """Momentum over the recent size of the gradient, both corrected for their start at zero.

    m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², after t steps m̂ = m / (1 − β₁ᵗ),
    v̂ = v / (1 − β₂ᵗ), p ← p − α m̂ / (√v̂ + ε). Kingma and Ba, 2015.
    """

    rate: float | Schedule = rate(0.001)
    beta1: float = number(0.9, high=1.0)
    beta2: float = number(0.999, high=1.0)
    epsilon: float = above_zero(1e-8)

    arrays = ("mean", "square")
    counts = ("steps",)

    def rule(self, p: Any, g: Any, state: State, rate: Any) -> tuple[Any, State]:
        """Return a parameter after a step, and its state."""
        t = state["steps"] + 1
        m = self.beta1 * state["mean"] + (1 - self.beta1) * g
        v = self.beta2 * state["square"] + (1 - self.beta2) * square(g)
        size = sqrt(v / _correction(self.beta2, t)) + self.epsilon
        step = rate / _correction(self.beta1, t) * m / size
        return p - step, {"mean": m, "square": v, "steps": t}


def _correction(beta: float, t: Any) -> Any:
    """Return 1 − βᵗ, exact also in float32 and for β near 1."""
    return -expm1(t * math.log(beta)) if beta else 1.0


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """Adam whose weights decay by themselves: p ← p − α λ p before the step.

    Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019.
    """

    weight_decay: float = number(0.01)

    def decay(self, p: Any, g: Any, rate: Any) -> tuple[Any, Any]:
        """Let the weights decay apart from the gradient."""
        return p - (self.weight_decay * rate) * p, g


KINDS: Mapping[str, type[Optimizer]] = {
    kind.__name__: kind for kind in (SGD, Momentum, Nesterov, RMSProp, Adam, AdamW)
}
