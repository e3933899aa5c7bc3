"""Weights as pictures: what every unit looks for."""

from typing import Any

import numpy as np

from tinygrad_bp.errors import describe
from tinygrad_bp.plot.figure import Display, new_figure
from tinygrad_bp.validate import as_array, as_count, refuse

MOST = 64


class WeightsDisplay(Display):
    """One image for each unit of a layer, all on one scale: blue is negative, red positive.

    ``images``: (units, height, width).

    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> WeightsDisplay.from_model(tg.NeuralNetwork([4, 3, 1]), shape=(2, 2)).images.shape
    (4, 2, 2)
    """

    def __init__(self, images: np.ndarray, total: int | None = None) -> None:
        self.images = images
        self.total = len(images) if total is None else total

    @classmethod
    def from_model(
        cls, model: Any, *, layer: int = 0, shape: Any = None, most: int = MOST
    ) -> "WeightsDisplay":
        """Draw the weights of a layer of a `tg.nn.Sequential`, `NeuralNetwork` or estimator.

        ``shape``: (height, width) of the images that a Dense layer looks at; None draws the matrix.
        At most `most` units are drawn. Raises `InputError` for a layer without weights.
        """
        weights = as_array(_weights_of(model, layer), "weights")
        if weights.ndim == 4:
            images = weights.reshape(-1, *weights.shape[2:])
        elif shape is None:
            images = weights[None]
        else:
            height, width = (as_count(n, "shape") for n in shape)
            if height * width not in (len(weights), len(weights) - 1):
                expected = f"{len(weights)} pixels, one for each input"
                refuse("shape", describe(shape), expected, "Give (height, width).")
            images = weights[: height * width].T.reshape(-1, height, width)
        return cls(images[: as_count(most, "most")], len(images)).plot()

    def plot(self, figure: Any = None) -> "WeightsDisplay":
        """Draw all images on one figure; `axes_` are theirs."""
        self.figure_ = new_figure() if figure is None else figure
        columns = int(np.ceil(np.sqrt(len(self.images))))
        rows = -(-len(self.images) // columns)
        axes = self.figure_.subplots(rows, columns, squeeze=False).ravel()
        largest = float(np.abs(self.images).max()) or 1.0
        scale = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
        for ax, image in zip(axes, self.images, strict=False):
            drawn = ax.imshow(image, **scale)
        for ax in axes:
            ax.axis("off")
        self.axes_, self.ax_ = axes, axes[0]
        self.figure_.colorbar(drawn, ax=axes, shrink=0.8)
        if self.total > len(self.images):
            self.figure_.suptitle(f"{len(self.images)} of {self.total} units")
        return self


def _weights_of(model: Any, layer: int) -> Any:
    """Return the weights of a layer."""
    if hasattr(model, "W"):
        return model.W[layer]
    parameters = getattr(model, "network_", model).parameters
    name = f"layers.{layer}.weight"
    if name not in parameters:
        there = [key.split(".")[1] for key in parameters if key.endswith("weight")]
        refuse("layer", describe(layer), f"one of {', '.join(there)}", "Name one with weights.")
    return parameters[name]
