"""Columns that are no numbers: which one it is, and what to do about it."""

from typing import Any

import numpy as np

from tinygrad_bp.errors import describe
from tinygrad_bp.validate import refuse

DATES = "Subtract a date, and divide by pandas.Timedelta(days=1)."
ENCODE = (
    "Encode it first, such as with "
    "make_column_transformer((OneHotEncoder(), [{name!r}]), remainder='passthrough') in a pipeline."
)
FILL = "Fill or drop them first, such as with SimpleImputer() in a pipeline."
DROP = "Drop those rows first."
CLASSIFY = "Labels are for NeuralNetworkClassifier."
LABELS = "Make them all texts, or all numbers."


def refuse_dates(data: Any, name: str) -> None:
    """Refuse dates, which NumPy would quietly take for numbers of nanoseconds."""
    for column, values in _columns(data):
        if getattr(getattr(values, "dtype", None), "kind", "") in tuple("mM"):
            refuse(_where(name, column), describe(values), "numbers", DATES)


def explain(data: Any, name: str) -> None:
    """Raise the `InputError` that names the column which is no numbers, if there is one."""
    for column, values in _columns(data):
        missing = int(np.sum(values.isna())) if hasattr(values, "isna") else 0
        if missing:
            given = f"{missing} of {len(values)} values missing"
            repair = DROP if name == "y" else FILL
            refuse(_where(name, column), given, "no missing values", repair)
        for value in values if hasattr(values, "isna") else ():
            if not _is_number(value):
                repair = CLASSIFY if name == "y" else ENCODE.format(name=column)
                refuse(_where(name, column), describe(value), "numbers", repair)


def refuse_mixed(labels: Any) -> None:
    """Refuse labels that are missing, or that cannot be sorted."""
    missing = int(np.sum(labels.isna())) if hasattr(labels, "isna") else 0
    if missing:
        refuse("y", f"{missing} of {len(labels)} labels missing", "a label for every row", DROP)
    values = np.asarray(labels)
    kinds = sorted({type(value).__name__ for value in values.ravel()} if values.size else ())
    if values.dtype == object and len(kinds) > 1:
        refuse("y", f"labels of the types {', '.join(kinds)}", "labels of one type", LABELS)


def _columns(data: Any) -> list[tuple[Any, Any]]:
    """List the columns of a frame with their names, or other data as one without."""
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return [(name, data.iloc[:, i]) for i, name in enumerate(data.columns)]
    return [(None, data)]


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (ValueError, TypeError):
        return False
    return True


def _where(name: str, column: Any) -> str:
    return name if column is None else f"{name}, column {column!r}"
