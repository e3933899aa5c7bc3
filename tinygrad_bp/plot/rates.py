"""The learning rate finder: a few batches, each with a larger rate than the one before.

Smith, Cyclical Learning Rates for Training Neural Networks, 2017. Where the loss falls fastest the
rate is good; where it rises again it is too large.
"""

import copy
from typing import Any

import numpy as np

from tinygrad_bp.errors import GraphError, describe
from tinygrad_bp.nn.callbacks import LearningRate
from tinygrad_bp.nn.sequential import Sequential
from tinygrad_bp.plot.figure import COLOURS, Display
from tinygrad_bp.validate import as_count, as_number, refuse

SMOOTH, EXPLODED, BELOW = 0.8, 4.0, 10.0


class LearningRateDisplay(Display):
    """The loss of batches over the learning rates with which they were learned.

    ``rates``, ``losses``; ``smooth``: their running mean; ``suggestion``: a tenth of the rate at
    which that is smallest.

    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> model = tg.nn.Sequential([tg.nn.Dense(1)], optimizer="sgd", seed=0)
    >>> display = LearningRateDisplay.from_model(model, np.eye(3), np.ones(3), steps=20)
    >>> bool(1e-6 < display.suggestion < 1)
    True
    """

    def __init__(self, rates: np.ndarray, losses: np.ndarray) -> None:
        self.rates, self.losses = rates, losses
        self.smooth = _running_mean(losses)
        self.suggestion = float(rates[self.smooth.argmin()] / BELOW)

    @classmethod
    def from_model(
        cls, model: Any, X: Any, y: Any, *, low: float = 1e-5, high: float = 10.0,
        steps: int = 100, batch_size: int = 32, seed: int = 0, ax: Any = None,
    ) -> "LearningRateDisplay":  # fmt: skip
        """Try rates from `low` to `high` on a copy of a model: the model itself stays as it is.

        Raises `InputError` for a range that is empty, and what `fit` raises.
        """
        if not isinstance(model, Sequential):
            repair = "Pass model.network_ of an estimator, and the rows that it sees."
            refuse("model", describe(model), "a tg.nn.Sequential", repair)
        low, high = (as_number(x, "low, high", positive=True) for x in (low, high))
        if low >= high:
            refuse("low", f"{low:g}, and high {high:g}", "less than high", "Widen the range.")
        trial, generator = copy.copy(model), np.random.default_rng(seed)
        X, y = np.asarray(X), np.asarray(y)
        size = min(as_count(batch_size, "batch_size"), len(X))
        rates = np.geomspace(low, high, as_count(steps, "steps", least=2))
        losses: list[float] = []
        for rate in rates:
            rows = generator.choice(len(X), size, replace=False)
            try:
                losses += _step(trial, X[rows], y[rows], float(rate))
            except GraphError:
                break
            if losses[-1] > EXPLODED * min(losses) + 1e-12 and len(losses) > 10:
                break
        return cls(rates[: len(losses)], np.array(losses)).plot(ax)

    def plot(self, ax: Any = None) -> "LearningRateDisplay":
        """Draw the losses and the suggestion."""
        ax = self._axes(ax)
        ax.plot(self.rates, self.losses, ".", color="0.7", label="one batch")
        ax.plot(self.rates, self.smooth, color=COLOURS[0], label="running mean")
        text = f"suggestion: {self.suggestion:.2g}"
        self.line_ = ax.axvline(self.suggestion, color=COLOURS[1], linestyle="--", label=text)
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss")
        top = np.quantile(self.losses, 0.9)
        ax.set_ylim(min(self.losses) - 0.05 * abs(top), 1.3 * top)
        ax.grid(alpha=0.3)
        ax.legend()
        return self


def _step(model: Sequential, X: np.ndarray, y: np.ndarray, rate: float) -> list[float]:
    """Make one step and return the loss before it."""
    callback = LearningRate(lambda epoch: rate)
    return model.fit(X, y, 1, batch_size=len(X), callbacks=[callback], engine="numpy")["loss"]


def _running_mean(losses: np.ndarray) -> np.ndarray:
    """Return the exponential running mean, corrected for its start at zero."""
    means, mean = [], 0.0
    for i, loss in enumerate(losses, 1):
        mean = SMOOTH * mean + (1 - SMOOTH) * loss
        means.append(mean / (1 - SMOOTH**i))
    return np.array(means)
