"""From texts to numbers: a column is numbers, or categories that become zeros and ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from tinygrad_bp.tables.table import Table, number_of

CATEGORIES = 100  # in one column; more are names or numbers of something, not categories
CLASSES = 20  # whole numbers with no more different values are classes, unless told otherwise


@dataclass(frozen=True)
class Column:
    """How a column is read: its categories, or None for numbers; `fill` is for missing numbers."""

    name: str
    categories: tuple[str, ...] | None
    fill: float | None = None

    @property
    def width(self) -> int:
        """The number of inputs that it makes."""
        return 1 if self.categories is None else len(self.categories)

    def encode(self, table: Table) -> np.ndarray:
        """Return (rows, width) numbers; raise `StoreError` for a text that has no meaning here."""
        texts = table.column(self.name)
        if self.categories is not None:
            labels = [self._category(text, table, i) for i, text in enumerate(texts)]
            return np.eye(self.width)[labels]
        return np.array([[self._number(text, table, i)] for i, text in enumerate(texts)])

    def _number(self, text: str | None, table: Table, row: int) -> float:
        value = self.fill if text is None else number_of(text)
        return self._refuse(text, table, row, "a finite number") if value is None else value

    def _category(self, text: str | None, table: Table, row: int) -> int:
        name, known = "" if text is None else text, self.categories or ()
        if name not in known:
            self._refuse(text, table, row, f"one of {', '.join(filter(None, known))}")
        return known.index(name)

    def _refuse(self, text: str | None, table: Table, row: int, expected: str) -> NoReturn:
        given = "nothing" if text is None else repr(text)
        where = f"{given} in {table.place(row)}, column {self.name!r}"
        repair = "Train with --missing fill, or fill it." if text is None else "Mend that value."
        table.refuse(where, expected, repair)


def learn_columns(table: Table, names: Sequence[str], missing: str) -> list[Column]:
    """Decide how columns are read; `missing` says what becomes of missing values."""
    return [_learn(table, name, missing) for name in names]


def _learn(table: Table, name: str, missing: str) -> Column:
    texts = table.column(name)
    present = [text for text in texts if text is not None]
    if not present:
        table.refuse(f"no value in column {name!r}", "at least one", f"Pass --ignore {name}.")
    if len(present) < len(texts) and missing == "refuse":
        given = f"nothing in {table.place(texts.index(None))}, column {name!r}"
        repair = "Pass --missing fill or --missing drop."
        table.refuse(given, "a value in every line", repair)
    numbers = [number_of(text) for text in present]
    if all(value is not None for value in numbers):
        fill = float(np.mean([float(text) for text in present])) if missing == "fill" else None
        return Column(name, None, fill)
    categories = sorted({"" if text is None else text for text in texts})
    if len(categories) > CATEGORIES:
        strange = next(t for t, v in zip(present, numbers, strict=True) if v is None)
        given = f"{len(categories)} different texts in column {name!r}, such as {strange!r}"
        expected = f"numbers, or at most {CATEGORIES} categories"
        table.refuse(given, expected, f"Write numbers with a point, or pass --ignore {name}.")
    return Column(name, tuple(categories))


def learn_target(table: Table, name: str, task: str) -> Column:
    """Decide how the target is read: classes or numbers."""
    texts = table.column(name)
    if None in texts:
        given = f"nothing in {table.place(texts.index(None))}, column {name!r}"
        table.refuse(given, "a target in every line", "Pass --missing drop.")
    present = [text for text in texts if text is not None]
    values = [number_of(text) for text in present]
    classes = sorted(set(present), key=lambda text: (number_of(text) or 0.0, text))
    if task == "auto":
        whole = all(value is not None and value == int(value) for value in values)
        few = whole and len(classes) <= CLASSES
        task = "classification" if None in values or few else "regression"
    if task == "regression":
        return Column(name, None)
    if not 2 <= len(classes) <= max(CATEGORIES, 2):
        given = f"{len(classes)} different values in column {name!r}"
        expected = f"2 to {CATEGORIES} classes"
        table.refuse(given, expected, "Choose another --target, or --task regression.")
    return Column(name, tuple(classes))


def incomplete_rows(table: Table, names: Sequence[str]) -> set[int]:
    """Return the rows in which something is missing."""
    return {i for name in names for i, text in enumerate(table.column(name)) if text is None}
