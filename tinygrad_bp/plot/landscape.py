"""The loss landscape: the loss over a plane through the weights, and the path of training on it.

Li et al., Visualizing the Loss Landscape of Neural Nets, 2018. Without a path the plane is spanned
by two random directions, scaled unit by unit to the size of the weights ("filter-normalised": it
shows the same shape however weights are scaled; biases and scales stay). With a path it is the
plane in which the path moves most, its two principal components.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_bp.errors import describe
from tinygrad_bp.nn.sequential import Sequential
from tinygrad_bp.plot.figure import COLOURS, Display
from tinygrad_bp.validate import as_count, as_number, refuse

Weights = Mapping[str, np.ndarray]


class LossLandscapeDisplay(Display):
    """The loss on a grid: ``losses[i, j]`` is that at ``(x[j], y[i])``.

    ``path``: (epochs, 2) coordinates of the path of training, or None.

    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> model = tg.nn.Sequential([tg.nn.Dense(1)], seed=0).build((3,))
    >>> display = LossLandscapeDisplay.from_model(model, np.eye(3), np.ones(3), resolution=5)
    >>> bool(np.isclose(display.losses[2, 2], model.evaluate(np.eye(3), np.ones(3))["loss"]))
    True
    """

    def __init__(
        self, x: np.ndarray, y: np.ndarray, losses: np.ndarray, path: np.ndarray | None
    ) -> None:
        self.x, self.y, self.losses, self.path = x, y, losses, path

    @classmethod
    def from_model(
        cls, model: Any, X: Any, y: Any, *, path: Sequence[Weights] | None = None,
        span: float = 1.0, resolution: int = 31, seed: int = 0, ax: Any = None,
        surface: bool = False,
    ) -> "LossLandscapeDisplay":  # fmt: skip
        """Draw the loss of a trained model for some data around its weights.

        ``path``: parameters along the way, e.g. collected by a callback,
        ``lambda run: path.append(run.model.parameters)``. ``span``: how far to go, in sizes of the
        weights, or of the path. Raises `InputError` for a path of fewer than three points.
        """
        if not isinstance(model, Sequential):
            repair = "Pass model.network_ of an estimator."
            refuse("model", describe(model), "a tg.nn.Sequential", repair)
        span, n = (
            as_number(span, "span", positive=True),
            as_count(resolution, "resolution", least=2),
        )
        centre, samples = model.parameters, model.samples(X, y)
        if path is None:
            generator = np.random.default_rng(seed)
            plane = [_filter_normalised(centre, generator) for _ in range(2)]
            points, low, high = None, np.full(2, -span), np.full(2, span)
        else:
            plane, points = _principal_plane(centre, path)
            margin = 0.5 * span * np.ptp(points, axis=0).max()
            low, high = points.min(0) - margin, points.max(0) + margin
        trial = copy.copy(model)
        sides = [np.linspace(low[k], high[k], n) for k in range(2)]
        losses = np.empty((n, n))
        for i, j in np.ndindex(n, n):
            a, b = sides[0][j], sides[1][i]
            trial.parameters = {k: p + a * plane[0][k] + b * plane[1][k] for k, p in centre.items()}
            losses[i, j] = trial.measure(samples)["loss"]
        return cls(sides[0], sides[1], losses, points).plot(ax, surface=surface)

    def plot(self, ax: Any = None, *, surface: bool = False) -> "LossLandscapeDisplay":
        """Draw lines of equal loss, or a surface; the loss is on a logarithmic scale."""
        ax = self._axes(ax, **({"projection": "3d"} if surface else {}))
        height = np.log10(np.maximum(self.losses, np.finfo(float).tiny))
        if surface:
            self._draw_surface(ax, height)
        else:
            filled = ax.contourf(self.x, self.y, height, 30, cmap="viridis")
            ax.contour(self.x, self.y, height, 12, colors="white", linewidths=0.4)
            self.figure_.colorbar(filled, ax=ax, label="log₁₀ loss")
            self._draw_path(ax)
        ax.set(xlabel="first direction", ylabel="second direction")
        return self

    def _draw_surface(self, ax: Any, height: np.ndarray) -> None:
        """Draw mountains, and the path of training above them."""
        ax.computed_zorder = False  # else a surface hides the lines that run on it
        grid = np.meshgrid(self.x, self.y)
        ax.plot_surface(*grid, height, cmap="viridis", linewidth=0, antialiased=True, zorder=1)
        if self.path is not None:
            z = _between(self.x, self.y, height, self.path)
            ax.plot(*self.path.T, z, color=COLOURS[1], linewidth=2, label="path", zorder=2)
            ax.plot(*self.path[-1:].T, z[-1:], "*", color=COLOURS[1], markersize=12, zorder=3)
        ax.set_zlabel("log₁₀ loss")
        ax.locator_params(nbins=5)
        ax.set_box_aspect(None, zoom=0.85)  # leaves room for the labels

    def _draw_path(self, ax: Any) -> None:
        if self.path is None:
            ax.plot(0, 0, "*", color=COLOURS[1], markersize=12, label="trained")
        else:
            ax.plot(*self.path.T, ".-", color="white", markersize=4, linewidth=1, label="path")
            ax.plot(*self.path[0], "o", color=COLOURS[4], label="start")
            ax.plot(*self.path[-1], "*", color=COLOURS[1], markersize=12, label="end")
        ax.legend(facecolor="0.7")


def _between(x: np.ndarray, y: np.ndarray, z: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the heights at points inside a grid, linear between its corners."""
    sides = [(x, points[:, 0]), (y, points[:, 1])]
    at = [np.interp(values, side, np.arange(len(side))) for side, values in sides]
    (j, i) = (
        np.minimum(place.astype(int), len(side) - 2)
        for place, (side, _) in zip(at, sides, strict=True)
    )
    u, v = at[0] - j, at[1] - i
    low = (1 - u) * z[i, j] + u * z[i, j + 1]
    high = (1 - u) * z[i + 1, j] + u * z[i + 1, j + 1]
    return (1 - v) * low + v * high


def _filter_normalised(weights: Weights, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return a random direction in which every unit moves by the length of its own weights."""
    direction = {}
    for name, w in weights.items():
        d = generator.standard_normal(w.shape)
        if w.ndim < 2 or min(w.shape) == 0 or name.endswith("bias"):
            direction[name] = np.zeros(w.shape)  # biases, scales and shifts stay
            continue
        axes = (0,) if w.ndim == 2 else tuple(range(1, w.ndim))  # all but that of the units
        lengths = [np.sqrt(np.square(a).sum(axes, keepdims=True)) for a in (w, d)]
        direction[name] = d * lengths[0] / lengths[1]
    return direction


def _principal_plane(
    centre: Weights, path: Sequence[Weights]
) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
    """Return the two directions of length 1 in which a path moves most, and its coordinates."""
    if len(path) < 3:
        repair = "Collect parameters in more epochs."
        refuse("path", f"{len(path)} points", "at least three", repair)
    names = list(centre)
    flat = np.array([np.concatenate([p[k].ravel() for k in names]) for p in path], float)
    steps = flat - np.concatenate([centre[k].ravel() for k in names])
    axes = np.linalg.svd(steps, full_matrices=False)[2][:2]
    plane: list[dict[str, np.ndarray]] = []
    for axis in axes:
        ends = np.cumsum([centre[k].size for k in names])[:-1]
        parts = np.split(axis, ends)
        shaped = zip(names, parts, strict=True)
        plane.append({k: part.reshape(centre[k].shape) for k, part in shaped})
    return plane, steps @ axes.T
