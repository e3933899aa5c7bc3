"""Learning curves: what was measured, epoch by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_bp.plot.figure import COLOURS, Display
from tinygrad_bp.validate import refuse

NAMES = {"loss": "training", "val_loss": "validation"}


class LearningCurvesDisplay(Display):
    """Losses over epochs; the smallest loss in validation is marked.

    ``curves``: {quantity: one number per epoch}.

    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> LearningCurvesDisplay.from_history({"loss": [2.0, 1.0]}).ax_.get_xlabel()
    'epoch'
    """

    def __init__(self, curves: Mapping[str, Sequence[float]]) -> None:
        self.curves = {name: np.asarray(values, float) for name, values in curves.items()}

    @classmethod
    def from_history(
        cls, history: Mapping[str, Sequence[float]], *, names: Sequence[str] | None = None,
        ax: Any = None, log: bool = False,
    ) -> "LearningCurvesDisplay":  # fmt: skip
        """Draw the curves of a `tg.nn.History`: losses, or the quantities in `names`.

        Raises `InputError` if there are none.
        """
        if names is None:
            names = [name for name in ("loss", "val_loss") if name in history]
        if not names or not len(history):
            repair = "Train first, or pass names."
            refuse("history", "no losses", "at least one quantity", repair)
        return cls({name: history[name] for name in names}).plot(ax, log=log)

    def plot(self, ax: Any = None, *, log: bool = False) -> "LearningCurvesDisplay":
        """Draw the curves; `log`: on a logarithmic scale."""
        ax = self._axes(ax)
        self.lines_ = []
        for (name, values), colour in zip(self.curves.items(), COLOURS * 9, strict=False):
            epochs = np.arange(1, len(values) + 1)
            label = NAMES.get(name, name)
            style = {"marker": "o"} if len(values) == 1 else {}
            self.lines_ += ax.plot(epochs, values, color=colour, label=label, **style)
            if name == "val_loss" and np.isfinite(values).any():
                best = int(np.nanargmin(values))
                ax.plot(best + 1, values[best], "o", color=colour, label=f"best, epoch {best + 1}")
        losses = set(self.curves) <= set(NAMES)
        ax.set(xlabel="epoch", ylabel="loss" if losses else None)
        if log:
            ax.set_yscale("log")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
        ax.legend()
        return self
