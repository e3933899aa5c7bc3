"""A network as a description over closed dictionaries, and arrays; and back again.

What a file says is compared, in words, with what its own description asks for: names, shapes and
dtypes of all arrays follow from layers and optimizer. Nothing in a file is ever run or looked up.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_bp.errors import StoreError, describe
from tinygrad_bp.nn.layers import KINDS as LAYERS
from tinygrad_bp.nn.losses import KINDS as LOSSES
from tinygrad_bp.nn.network import NeuralNetwork
from tinygrad_bp.nn.optimizers import KINDS as OPTIMIZERS
from tinygrad_bp.nn.sequential import Sequential
from tinygrad_bp.nn.settings import LARGEST, read
from tinygrad_bp.nn.state import State, declare
from tinygrad_bp.store.container import Arrays
from tinygrad_bp.validate import as_count, as_number, refuse


def pack(model: Any) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and the description of a model."""
    if isinstance(model, NeuralNetwork):
        return _pack_network(model)
    if isinstance(model, Sequential):
        return _pack_sequential(model)
    expected = "a Sequential or a NeuralNetwork"
    return refuse("save, argument model", describe(model), expected, "Pass the model itself.")


def model_of(path: str, arrays: Arrays, description: dict[str, Any]) -> Any:
    """Return the model that a file describes, or raise `StoreError`."""
    kinds = {"NeuralNetwork": _network, "Sequential": _sequential}
    try:
        kind = description.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            refuse("the model", describe(kind), f"one of {', '.join(kinds)}", "Save it again.")
        model = kinds[kind](arrays, description)
        if pack(model)[1] != {k: v for k, v in description.items() if k != "training"}:
            refuse("the model", "numbers that it cannot have", "those it had", "Save it again.")
        return model
    except (ValueError, OverflowError) as error:  # all of ours that are raised here are ValueErrors
        given = f"a description that makes no sense ({error})"
        repair = "The file is damaged or was not written by tinygrad_bp; take another copy."
        raise StoreError(given, where=path, expected="a model", repair=repair) from error


# ---------------------------------------------------------------------------------- models


def _network(arrays: Arrays, description: dict[str, Any]) -> NeuralNetwork:
    check_keys(description, {"kind", "layers", "alpha"})
    layers = description["layers"]
    if not isinstance(layers, list) or not 2 <= len(layers) <= len(arrays) + 1:
        refuse("layers", describe(layers), "one number of units more than arrays", "Save it again.")
    network = NeuralNetwork.__new__(NeuralNetwork)  # drawing weights would cost time and memory
    network.layers = [as_size(n, f"layers[{i}]") for i, n in enumerate(layers)]
    network.alpha = as_number(description["alpha"], "alpha", positive=True)
    shapes = {f"W.{i}": shape for i, shape in enumerate(network._shapes())}
    check_arrays(arrays, shapes, np.dtype(float))
    network.W = [arrays[name].copy() for name in shapes]
    return network


def _pack_network(model: NeuralNetwork) -> tuple[Arrays, dict[str, Any]]:
    arrays = {f"W.{i}": np.asarray(w.value) for i, w in enumerate(model._weights())}
    layers = [int(n) for n in model.layers]
    return arrays, {"kind": "NeuralNetwork", "layers": layers, "alpha": float(model.alpha)}


def _pack_sequential(model: Sequential) -> tuple[Arrays, dict[str, Any]]:
    state = model._built("save")
    kept = {f"optimizer.{name}": array for name, array in state.kept.items()}
    description = {
        "kind": "Sequential",
        "layers": [layer.as_json() for layer in _known(model.layers, LAYERS)],
        "loss": next(_known([model.loss], LOSSES)).as_json(),
        "optimizer": next(_known([model.optimizer], OPTIMIZERS)).as_json(),
        "shape": list(model.input_shape or ()),
        "generator": state.generator,
        "epochs": state.epochs,
    }
    return {**state.parameters, **kept}, description


def _known(parts: Any, kinds: Mapping[str, Any]) -> Any:
    """Yield settings of the library's own kinds; refuse the user's."""
    for part in parts:
        if kinds.get(part.kind()) is not type(part):
            expected = f"one of {', '.join(kinds)}"
            repair = "Keep model.parameters, and build the model again in your program."
            refuse("save", f"{part!r}, which a file cannot describe", expected, repair)
        yield part


