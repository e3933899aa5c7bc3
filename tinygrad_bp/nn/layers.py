"""Layers: settings, the shapes that follow from them, and one Tensor expression each.

A layer holds no numbers. It says which parameters it needs for an input of some shape, and what it
makes of a batch when it is given them. Shapes are those of one sample, without the batch axis.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from tinygrad_bp.errors import ShapeError
from tinygrad_bp.nn.initializers import INITIALIZERS, Parameter, Shape
from tinygrad_bp.nn.settings import Settings, above_zero, choice, count, flag, number, optional
from tinygrad_bp.ops.activation import elu, gelu, leaky_relu, relu, sigmoid, silu, softplus
from tinygrad_bp.ops.angle import tanh
from tinygrad_bp.ops.elementwise import sqrt
from tinygrad_bp.ops.network import conv2d, max_pool2d, softmax
from tinygrad_bp.ops.reduce import mean
from tinygrad_bp.validate import refuse

ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "gelu": gelu,
    "silu": silu,
    "softplus": softplus,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "softmax": softmax,
}
RECTIFIERS = ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus")


class Layer(Settings):
    """What every layer can say. A subclass of your own trains like any other, but is not saved.

    ``parameters(shape)``: the parameters that it needs for samples of a shape, by name.
    ``output_shape(shape)``: the shape of what it makes of a sample. ``draw(generator, shape)``:
    what it draws for a batch while training, or None. ``layer(x, parameters, drawn)``: its output.
    """

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """Name the parameters for samples of a shape."""
        return {}

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output for one sample."""
        return shape

    def draw(self, generator: np.random.Generator, shape: Shape) -> np.ndarray | None:
        """Draw what is random about the layer in one step of training, for a batch of a shape."""
        return None

    def __call__(self, x: Any, parameters: Mapping[str, Any], drawn: Any = None) -> Any:
        """Return the output for a batch; `drawn` is None when the network is used, not trained."""
        raise NotImplementedError

    def refuse_shape(self, shape: Shape, expected: str, repair: str) -> NoReturn:
        """Raise the `ShapeError` for samples that the layer cannot take."""
        refuse(repr(self), f"samples of shape {shape}", expected, repair, ShapeError)


def _start(initializer: Any, activation: Any) -> Any:
    """Return the initializer, by default the one that suits the activation."""
    if initializer is not None:
        return initializer
    return "he_uniform" if activation in RECTIFIERS else "glorot_uniform"


def _apply(activation: Any, x: Any) -> Any:
    return (ACTIVATIONS[activation] if isinstance(activation, str) else activation)(x)


@dataclass(frozen=True, repr=False)
class Dense(Layer):
    """Every unit sees every input: activation(x W + b).

    ``units``: the number of outputs. ``activation``: a name, such as "relu", or a function of a
    Tensor. ``initializer``: of the weights; None takes He's for rectifiers, Glorot's otherwise.
    Raises `InputError` for other values and `ShapeError` for samples that are not flat.

    >>> Dense(10, "relu").output_shape((64,))
    (10,)
    """

    units: int = count()
    activation: str | Callable[[Any], Any] = choice(ACTIVATIONS, "linear")
    bias: bool = flag(True)
    initializer: str | Callable[..., Any] | None = optional(choice(INITIALIZERS))

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """Name W of shape (inputs, units), and b."""
        self.output_shape(shape)
        start, fans = _start(self.initializer, self.activation), (shape[0], self.units)
        weight = {"weight": Parameter(fans, start, *fans)}
        return weight | ({"bias": Parameter((self.units,), "zeros")} if self.bias else {})

    def output_shape(self, shape: Shape) -> Shape:
        """Return (units,)."""
        if len(shape) != 1:
            self.refuse_shape(shape, "flat samples", "Put Flatten() before it.")
        return (self.units,)

    def __call__(self, x: Any, parameters: Mapping[str, Any], drawn: Any = None) -> Any:
        """Return activation(x W + b)."""
        y = x @ parameters["weight"]
        return _apply(self.activation, y + parameters["bias"] if self.bias else y)


@dataclass(frozen=True, repr=False)
class Activation(Layer):
    """A function of every element, or of every row: "relu", "softmax", or one of your own.

    >>> Activation("relu")(np.array([-1.0, 2.0]), {})
    array([0., 2.])
    """

    function: str | Callable[[Any], Any] = choice(ACTIVATIONS)

    def __call__(self, x: Any, parameters: Mapping[str, Any], drawn: Any = None) -> Any:
        """Return the function of the batch."""
        return _apply(self.function, x)


@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """While training, set a share of the elements to zero, and divide the others by what is kept.

    Srivastava et al., Dropout, 2014. ``rate``: the share, at least 0 and below 1.

    >>> Dropout(0.5).draw(np.random.default_rng(0), (4,))
    array([2., 0., 0., 0.])
    """

    rate: float = number(0.5, high=1.0)

    def draw(self, generator: np.random.Generator, shape: Shape) -> np.ndarray:
        """Draw 0 for what is dropped and 1 / (1 - rate) for what is kept."""
        return (generator.random(shape) >= self.rate) / (1 - self.rate)

    def __call__(self, x: Any, parameters: Mapping[str, Any], drawn: Any = None) -> Any:
        """Return what is kept while training, and everything otherwise."""
        return x if drawn is None else x * drawn


