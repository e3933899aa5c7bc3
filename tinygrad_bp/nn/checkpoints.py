"""Checkpoints: a model, and what a run needs to go on with the very same bits."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_bp.errors import StoreError, describe
from tinygrad_bp.nn.history import History
from tinygrad_bp.nn.keeping import as_size, check_arrays, check_keys, model_of, pack
from tinygrad_bp.nn.sequential import Sequential
from tinygrad_bp.nn.step import ENGINES
from tinygrad_bp.store.container import Arrays, load_arrays, save_arrays
from tinygrad_bp.validate import as_number, refuse

if TYPE_CHECKING:
    from tinygrad_bp.nn.run import Run


def save_run(run: "Run", path: str) -> None:
    """Write everything that training needs to go on."""
    arrays, description = pack(run.model)
    history = {f"history.{k}": np.array(v, float) for k, v in run.history.items()}
    best = {f"best.{k}": p for k, p in (run.best or {}).items()}
    training = run.settings | {"epoch": run.epoch, "rate": run.rate, "engine": run.engine}
    series = list(run.history)
    description["training"] = training | {"series": series, "best": run.best is not None}
    save_arrays(path, {**arrays, **history, **best}, description)


def resume(run: "Run", path: str) -> None:
    """Let a run go on where a checkpoint was written; refuse that of another training."""
    arrays, description = load_arrays(path)
    model = model_of(path, arrays, description)
    if not isinstance(model, Sequential) or "training" not in description:
        given, expected = "a model that was saved after training", "a checkpoint"
        raise StoreError(given, where=path, expected=expected, repair="Use tg.load and fit.")
    try:
        _compare(run, model, description["training"])
        training = description["training"]
        run.history = History(_series(arrays, training))
        best = {k.removeprefix("best."): a for k, a in arrays.items() if k.startswith("best.")}
        run.best = _best(best, model.state.parameters) if training["best"] else None
    except ValueError as error:
        repair = "Train as before, or choose another file."
        expected = "the checkpoint of this very training"
        raise StoreError(f"{error}", where=path, expected=expected, repair=repair) from error
    run.epoch, run.rate, run.engine = training["epoch"], training["rate"], training["engine"]
    run.model.state = model.state


_TRAINING = {"batch_size", "shuffle", "data", "epoch", "rate", "engine", "series", "best"}


def _compare(run: "Run", model: Sequential, training: Any) -> None:
    if not isinstance(training, dict):
        refuse("training", describe(training), "an object", "Train again.")
    check_keys(training, _TRAINING)
    mine, theirs = pack(run.model)[1], pack(model)[1]
    for name in ("layers", "loss", "optimizer", "shape"):
        if mine[name] != theirs[name]:
            refuse(name, f"{theirs[name]}"[:300], f"{mine[name]}"[:300], "Build the same model.")
    for name, value in run.settings.items():
        if training[name] != value:
            refuse(name, f"{training[name]}"[:300], f"{value}", "Train with the same.")
    as_size(training["epoch"], "training, epoch")
    if training["rate"] is not None:
        as_number(training["rate"], "training, rate", positive=True)
    if training["engine"] not in (*ENGINES, "short"):
        refuse("training, engine", describe(training["engine"]), "an engine", "Train again.")


def _series(arrays: Arrays, training: dict[str, Any]) -> dict[str, list[float]]:
    """Return the history that a checkpoint holds, in its order."""
    names, epoch = training["series"], training["epoch"]
    found = {k: a for k, a in arrays.items() if k.startswith("history.")}
    texts = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not texts or {f"history.{name}" for name in names} != found.keys():
        refuse("training, series", describe(names), "the names of the history", "Train again.")
    for name, array in found.items():
        if array.shape != (epoch,):
            refuse(name, f"shape {array.shape}", f"one number for {epoch} epochs", "Train again.")
    return {name: found[f"history.{name}"].tolist() for name in names}


def _best(best: Arrays, parameters: Arrays) -> Arrays:
    shapes = {name: p.shape for name, p in parameters.items()}
    check_arrays(best, shapes, next(iter(parameters.values())).dtype)
    return {name: best[name] for name in parameters}
