"""``train``: from a table to a model in a file; ``predict``: from the two to answers."""

import csv
import io
import os
import sys
from argparse import Namespace
from typing import Any

import numpy as np

from tinygrad_bp.errors import StoreError, describe
from tinygrad_bp.keeping import load, save
from tinygrad_bp.nn.callbacks import LearningRate
from tinygrad_bp.nn.scaling import Scaling
from tinygrad_bp.nn.sequential import Sequential
from tinygrad_bp.nn.specification import epochs_of, layers_of, optimizer_of, rates_of
from tinygrad_bp.store.files import as_path, check_place, write
from tinygrad_bp.tables.encoding import Column, incomplete_rows, learn_columns, learn_target
from tinygrad_bp.tables.model import TableModel
from tinygrad_bp.tables.table import Table, read_table
from tinygrad_bp.validate import refuse

BATCH = 32


def train(options: Namespace) -> int:
    """Train a network on a table, say how well it does, and keep it."""
    _check_out(options.out, options.data)
    layers = _layers(options.layers)
    table = _table(options.data, options)
    names = [name for name in table.columns if name not in (options.target, *options.ignore)]
    for name in (options.target, *options.ignore):
        table.column(name)
    if options.target in options.ignore:
        refuse("--ignore", "the target", "other columns", "Leave it out.")
    if not names:
        table.refuse("no column but the target", "at least one to learn from", "Add one.")
    if options.missing == "drop":
        table = table.without(incomplete_rows(table, [*names, options.target]))
    if len(table.lines) < 2:
        table.refuse(f"{len(table.lines)} complete rows", "at least two", "Add rows.")
    target = learn_target(table, options.target, options.task)
    columns = learn_columns(table, names, options.missing)
    model, held = _fit(table, columns, target, layers, options)
    _report(model, table, held)
    save(model, options.out)
    print(f"[INFO] wrote {options.out}")
    return 0


def predict(options: Namespace) -> int:
    """Write the predictions for a table, as a table."""
    if options.out is not None:
        _check_out(options.out, options.data, options.model)
    model = _table_model(options.model)
    text = _answers(model, _table(options.data, options), options.probabilities)
    if options.out is None:
        sys.stdout.write(text)
    else:
        write(options.out, [text.encode()])
    return 0


def _table_model(path: str) -> TableModel:
    """Return the model in a file, if it knows columns by name."""
    model = load(path)
    if not isinstance(model, TableModel):
        repair = "Use tg.load in a program, or train one: tinygrad-bp train."
        expected = "a model that was trained on a table"
        raise StoreError(f"{model!r}", where=path, expected=expected, repair=repair)
    return model


def _answers(model: TableModel, table: Table, probabilities: bool) -> str:
    """Return the predictions for a table as a table."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    if model.target.categories is None:
        writer.writerow([model.target.name])
        writer.writerows([f"{value:.10g}"] for value in model.predict(table))
        return text.getvalue()
    shown = model.target.categories if probabilities else ()
    writer.writerow([model.target.name, *(f"p({label})" for label in shown)])
    for row in model.predict_proba(table):
        columns = (f"{p:.6f}" for p in row) if probabilities else ()
        writer.writerow([model.target.categories[int(row.argmax())], *columns])
    return text.getvalue()


def _table(path: str, options: Namespace) -> Table:
    return read_table(
        path, encoding=options.encoding, delimiter=options.delimiter, header=options.header
    )


def _check_out(path: str, *others: str) -> None:
    """Refuse, before the work and not after it, a file that cannot be written."""
    check_place(as_path(path, "--out"))
    if any(os.path.realpath(path) == os.path.realpath(other) for other in others):
        refuse("--out", describe(path), "another file than the ones read", "Choose a name.")


def _layers(text: str) -> list[int]:
    """Return the numbers of units: "32,16"; "" for none."""
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        refuse("--layers", describe(text), "numbers of units", "Write e.g. 32,16.")
    return [int(part) for part in parts]


def _fit(
    table: Table, columns: list[Column], target: Column, layers: list[int], options: Namespace
) -> tuple[TableModel, np.ndarray]:
    """Return the trained model and the rows that it has not seen."""
    inputs = np.hstack([column.encode(table) for column in columns])
    outputs = target.encode(table)
    order = np.random.default_rng(options.seed).permutation(len(inputs))
    held, seen = np.split(order, [int(options.validation * len(inputs))])
    ones = np.ones(len(seen))
    numbers = target.categories is None
    scalings = [
        Scaling.of(inputs[seen], ones),
        Scaling.of(outputs[seen], ones) if numbers else Scaling.none(target.width),
    ]
    network = Sequential(
        layers_of(layers, "gelu", 0.0, target.width),
        loss="mean_squared" if numbers else "categorical_cross_entropy",
        optimizer=optimizer_of("adamw", options.learning_rate, None),
        seed=options.seed,
    )
    model = TableModel(columns, target, scalings[0], scalings[1], network)
    kind = "regression" if numbers else f"{target.width} classes"
    print(f"[INFO] {len(inputs)} rows, {inputs.shape[1]} inputs, {target.name}: {kind}")
    epochs = epochs_of(options.epochs, len(seen), BATCH)
    rates: Any = rates_of("cosine", "adamw", options.learning_rate, epochs)
    network.fit(
        scalings[0].apply(inputs[seen]), scalings[1].apply(outputs[seen]), epochs,
        batch_size=BATCH, callbacks=[LearningRate(rates)],
    )  # fmt: skip
    return model, held


def _report(model: TableModel, table: Table, held: np.ndarray) -> None:
    """Print the loss, and how the rows that were held out are answered."""
    history = model.network.history
    print(f"[INFO] {model.network}, {history.epochs} epochs, loss={history['loss'][-1]:.6f}")
    if not len(held):
        return
    found, truth = model.predict(table)[held], model.target.encode(table)[held]
    if model.target.categories is not None:
        right = np.mean(found == np.array(model.target.categories)[truth.argmax(1)])
        print(f"[INFO] accuracy on {len(held)} rows held out: {right:.4f}")
    else:
        error = np.abs(found - truth[:, 0]).mean()
        print(f"[INFO] mean absolute error on {len(held)} rows held out: {error:.6g}")
