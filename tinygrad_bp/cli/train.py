"""``train``: from a table to a model in a file; ``predict``: from the two to answers."""

import csv
import io
import os
import sys
from argparse import Namespace
from typing import Any

import numpy as np

from tinygrad_bp.cli.encoding import Column, incomplete_rows, learn_columns, learn_target
from tinygrad_bp.cli.table import Table, read_table
from tinygrad_bp.cli.tabular import TableModel, load_table_model
from tinygrad_bp.errors import describe
from tinygrad_bp.nn.callbacks import LearningRate
from tinygrad_bp.nn.scaling import Scaling
from tinygrad_bp.nn.sequential import Sequential
from tinygrad_bp.nn.specification import epochs_of, layers_of, optimizer_of, rates_of
from tinygrad_bp.store.files import write
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
    model.save(options.out)
    print(f"[INFO] wrote {options.out}")
    return 0


def predict(options: Namespace) -> int:
    """Write the predictions for a table, as a table."""
    if options.out is not None:
        _check_out(options.out, options.data, options.model)
    model = load_table_model(options.model)
    answers = model.predict(_table(options.data, options))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    name, classes = model.target.name, model.target.categories
    if classes is None:
        writer.writerow([name])
        writer.writerows([f"{value:.10g}"] for value in answers[:, 0])
    else:
        shown = classes if options.probabilities else ()
        writer.writerow([name, *(f"p({label})" for label in shown)])
        for row in answers:
            probabilities = (f"{p:.6f}" for p in row) if options.probabilities else ()
            writer.writerow([classes[int(row.argmax())], *probabilities])
    if options.out is None:
        sys.stdout.write(text.getvalue())
    else:
        write(options.out, [text.getvalue().encode()])
    return 0


def _table(path: str, options: Namespace) -> Table:
    return read_table(
        path, encoding=options.encoding, delimiter=options.delimiter, header=options.header
    )


def _check_out(path: str, *others: str) -> None:
    """Refuse, before the work and not after it, a file that cannot be written."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path) or not os.path.isdir(folder):
        refuse("--out", describe(path), "a file in a folder that is there", "Make the folder.")
    if any(os.path.abspath(path) == os.path.abspath(other) for other in others):
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
        right = np.mean(found.argmax(1) == truth.argmax(1))
        print(f"[INFO] accuracy on {len(held)} rows held out: {right:.4f}")
    else:
        error = np.abs(found - truth).mean()
        print(f"[INFO] mean absolute error on {len(held)} rows held out: {error:.6g}")
