"""A network for tables: how columns are read, how they are scaled, and the trained model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_bp.cli.encoding import Column
from tinygrad_bp.cli.table import Table
from tinygrad_bp.errors import StoreError, describe
from tinygrad_bp.nn import keeping
from tinygrad_bp.nn.scaling import Scaling
from tinygrad_bp.nn.sequential import Sequential
from tinygrad_bp.store.container import load_arrays, save_arrays
from tinygrad_bp.validate import as_number, refuse

KIND = "Table"


@dataclass
class TableModel:
    """A trained network, and all that is needed to ask it about another table."""

    columns: list[Column]
    target: Column
    inputs: Scaling
    targets: Scaling
    network: Sequential

    def encode(self, table: Table) -> np.ndarray:
        """Return the inputs of the network for a table."""
        return self.inputs.apply(np.hstack([column.encode(table) for column in self.columns]))

    def predict(self, table: Table) -> np.ndarray:
        """Return probabilities (rows, classes), or numbers (rows, 1)."""
        found = self.network.predict(self.encode(table))
        return found if self.target.categories else self.targets.undo(found)

    def save(self, path: str) -> None:
        """Write one file, as a whole or not at all."""
        arrays, description = keeping.pack(self.network)
        scalings = {"inputs": self.inputs, "targets": self.targets}
        extra = {
            f"{name}.{part}": np.asarray(getattr(scaling, part))
            for name, scaling in scalings.items()
            for part in scaling._fields
        }
        description = {
            "kind": KIND,
            "columns": [_as_json(column) for column in self.columns],
            "target": _as_json(self.target),
            "model": description,
        }
        save_arrays(path, {**arrays, **extra}, description)


def load_any(path: str) -> Any:
    """Return the model in a file: of a table, or what `tg.load` returns."""
    arrays, description = load_arrays(path)
    if not isinstance(description, dict) or description.get("kind") != KIND:
        return keeping.load(path)
    try:
        return _read(path, arrays, description)
    except (ValueError, KeyError, TypeError) as error:
        given = f"a description that makes no sense ({error})"
        raise StoreError(
            given, where=path, expected="a model of a table", repair="Train it again."
        ) from error


def load_table_model(path: str) -> TableModel:
    """Return the model of a table in a file, or raise `StoreError`."""
    model = load_any(path)
    if not isinstance(model, TableModel):
        repair = "Use tg.load in a program, or train one: tinygrad-bp train."
        expected = "a model that was trained on a table"
        raise StoreError(f"{model!r}", where=path, expected=expected, repair=repair)
    return model


def _read(path: str, arrays: dict[str, np.ndarray], description: dict[str, Any]) -> TableModel:
    """Return what a description says, checked."""
    extra = {name: a for name, a in arrays.items() if name.startswith(("inputs.", "targets."))}
    rest = {name: a for name, a in arrays.items() if name not in extra}
    if not isinstance(description["model"], dict):
        refuse("model", describe(description["model"]), "a description", "Train it again.")
    network = keeping.model_of(path, rest, description["model"])
    columns = [_column(data) for data in description["columns"]]
    target = _column(description["target"])
    width, outputs = sum(column.width for column in columns), _outputs(target)
    if not isinstance(network, Sequential) or network.input_shape != (width,):
        refuse("model", describe(network), f"a network of {width} inputs", "Train it again.")
    if network.outputs(np.zeros((1, width))).shape != (1, outputs):
        refuse("model", "other outputs", f"{outputs} outputs", "Train it again.")
    return TableModel(
        columns, target, _scaling(extra, "inputs", width), _scaling(extra, "targets", outputs),
        network,
    )  # fmt: skip


def _outputs(target: Column) -> int:
    return 1 if target.categories is None else len(target.categories)


def _scaling(arrays: dict[str, np.ndarray], name: str, width: int) -> Scaling:
    parts = [arrays[f"{name}.{part}"] for part in Scaling._fields]
    for part in parts:
        if part.shape != (width,) or not np.isfinite(part).all():
            refuse(name, describe(part), f"{width} finite numbers", "Train it again.")
    return Scaling(*parts)


def _as_json(column: Column) -> dict[str, Any]:
    categories = None if column.categories is None else list(column.categories)
    return {"name": column.name, "categories": categories, "fill": column.fill}


def _column(data: Any) -> Column:
    categories = data["categories"]
    texts: Sequence[Any] = [data["name"], *(categories or ())]
    if not all(isinstance(text, str) for text in texts) or categories == []:
        refuse("columns", describe(data), "names and categories", "Train it again.")
    fill = None if data["fill"] is None else as_number(data["fill"], "fill")
    return Column(data["name"], None if categories is None else tuple(categories), fill)
