"""Weights as pictures: what every unit looks for."""

from typing import Any

import numpy as np

from tinygrad_bp.errors import describe
from tinygrad_bp.plot.figure import Display
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
        cls, model: Any, *, layer: int = 0, shape: Any = None, most: int = MOST, ax: Any = None
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
        return cls(images[: as_count(most, "most")], len(images)).plot(ax)

    def plot(self, ax: Any = None) -> "WeightsDisplay":
        """Draw all images inside the axes; `axes_` are their own."""
        ax = self._axes(ax)
        ax.axis("off")
        columns = int(np.ceil(np.sqrt(len(self.images))))
        rows = -(-len(self.images) // columns)
        largest = float(np.abs(self.images).max()) or 1.0
        scale = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
        width, height = 1 / columns, 1 / rows
        self.axes_ = []
        for i, image in enumerate(self.images):
            row, column = divmod(i, columns)
            place = [column * width, 1 - (row + 1) * height, 0.9 * width, 0.9 * height]
            self.axes_.append(ax.inset_axes(place))
            drawn = self.axes_[-1].imshow(image, **scale)
            self.axes_[-1].set(xticks=[], yticks=[])
        self.figure_.colorbar(drawn, ax=ax, shrink=0.8)
        if self.total > len(self.images):
            ax.set_title(f"{len(self.images)} of {self.total} units")
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
