"""What training changes, as one value; and what follows from layers and settings alone."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.nn.initializers import Parameter, Shape
from tinygrad_bp.nn.layers import Layer
from tinygrad_bp.nn.optimizers import Optimizer


class State(NamedTuple):
    """Everything that training changes. It is replaced as a whole, after a whole epoch."""

    parameters: dict[str, np.ndarray]  # "layers.0.weight": …
    kept: dict[str, np.ndarray]  # by the optimizer, "layers.0.weight.mean": …
    generator: dict[str, int]  # the state of PCG64
    epochs: int  # trained so far


def declare(layers: Sequence[Layer], shape: Shape) -> dict[str, Parameter]:
    """Name all parameters for samples of a shape; raise `ShapeError` if layers do not fit."""
    declared: dict[str, Parameter] = {}
    for i, layer in enumerate(layers):
        declared |= {f"layers.{i}.{k}": p for k, p in layer.parameters(shape).items()}
        shape = layer.output_shape(shape)
    return declared


def output_shape(layers: Sequence[Layer], shape: Shape) -> Shape:
    """Return the shape of the output for one sample."""
    for layer in layers:
        shape = layer.output_shape(shape)
    return shape


def start_optimizer(
    optimizer: Optimizer, parameters: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return what the optimizer keeps before the first step."""
    return {
        f"{name}.{what}": array
        for name, p in parameters.items()
        for what, array in optimizer.start(p).items()
    }


def generator_state(generator: np.random.Generator) -> dict[str, int]:
    """Describe a generator of the kind PCG64 by four whole numbers."""
    state: Any = generator.bit_generator.state
    return {
        **dict(state["state"]),
        "has_uint32": state["has_uint32"],
        "uinteger": state["uinteger"],
    }


def generator_of(state: Mapping[str, int]) -> np.random.Generator:
    """Return the generator that goes on where the described one was.

    >>> generator_of(generator_state(np.random.default_rng(7))).integers(100)
    np.int64(94)
    """
    bits = np.random.PCG64(0)
    inner = {name: state[name] for name in ("state", "inc")}
    rest = {name: state[name] for name in ("has_uint32", "uinteger")}
    whole: Any = {"bit_generator": "PCG64", "state": inner, **rest}
    bits.state = whole
    return np.random.Generator(bits)
