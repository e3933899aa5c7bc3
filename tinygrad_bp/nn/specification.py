"""From parameters, which scikit-learn may copy and compare, to the parts of a network."""

from collections.abc import Sequence
from typing import Any

from tinygrad_bp.errors import describe
from tinygrad_bp.nn.layers import ACTIVATIONS, Dense, Dropout, Layer
from tinygrad_bp.nn.optimizers import KINDS, AdamW, Optimizer
from tinygrad_bp.nn.schedules import Cosine
from tinygrad_bp.nn.settings import choose
from tinygrad_bp.validate import as_count, as_counts, as_number, refuse

STEPS = 1000  # that training has at least, if nobody says how many epochs
EPOCHS = 40
DECAY = 0.3  # as strong as a schedule that ends at zero allows; measured on digits


def layers_of(hidden: Any, activation: Any, dropout: Any, outputs: int) -> list[Layer]:
    """Return the layers: a whole number in `hidden` is a Dense layer of so many units.

    >>> layers_of((8, 4), ["tanh", "relu"], 0, outputs=1)
    [Dense(units=8, activation='tanh'), Dense(units=4, activation='relu'), Dense(units=1)]
    """
    if not isinstance(hidden, list | tuple):
        expected = "a tuple of numbers of units, or of layers of tg.nn"
        refuse("hidden", describe(hidden), expected, "Write e.g. (32,).")
    activations, layers = iter(_activations(activation, hidden)), []
    for i, given in enumerate(hidden):
        if isinstance(given, Layer):
            layers.append(given)
            continue
        layers.append(Dense(as_count(given, f"hidden[{i}]"), next(activations)))
        if as_number(dropout, "dropout"):
            layers.append(Dropout(dropout))
    return [*layers, Dense(outputs)]


def _activations(activation: Any, hidden: Sequence[Any]) -> list[Any]:
    """Return one activation for every number of units."""
    count = sum(not isinstance(given, Layer) for given in hidden)
    if not isinstance(activation, list | tuple):
        activation = [activation] * count
    if len(activation) != count:
        given, expected = f"{len(activation)} of them", f"one, or one for each of {count} layers"
        refuse("activation", given, expected, 'Write e.g. "relu".')
    for name in activation:
        if not callable(name) and not (isinstance(name, str) and name in ACTIVATIONS):
            expected = f"one of {', '.join(ACTIVATIONS)}, or a function"
            refuse("activation", describe(name), expected, 'Write e.g. "relu".')
    return list(activation)


def optimizer_of(given: Any, learning_rate: Any, weight_decay: Any) -> Optimizer:
    """Return the optimizer; one that is given as an object brings its own rate and decay."""
    if isinstance(given, Optimizer):
        return given
    kind = type(choose(KINDS, Optimizer, given, "optimizer"))
    rate = as_number(learning_rate, "learning_rate", positive=True)
    if weight_decay is None:
        weight_decay = DECAY if kind is AdamW else 0.0
    return kind(rate, weight_decay)


def epochs_of(given: Any, samples: int, batch_size: Any) -> int:
    """Return the number of epochs; None stands for 40, and for at least 1,000 steps.

    >>> epochs_of(None, 4, 32), epochs_of(None, 1797, 32), epochs_of(5, 4, 32)
    (1000, 40, 5)
    """
    steps = -(-samples // as_count(batch_size, "batch_size"))
    return as_count(given, "epochs") if given is not None else max(EPOCHS, -(-STEPS // steps))


def rates_of(schedule: Any, optimizer: Any, learning_rate: Any, epochs: int) -> Any:
    """Return the schedule over so many epochs; None leaves the rate to the optimizer."""
    if schedule not in ("cosine", "constant"):
        refuse("schedule", describe(schedule), '"cosine" or "constant"', 'Leave "cosine".')
    if schedule == "constant" or isinstance(optimizer, Optimizer):
        return None
    return Cosine(learning_rate, epochs)


def input_shape_of(given: Any, columns: int) -> tuple[int, ...]:
    """Return the shape that every row of X takes.

    >>> input_shape_of((1, 8, 8), 64), input_shape_of(None, 64)
    ((1, 8, 8), (64,))
    """
    if given is None:
        return (columns,)
    shape, size = tuple(as_counts(given, "input_shape", example="(1, 28, 28)")), 1
    for n in shape:
        size *= n
    if size != columns:
        expected = f"a shape of {columns} elements, one for each column of X"
        refuse("input_shape", describe(given), expected, "Leave None for flat rows.")
    return shape