@dataclass(frozen=True, repr=False)
class LayerNorm(Layer):
    """Shift and scale the last axis of every sample to mean 0 and variance 1, then as learned.

    Ba, Kiros and Hinton, Layer Normalization, 2016. ``epsilon`` is added to the variance.

    >>> LayerNorm().output_shape((8,))
    (8,)
    """

    epsilon: float = above_zero(1e-5)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """Name a scale and a shift for each element of the last axis."""
        return {"scale": Parameter(shape[-1:], "ones"), "shift": Parameter(shape[-1:], "zeros")}

    def __call__(self, x: Any, parameters: Mapping[str, Any], drawn: Any = None) -> Any:
        """Return (x - mean) / √(variance + ε) · scale + shift."""
        centred = x - mean(x, -1, True)
        deviation = sqrt(mean(centred * centred, -1, True) + self.epsilon)
        return centred / deviation * parameters["scale"] + parameters["shift"]


@dataclass(frozen=True, repr=False)
class Conv2D(Layer):
    """Slide `filters` kernels of size × size over images of shape (channels, height, width).

    ``stride`` is the distance between windows, ``padding`` the width of the border of zeros. Raises
    `ShapeError` for samples that are no images, or too small.

    >>> Conv2D(8, 3).output_shape((1, 28, 28))
    (8, 26, 26)
    """

    filters: int = count()
    size: int = count(3)
    activation: str | Callable[[Any], Any] = choice(ACTIVATIONS, "linear")
    stride: int = count(1)
    padding: int = count(0, least=0)
    bias: bool = flag(True)
    initializer: str | Callable[..., Any] | None = optional(choice(INITIALIZERS))

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """Name the kernels (filters, channels, size, size), and a bias for each."""
        self.output_shape(shape)
        area, start = self.size**2, _start(self.initializer, self.activation)
        kernel = (self.filters, shape[0], self.size, self.size)
        weight = {"weight": Parameter(kernel, start, shape[0] * area, self.filters * area)}
        bias = {"bias": Parameter((self.filters, 1, 1), "zeros")}
        return weight | (bias if self.bias else {})

    def output_shape(self, shape: Shape) -> Shape:
        """Return (filters, rows, columns): the number of windows that fit."""
        return (self.filters, *_windows(self, shape, self.size, self.stride, self.padding))

    def __call__(self, x: Any, parameters: Mapping[str, Any], drawn: Any = None) -> Any:
        """Return activation(x ∗ W + b)."""
        y = conv2d(x, parameters["weight"], self.stride, self.padding)
        return _apply(self.activation, y + parameters["bias"] if self.bias else y)


@dataclass(frozen=True, repr=False)
class MaxPool2D(Layer):
    """Keep the largest element of every window of size × size, `stride` (None: size) apart.

    >>> MaxPool2D(2).output_shape((8, 26, 26))
    (8, 13, 13)
    """

    size: int = count(2)
    stride: int | None = optional(count())

    def output_shape(self, shape: Shape) -> Shape:
        """Return (channels, rows, columns): the number of windows that fit."""
        return (*shape[:1], *_windows(self, shape, self.size, self.stride or self.size, 0))

    def __call__(self, x: Any, parameters: Mapping[str, Any], drawn: Any = None) -> Any:
        """Return the largest element of every window."""
        return max_pool2d(x, self.size, self.stride)


@dataclass(frozen=True, repr=False)
class Flatten(Layer):
    """Make one axis of all axes of a sample.

    >>> Flatten().output_shape((8, 13, 13))
    (1352,)
    """

    def output_shape(self, shape: Shape) -> Shape:
        """Return (elements of a sample,)."""
        size = 1
        for n in shape:
            size *= n
        return (size,)

    def __call__(self, x: Any, parameters: Mapping[str, Any], drawn: Any = None) -> Any:
        """Return the batch as rows."""
        return x.reshape((x.shape[0], self.output_shape(x.shape[1:])[0]))


def _windows(layer: Layer, shape: Shape, size: int, stride: int, padding: int) -> Shape:
    """Return how many windows fit into an image, down and across."""
    if len(shape) != 3:
        layer.refuse_shape(
            shape, "images (channels, height, width)",
            "Reshape X to (samples, channels, height, width).",
        )  # fmt: skip
    counts = tuple((n + 2 * padding - size) // stride + 1 for n in shape[1:])
    if min(counts) < 1:
        layer.refuse_shape(shape, "images that a window fits into", "Use a smaller one, or pad.")
    return counts


KINDS: Mapping[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (Dense, Activation, Dropout, LayerNorm, Conv2D, MaxPool2D, Flatten)
}
