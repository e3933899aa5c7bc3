"""Training: epochs of batches, each epoch kept as a whole or not at all."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_bp.errors import GraphError, describe
from tinygrad_bp.nn.batches import chunks, drawing_layers
from tinygrad_bp.nn.callbacks import Callback, Checkpoint, Each, Progress
from tinygrad_bp.nn.history import History
from tinygrad_bp.nn.run import Plan, Run
from tinygrad_bp.nn.samples import Samples
from tinygrad_bp.nn.state import State, generator_of, generator_state
from tinygrad_bp.nn.step import Loop, Step, make_loop
from tinygrad_bp.validate import refuse

if TYPE_CHECKING:
    from tinygrad_bp.nn.sequential import Sequential


class Data(NamedTuple):
    """What `fit` was given to learn from."""

    X: Any
    y: Any
    validation: Any
    sample_weight: Any
    class_weight: Any


def fit(
    model: "Sequential", data: Data, plan: Plan, callbacks: Sequence[Any], progress: bool
) -> History:
    """Train a model; see `Sequential.fit`."""
    listeners = _listeners(callbacks, plan, progress)
    samples = model.samples(data.X, data.y, data.sample_weight, data.class_weight)
    validation = _validation(model, data.validation, samples)
    model.build(samples.inputs.shape[1:], samples.inputs.dtype)
    run = Run(model, plan, samples, validation)
    if plan.resume and os.path.exists(plan.checkpoint.path):
        from tinygrad_bp.nn.checkpoints import resume

        resume(run, plan.checkpoint.path)
    model.history = run.history
    _train(run, listeners)
    return run.history


def _train(run: Run, listeners: Sequence[Callback]) -> None:
    """Train until the last epoch, or until a listener says so."""
    started: list[Callback] = []
    try:
        for listener in listeners:
            started.append(listener)
            listener.start(run)
        while run.epoch < run.epochs and not run.stop:
            for listener in listeners:
                listener.before_epoch(run)
            _epoch(run)
            for listener in listeners:
                listener.after_epoch(run)
        for listener in listeners:
            listener.finish(run)
    finally:
        for listener in started:
            listener.close()


def _epoch(run: Run) -> None:
    """Train for an epoch, and keep what came of it if it is finite."""
    model, old = run.model, run.model.state
    generator = generator_of(old.generator)
    rates = _rates(run)
    for chunk in chunks(run, generator, rates):
        if chunk.first == 0:
            loop = _loop(run, chunk.arrays)
            loop.state = _pack(old)
        loop.run(chunk.arrays, 0, len(chunk.arrays[0]))
    *arrays, total, weight = loop.state
    for array in arrays:
        array.flags.writeable = False
    count = len(old.parameters)
    parameters = dict(zip(old.parameters, arrays[:count], strict=True))
    kept = dict(zip(old.kept, arrays[count:], strict=True))
    _check_finite(run, parameters, kept)
    new = old._replace(parameters=parameters, kept=kept, generator=generator_state(generator))
    model.state = new._replace(epochs=old.epochs + 1)
    run.epoch += 1
    measured = {} if run.validation is None else model.measure(run.validation)
    row = {"loss": float(total / weight), "rate": float(rates[-1])}
    run.history.append(row | {f"val_{name}": value for name, value in measured.items()})


def _rates(run: Run) -> np.ndarray:
    """Return the learning rate of every step of the epoch."""
    done, rate_at = run.model.state.epochs, run.model.optimizer.rate_at
    rates = [
        rate_at(done + i / run.batches) if run.rate is None else run.rate
        for i in range(run.batches)
    ]
    return np.array(rates, run.samples.inputs.dtype)


# ---------------------------------------------------------------------------------- loops


def _pack(state: State) -> list[np.ndarray]:
    """Return the state as a step takes it, with sums that start at zero."""
    arrays = [*state.parameters.values(), *state.kept.values()]
    return [*arrays, *(np.zeros((), arrays[0].dtype) for _ in range(2))]


def _loop(run: Run, arrays: Sequence[np.ndarray]) -> Loop:
    """Return the loop for such batches: that of the last training if it was made for the same."""
    model, random = run.model, [i for i, _ in drawing_layers(run)]
    optimizer = replace(model.optimizer, rate=1.0)  # the rate itself comes with the data
    shapes = tuple((a.shape[1:], a.dtype) for a in arrays)
    key = (model.layers, model.loss, optimizer, run.engine, shapes)
    if model.loop is None or model.loop[0] != key:
        step = Step(model.layers, model.loss, optimizer, list(model.state.parameters), random)
        model.loop = key, make_loop(step, _pack(model.state), arrays, run.engine)
    loop: Loop = model.loop[1]
    return loop


def _check_finite(run: Run, *groups: dict[str, np.ndarray]) -> None:
    for name, array in [item for group in groups for item in group.items()]:
        if not np.isfinite(array).all():
            given = f"numbers that are not finite in {name} in epoch {run.epoch + 1}"
            repair = (
                f"Lower the rate of {run.model.optimizer!r}, or set clip_norm; "
                "the network keeps the weights of the last whole epoch."
            )
            refuse("fit", given, "training that converges", repair, GraphError)


# ---------------------------------------------------------------------------------- arguments


def _listeners(callbacks: Any, plan: Plan, progress: bool) -> list[Callback]:
    """Return the callbacks as objects; checkpoints come last, when the others have decided."""
    if not isinstance(callbacks, list | tuple):
        refuse("callbacks", describe(callbacks), "a list", "Write [callback].")
    listeners: list[Callback] = [Progress()] if progress else []
    for i, given in enumerate(callbacks):
        if not isinstance(given, Callback) and (isinstance(given, type) or not callable(given)):
            expected = "a callback, or a function of the run"
            refuse(f"callbacks[{i}]", describe(given), expected, "Write e.g. [EarlyStopping()].")
        listeners.append(given if isinstance(given, Callback) else Each(given))
    if plan.checkpoint is not None:
        listeners.append(plan.checkpoint)
    return sorted(listeners, key=lambda listener: isinstance(listener, Checkpoint))


def _validation(model: "Sequential", given: Any, samples: Samples) -> Samples | None:
    if given is None:
        return None
    if not isinstance(given, list | tuple) or len(given) not in (2, 3):
        expected = "(X, y) or (X, y, sample_weight)"
        refuse("validation_data", describe(given), expected, "Pass a tuple.")
    X, y, weight = (*given, None)[:3]
    names = [f"validation_data, {name}" for name in ("X", "y", "sample_weight")]
    checked = model.samples(X, y, weight, names=names)
    if checked.inputs.shape[1:] != samples.inputs.shape[1:]:
        expected = f"samples of shape {samples.inputs.shape[1:]}, as in X"
        given = f"samples of shape {checked.inputs.shape[1:]}"
        refuse(names[0], given, expected, "Prepare both alike.")
    return Samples(*(a.astype(samples.inputs.dtype, copy=False) for a in checked))
