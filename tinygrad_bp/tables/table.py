"""A table: read from a file of comma-separated values, line by line, or from columns in memory."""

import codecs
import csv
import io
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from tinygrad_bp.errors import InputError, StoreError, describe
from tinygrad_bp.validate import refuse

MISSING = frozenset(["", "na", "n/a", "nan", "null", "none", "?"])
DELIMITERS = ",;\t|"
BEGINNINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Table:
    """Texts, column by column; None where a value is missing.

    ``lines``: where each row stands; in memory (without a ``path``) the number of the row, from 0.
    """

    path: str | None
    columns: dict[str, list[str | None]]
    lines: list[int]

    @classmethod
    def of(cls, data: Any) -> "Table":
        """Return the table that columns in memory make: {name: values}, or a pandas frame.

        >>> Table.of({"size": [1.5, None], "colour": ["red", " blue "]}).columns
        {'size': ['1.5', None], 'colour': ['red', 'blue']}
        """
        if not isinstance(data, Mapping) and not (hasattr(data, "items") and hasattr(data, "iloc")):
            expected = "a table: {name: values}, a frame, or the path of a file"
            refuse("data", describe(data), expected, "Name the columns.")
        columns = {str(name): [text_of(value) for value in values] for name, values in data.items()}
        lengths = {name: len(texts) for name, texts in columns.items()}
        if not columns or 0 in lengths.values() or len(set(lengths.values())) != 1:
            refuse("data", f"columns of {lengths} rows", "as many in each, one or more", "Fill it.")
        return cls(None, columns, list(range(next(iter(lengths.values())))))

    def place(self, row: int) -> str:
        """Say where a row stands."""
        return f"{'line' if self.path else 'row'} {self.lines[row]}"

    def refuse(self, given: str, expected: str, repair: str) -> NoReturn:
        """Raise the error about this table: `StoreError` for a file, `InputError` for data."""
        kind = StoreError if self.path else InputError
        raise kind(given, where=self.path or "data", expected=expected, repair=repair)

    def column(self, name: str) -> list[str | None]:
        """Return a column, or say which there are."""
        if name not in self.columns:
            expected = f"one of {', '.join(self.columns)}"
            self.refuse(f"no column {name!r}", expected, "Check the header.")
        return self.columns[name]

    def without(self, rows: set[int]) -> "Table":
        """Return the table without some rows."""
        kept = [i for i in range(len(self.lines)) if i not in rows]
        columns = {name: [texts[i] for i in kept] for name, texts in self.columns.items()}
        return Table(self.path, columns, [self.lines[i] for i in kept])


def read_table(
    path: str, *, encoding: str | None = None, delimiter: str | None = None, header: bool = True
) -> Table:
    """Return the table in a file; raise `StoreError` that names the line if it is none.

    Without a header the columns are called column1, column2, ….
    """
    text = _decode(path, _bytes_of(path), encoding)
    rows = _rows(path, text, delimiter or _delimiter(text))
    if not rows:
        raise _error(path, "an empty file", "a header and rows", "Check the path.")
    names = rows.pop(0)[1] if header else [f"column{i + 1}" for i in range(len(rows[0][1]))]
    _check_header(path, names)
    if not rows:
        raise _error(path, "a header without rows", "at least one row", "Check the file.")
    for line, row in rows:
        if len(row) != len(names):
            given = f"{len(row)} values in line {line}"
            raise _error(path, given, f"{len(names)}, as in the header", "Mend that line.")
    cells = zip(*(row for _, row in rows), strict=True)
    columns = {
        name: [None if cell.lower() in MISSING else cell for cell in column]
        for name, column in zip(names, cells, strict=True)
    }
    return Table(path, columns, [line for line, _ in rows])


def text_of(value: Any) -> str | None:
    """Return what a file would say for a value; None for one that is missing.

    >>> text_of(2), text_of(0.5), text_of(float("nan")), text_of("red")
    ('2', '0.5', None, 'red')
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Rational):
        value = float(value)  # NumPy's numbers are printed in another way
    text = str(value).strip()
    return None if text.lower() in MISSING else text


def number_of(text: str) -> float | None:
    """Return the number that a text says, or None.

    >>> number_of("-1.5e3"), number_of("1_000"), number_of("red")
    (-1500.0, None, None)
    """
    try:
        value = None if "_" in text else float(text)
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) else None


def _bytes_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:  # ValueError: a path that is none, with a NUL in it
        given = getattr(error, "strerror", None) or str(error)
        raise _error(path or "''", given, "a file to read", "Check the path.") from None


def _decode(path: str, data: bytes, encoding: str | None) -> str:
    """Return the text of a file, by default UTF-8 unless it begins as UTF-16."""
    known = (name for mark, name in BEGINNINGS if data.startswith(mark))
    try:
        text = data.decode(encoding or next(known, "utf-8"))
    except LookupError:
        expected = "an encoding that Python knows"
        raise _error("--encoding", describe(encoding), expected, "Try utf-8 or latin-1.") from None
    except UnicodeError as error:
        at, name = getattr(error, "start", 0), getattr(error, "encoding", encoding or "utf-8")
        line = data.count(b"\n", 0, at) + 1
        given = f"byte {data[at]:#04x} in line {line}" if data[at:] else "a cut-off text"
        repair = "Name the encoding: --encoding latin-1, say."
        raise _error(path, given, f"text in {name}", repair) from None
    if "\0" in text:
        raise _error(path, "a zero byte", "text", "Save the table as comma-separated values.")
    return text


def _delimiter(text: str) -> str:
    """Return the delimiter that the first line has most of."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(DELIMITERS, key=first.count)


def _rows(path: str, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return the lines that are not blank, with their numbers."""
    if len(delimiter) != 1 or delimiter in '"\r\n':
        expected = "a single character"
        raise _error("--delimiter", describe(delimiter), expected, "Leave it out.")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [
            (reader.line_num, [cell.strip() for cell in row])
            for row in reader
            if any(cell.strip() for cell in row) or len(row) > 1
        ]
    except csv.Error as error:
        given = f"{error}, in line {reader.line_num}"
        repair = "Close quotes, and double those inside."
        raise _error(path, given, "comma-separated values", repair) from None


def _check_header(path: str, names: list[str]) -> None:
    """Refuse a header that names nothing, or one thing twice."""
    for i, name in enumerate(names):
        if not name or name in names[:i]:
            given = f"the name {name!r} twice" if name else f"column {i + 1} without a name"
            raise _error(path, given, "a name of its own for every column", "Mend the header.")
    if all(number_of(name) is not None for name in names):
        given = f"a first line of numbers only, {', '.join(names[:3])}, …"
        raise _error(path, given, "the names of the columns", "Pass --no-header if there are none.")


def _error(where: str, given: str, expected: str, repair: str) -> StoreError:
    return StoreError(given, where=where, expected=expected, repair=repair)
