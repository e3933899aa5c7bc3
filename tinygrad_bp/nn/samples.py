"""The door for the data of training: inputs, targets and weights, checked, in one dtype.

Data in float32 are computed in float32, all others in float64. Classes become rows of
probabilities, so that a step sees numbers only.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.errors import ShapeError, describe
from tinygrad_bp.nn.losses import Loss
from tinygrad_bp.validate import as_array, as_floats, as_number, refuse

Shape = tuple[int, ...]


class Samples(NamedTuple):
    """Inputs, targets and weights: one row of each for every sample."""

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def as_inputs(X: Any, name: str = "X", *, shape: Shape | None = None) -> np.ndarray:
    """Return the inputs as finite floats (samples, ...), at least one; `shape` is that of a sample.

    >>> as_inputs([[1, 2]]).dtype
    dtype('float64')
    """
    array = as_array(X, name)
    dtype = np.float32 if array.dtype == np.float32 else np.float64
    array = as_floats(array, name, dtype=dtype)
    if array.ndim < 2 or array.size == 0:
        given, expected = f"shape {array.shape}", "(samples, inputs), at least one of each"
        repair = "Use X.reshape(-1, 1) for one input, X.reshape(1, -1) for one sample."
        refuse(name, given, expected, repair, ShapeError)
    if shape is not None and array.shape[1:] != shape:
        expected = f"(samples, {', '.join(map(str, shape))}), as in fit"
        repair = "Prepare the data as for fit."
        refuse(name, f"shape {array.shape}", expected, repair, ShapeError)
    return array


def as_targets(y: Any, loss: Loss, outputs: Shape, inputs: np.ndarray, name: str) -> np.ndarray:
    """Return the targets in the shape and the dtype in which the loss compares them to outputs.

    Raises `InputError` for numbers that the loss cannot take, `ShapeError` for shapes.
    """
    array = as_floats(y, name, dtype=inputs.dtype)
    if len(array) != len(inputs) if array.ndim else True:
        given = f"shape {array.shape}, and {len(inputs)} rows of inputs"
        repair = "Check how the two were split or filtered."
        refuse(name, given, "one target for every sample", repair, ShapeError)
    if loss.targets == "classes" and array.ndim == 1:
        return one_hot(array, outputs[-1], name)
    if array.ndim == 1 and outputs == (1,):
        array = array[:, None]
    if loss.targets != "any" and array.shape[1:] != outputs:
        expected = f"(samples, {', '.join(map(str, outputs))}), one number for every output"
        repair = "Give the last layer as many units as there are targets."
        refuse(name, f"shape {array.shape}", expected, repair, ShapeError)
    if loss.targets in ("classes", "probabilities"):
        _check_probabilities(array, name, add_up=loss.targets == "classes")
    return array


def one_hot(labels: np.ndarray, classes: int, name: str) -> np.ndarray:
    """Return a row for each class number, with a one in its column.

    >>> one_hot(np.array([1.0, 0.0]), 2, "y")
    array([[0., 1.],
           [1., 0.]])
    """
    numbers = np.arange(classes, dtype=labels.dtype)
    strange = labels[~np.isin(labels, numbers)]
    if strange.size:
        repair = "Number the classes from 0, and give the last layer one unit for each."
        refuse(name, f"{strange[0]:g}", f"class numbers from 0 to {classes - 1}", repair)
    return (labels[:, None] == numbers).astype(labels.dtype)


def _check_probabilities(array: np.ndarray, name: str, add_up: bool) -> None:
    low, high = array.min(), array.max()
    if low < 0 or high > 1:
        repair = "Use mean_squared for targets that are no probabilities."
        refuse(name, f"numbers from {low:g} to {high:g}", "numbers from 0 to 1", repair)
    if add_up and np.abs(array.sum(-1) - 1).max() > 1e-3:
        repair = "Use binary_cross_entropy for classes that do not exclude each other."
        refuse(name, "rows that do not add up to 1", "one probability per class", repair)


def as_weights(
    sample_weight: Any, class_weight: Any, targets: np.ndarray, name: str = "sample_weight"
) -> np.ndarray:
    """Return the weight of every sample: the product of its own and that of its class.

    Raises `InputError` for negative weights or none above zero.
    """
    weights = np.ones(len(targets), targets.dtype)
    if sample_weight is not None:
        weights = as_floats(sample_weight, name, dtype=targets.dtype)
        if weights.shape != (len(targets),):
            expected = f"shape ({len(targets)},), one weight for every sample"
            refuse(name, f"shape {weights.shape}", expected, "Pass a flat array.", ShapeError)
        if weights.min() < 0:
            refuse(name, f"the weight {weights.min():g}", "weights of at least 0", "Mend it.")
    if class_weight is not None:
        weights = weights * _class_weights(class_weight, targets)
    if not weights.any():
        refuse(name, "only weights that are zero", "a weight above zero", "Leave a sample in.")
    return weights / weights.max()  # only proportions matter, and tiny sums are inexact


def _class_weights(class_weight: Any, targets: np.ndarray) -> np.ndarray:
    """Return the weight of the class of every sample."""
    name, labels = "class_weight", labels_of(targets)
    if labels is None:
        expected = "None, as the targets are no classes"
        refuse(name, describe(class_weight), expected, "Use a cross-entropy, or sample_weight.")
    classes = max(targets.shape[1], 2)
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(labels, minlength=classes)
        return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)))[labels].astype(
            targets.dtype
        )
    table = np.ones(classes, targets.dtype)
    if not isinstance(class_weight, Mapping):
        repair = "Write e.g. {0: 1.0, 1: 5.0}."
        refuse(name, describe(class_weight), '"balanced", or a dict from class to weight', repair)
    for label, weight in class_weight.items():
        if label not in range(classes):
            expected = f"classes from 0 to {classes - 1}"
            refuse(name, describe(label), expected, "Name the classes as in y.")
        table[label] = as_number(weight, f"{name}[{label!r}]")
        if table[label] < 0:
            refuse(f"{name}[{label!r}]", f"{weight}", "a weight of at least 0", "Mend it.")
    return table[labels]


def labels_of(targets: np.ndarray) -> np.ndarray | None:
    """Return the class number of every row, or None where targets are not zeros and ones.

    >>> labels_of(np.array([[0.0, 1.0], [1.0, 0.0]]))
    array([1, 0])
    """
    if targets.ndim != 2 or not np.isin(targets, (0, 1)).all():
        return None
    if targets.shape[1] == 1:
        return targets[:, 0].astype(int)
    return targets.argmax(1) if (targets.sum(1) == 1).all() else None