_SEQUENTIAL = {"kind", "layers", "loss", "optimizer", "shape", "generator", "epochs"}


def _sequential(arrays: Arrays, description: dict[str, Any]) -> Sequential:
    check_keys(description, _SEQUENTIAL, "training")
    parts = description["layers"]
    if not isinstance(parts, list):
        refuse("layers", describe(parts), "a list", "Save it again.")
    model = Sequential(
        [read(LAYERS, part, f"layers[{i}]") for i, part in enumerate(parts)],
        loss=read(LOSSES, description["loss"], "loss"),
        optimizer=read(OPTIMIZERS, description["optimizer"], "optimizer"),
        seed=0,
    )
    shape = description["shape"]
    if not isinstance(shape, list) or not 0 < len(shape) < 32:
        refuse("shape", describe(shape), "the shape of a sample", "Save it again.")
    model.input_shape = tuple(as_size(n, f"shape[{i}]") for i, n in enumerate(shape))
    model.state = _state(model, arrays, description)
    return model


def _state(model: Sequential, arrays: Arrays, description: dict[str, Any]) -> State:
    """Return the state that a file holds, if all of it is there in the right shape."""
    shapes = {k: p.shape for k, p in declare(model.layers, model.input_shape or ()).items()}
    if not shapes:
        refuse("layers", "no parameters", "something that was trained", "Save it again.")
    kept: dict[str, Any] = {}
    for name, shape in shapes.items():
        kept |= {f"optimizer.{name}.{what}": shape for what in model.optimizer.arrays}
        kept |= {f"optimizer.{name}.{what}": () for what in model.optimizer.counts}
    extra = _extra(description, shapes)
    first = arrays.get(next(iter(shapes)))
    dtype = np.dtype(float) if first is None or first.dtype.kind != "f" else first.dtype
    rest = {k: a for k, a in arrays.items() if not k.startswith(extra)}
    check_arrays(rest, shapes | kept, dtype)
    return State(
        {name: arrays[name] for name in shapes},
        {name.removeprefix("optimizer."): arrays[name] for name in kept},
        _generator(description["generator"]),
        as_size(description["epochs"], "epochs", least=0),
    )


def _extra(description: dict[str, Any], shapes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return how the names of arrays begin that only a run that goes on asks for."""
    return ("best.", "history.") if "training" in description else ()


def _generator(given: Any) -> dict[str, int]:
    names = {"state": 128, "inc": 128, "has_uint32": 1, "uinteger": 32}
    if not isinstance(given, dict) or given.keys() != names.keys():
        refuse("generator", describe(given), f"{', '.join(names)}", "Save it again.")
    for name, bits in names.items():
        if type(given[name]) is not int or not 0 <= given[name] < 1 << bits:
            refuse(f"generator.{name}", describe(given[name]), f"{bits} bits", "Save it again.")
    return given


def as_size(value: Any, name: str, least: int = 1) -> int:
    """Return a number of units, samples or epochs."""
    n = as_count(value, name, least=least)
    return n if n < LARGEST else refuse(name, describe(n), "fewer than 2**48", "Save it again.")


def check_keys(description: dict[str, Any], keys: set[str], *more: str) -> None:
    """Refuse a description with other keys; there may also be `more`."""
    if not keys <= description.keys() <= {*keys, *more}:
        refuse("the model", describe(sorted(description)), f"{sorted(keys)}", "Save it again.")


def check_arrays(arrays: Arrays, shapes: Mapping[str, Any], dtype: np.dtype) -> None:
    """Refuse arrays other than those that the description asks for."""
    if arrays.keys() != shapes.keys():
        strange = sorted(arrays.keys() ^ shapes.keys())[0]
        given = (
            f"an array {strange[:100]!r} too many" if strange in arrays else f"no {strange[:100]!r}"
        )
        refuse("arrays", given, "those of the layers and the optimizer", "Save it again.")
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != dtype:
            expected = f"{dtype} of shape {shape}"
            refuse(f"array {name}", describe(array), expected, "Save it again.")
