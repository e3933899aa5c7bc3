"""Decision boundaries: what a classifier of two columns says, everywhere."""

from typing import Any

import numpy as np

from tinygrad_bp.plot.figure import COLOURS, Display
from tinygrad_bp.validate import as_count, as_floats, refuse


class DecisionBoundaryDisplay(Display):
    """The plane of two columns, coloured by the answer; paler where it is less certain.

    ``x``, ``y``: the grid. ``probabilities``: (rows, columns, classes). ``points``, ``labels``:
    what is drawn on top, numbers of classes. ``names``: of the two columns.

    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> model = tg.nn.Sequential([tg.nn.Dense(3)], loss="categorical_cross_entropy", seed=0)
    >>> X, y = np.eye(3)[:, :2], np.arange(3)
    >>> display = DecisionBoundaryDisplay.from_estimator(model.build((2,)), X, y, resolution=5)
    >>> display.probabilities.shape
    (5, 5, 3)
    """

    def __init__(
        self, x: np.ndarray, y: np.ndarray, probabilities: np.ndarray, points: np.ndarray,
        labels: np.ndarray, classes: Any, names: Any = ("column 0", "column 1"),
    ) -> None:  # fmt: skip
        self.x, self.y, self.probabilities = x, y, probabilities
        self.points, self.labels, self.classes, self.names = points, labels, classes, names

    @classmethod
    def from_estimator(
        cls, model: Any, X: Any, y: Any, *, resolution: int = 200, ax: Any = None
    ) -> "DecisionBoundaryDisplay":
        """Draw the answers of a classifier around the rows of X, which has two columns.

        ``model``: an estimator with `predict_proba`, or a `tg.nn.Sequential` of which y are the
        numbers of the classes. Raises `InputError` for other numbers of columns.
        """
        points, resolution = as_floats(X, "X"), as_count(resolution, "resolution", least=2)
        if points.ndim != 2 or points.shape[1] != 2:
            expected = "(rows, 2): a picture has two directions"
            refuse("X", f"shape {points.shape}", expected, "Choose two columns, and train on them.")
        low, high = points.min(0), points.max(0)
        margin = 0.1 * np.where(high > low, high - low, 1)
        sides = [
            np.linspace(*side, resolution) for side in zip(low - margin, high + margin, strict=True)
        ]
        grid = np.stack(np.meshgrid(*sides), -1).reshape(-1, 2)
        names = list(getattr(X, "columns", ("column 0", "column 1")))
        asked = type(X)(grid, columns=names) if hasattr(X, "iloc") else grid  # as in fit
        found = (getattr(model, "predict_proba", None) or model.predict)(asked)
        if found.shape[1] == 1:
            found = np.hstack([1 - found, found])
        classes = np.asarray(getattr(model, "classes_", np.arange(found.shape[1])))
        labels = np.searchsorted(classes, np.asarray(y).ravel())
        probabilities = found.reshape(resolution, resolution, -1)
        return cls(sides[0], sides[1], probabilities, points, labels, classes, names).plot(ax)

    def plot(self, ax: Any = None) -> "DecisionBoundaryDisplay":
        """Draw the plane, the boundary and the points."""
        ax = self._axes(ax)
        palette = np.array([_rgb(c) for c in COLOURS * (1 + len(self.classes) // len(COLOURS))])
        palette = palette[: len(self.classes)]
        colours = 1 - 0.6 * (1 - self.probabilities @ palette)
        extent = (self.x[0], self.x[-1], self.y[0], self.y[-1])
        self.image_ = ax.imshow(
            colours.clip(0, 1), origin="lower", extent=extent, aspect="auto",
            interpolation="bilinear",
        )  # fmt: skip
        for k in range(len(self.classes) - (len(self.classes) == 2)):
            lead = self.probabilities[..., k] - np.delete(self.probabilities, k, -1).max(-1)
            if lead.min() < 0 < lead.max():
                ax.contour(self.x, self.y, lead, [0], colors="black", linewidths=1)
        for k, label in enumerate(self.classes):
            rows = self.points[self.labels == k]
            ax.scatter(
                *rows.T, color=palette[k], edgecolor="white", linewidth=0.7, label=f"{label}"
            )
        ax.set(xlabel=f"{self.names[0]}", ylabel=f"{self.names[1]}")
        ax.legend()
        return self


def _rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
