"""A network for tables: how columns are read, how they are scaled, and the trained model."""

import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_bp.errors import StoreError, describe
from tinygrad_bp.nn import keeping
from tinygrad_bp.nn.scaling import Scaling
from tinygrad_bp.nn.sequential import Sequential
from tinygrad_bp.store.container import Arrays
from tinygrad_bp.tables.encoding import Column
from tinygrad_bp.tables.table import Table, read_table
from tinygrad_bp.validate import as_number, refuse

KIND = "Table"


@dataclass(repr=False)
class TableModel:
    """A trained network, and all that is needed to ask it about another table.

    It is what ``tinygrad-bp train`` writes and `tg.load` returns. ``network``: the
    `tg.nn.Sequential`, for encoded rows. ``columns``: how the columns of a table are read, in the
    order of the inputs: each has a ``name`` and ``categories``, None for numbers. ``target``: the
    column that is predicted. ``inputs``, ``targets``: how numbers are scaled.

    Data are the path of a file, {name: values}, or a pandas frame; the order of the columns does
    not matter, and others may be there. Raises `InputError` (`StoreError` for a file) for a column
    that is missing, and for a value that has no meaning there, such as a new category.
    """

    columns: list[Column]
    target: Column
    inputs: Scaling
    targets: Scaling
    network: Sequential

    def __repr__(self) -> str:
        names = ", ".join(column.name for column in self.columns)
        return f"TableModel({names} -> {self.target.name}, {self.network})"

    def encode(self, data: Any) -> np.ndarray:
        """Return the inputs of the network: (rows, inputs)."""
        table = as_table(data)
        return self.inputs.apply(np.hstack([column.encode(table) for column in self.columns]))

    def predict(self, data: Any) -> np.ndarray:
        """Return the most probable label of every row, as text, or its number: (rows,)."""
        if self.target.categories is None:
            return self.targets.undo(self.network.predict(self.encode(data)))[:, 0]
        return np.array(self.target.categories)[self.predict_proba(data).argmax(1)]

    def predict_proba(self, data: Any) -> np.ndarray:
        """Return the probability of every class, in the order of ``target.categories``.

        Raises `InputError` for a model that predicts numbers.
        """
        if self.target.categories is None:
            given, expected = f"{self.target.name}, a column of numbers", "a target with classes"
            refuse("predict_proba", given, expected, "Use predict.")
        return self.network.predict(self.encode(data))


def as_table(data: Any) -> Table:
    """Return a table from a path, or from columns in memory."""
    if isinstance(data, Table):
        return data
    return read_table(os.fspath(data)) if isinstance(data, str | os.PathLike) else Table.of(data)


def pack(model: TableModel) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and the description of a model."""
    arrays, description = keeping.pack(model.network)
    scalings = {"inputs": model.inputs, "targets": model.targets}
    extra = {
        f"{name}.{part}": np.asarray(getattr(scaling, part))
        for name, scaling in scalings.items()
        for part in scaling._fields
    }
    return {**arrays, **extra}, {
        "kind": KIND,
        "columns": [_as_json(column) for column in model.columns],
        "target": _as_json(model.target),
        "model": description,
    }


def model_of(path: str, arrays: Arrays, description: dict[str, Any]) -> TableModel:
    """Return the model that a file describes, or raise `StoreError`."""
    try:
        model = _read(path, arrays, description)
        if _spelled(pack(model)[1]) != _spelled(description):
            refuse("the model", "what it cannot have", "what it had", "Train it again.")
        return model
    except ValueError as error:  # all of ours that are raised here are, but those of the network
        given = f"a description that makes no sense ({error})"
        repair = "The file is damaged or was not written by tinygrad_bp; take another copy."
        raise StoreError(given, where=path, expected="a model of a table", repair=repair) from error


def _read(path: str, arrays: dict[str, np.ndarray], description: dict[str, Any]) -> TableModel:
    """Return what a description says, checked."""
    keeping.check_keys(description, {"kind", "columns", "target", "model"})
    extra = {name: a for name, a in arrays.items() if name.startswith(("inputs.", "targets."))}
    rest = {name: a for name, a in arrays.items() if name not in extra}
    parts = description["columns"]
    if not isinstance(parts, list) or not parts:
        refuse("columns", describe(parts), "a list of columns", "Train it again.")
    columns = [_column(part, f"columns[{i}]") for i, part in enumerate(parts)]
    target = _column(description["target"], "target")
    if not isinstance(description["model"], dict):
        refuse("model", describe(description["model"]), "a description", "Train it again.")
    network = keeping.model_of(path, rest, description["model"])
    width, outputs = sum(column.width for column in columns), _outputs(target)
    if not isinstance(network, Sequential) or network.input_shape != (width,):
        refuse("model", describe(network), f"a network of {width} inputs", "Train it again.")
    if network.outputs(np.zeros((1, width))).shape != (1, outputs):
        refuse("model", "other outputs", f"{outputs} outputs", "Train it again.")
    return TableModel(
        columns, target, _scaling(extra, "inputs", width), _scaling(extra, "targets", outputs),
        network,
    )  # fmt: skip


def _spelled(description: dict[str, Any]) -> str:
    return json.dumps(description, sort_keys=True)  # here 1, 1.0 and true are not the same


def _outputs(target: Column) -> int:
    return 1 if target.categories is None else len(target.categories)


def _scaling(arrays: Arrays, name: str, width: int) -> Scaling:
    """Return a shift and a scale; a scale is never zero."""
    names = [f"{name}.{part}" for part in Scaling._fields]
    keeping.check_arrays(
        {k: a for k, a in arrays.items() if k.startswith(f"{name}.")},
        dict.fromkeys(names, (width,)),
        np.dtype(float),
    )
    scaling = Scaling(*(arrays[name] for name in names))
    if not np.isfinite(scaling).all() or not (scaling.scale > 0).all():
        refuse(name, "numbers that scale nothing", f"{width} scales above zero", "Train it again.")
    return scaling


def _as_json(column: Column) -> dict[str, Any]:
    categories = None if column.categories is None else list(column.categories)
    return {"name": column.name, "categories": categories, "fill": column.fill}


def _column(data: Any, where: str) -> Column:
    if not isinstance(data, dict) or data.keys() != {"name", "categories", "fill"}:
        refuse(where, describe(data), "a name, categories and a fill", "Train it again.")
    name, categories, fill = data["name"], data["categories"], data["fill"]
    known = [] if categories is None else categories
    if not isinstance(known, list) or not all(isinstance(text, str) for text in [name, *known]):
        refuse(where, describe(data), "a text as name, and as each category", "Train it again.")
    if categories is not None and (not known or len(set(known)) < len(known)):
        refuse(f"{where}, categories", describe(known), "each of them once", "Train it again.")
    fill = None if fill is None else as_number(fill, f"{where}, fill")
    return Column(name, None if categories is None else tuple(known), fill)
