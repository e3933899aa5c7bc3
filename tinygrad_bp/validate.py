"""The single door for user data: arrays come in copied, numeric and read-only, or not at all.

Everything that is refused is refused here, in one voice, and nothing that came in is changed.
"""

import datetime
import operator
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, SupportsFloat

import numpy as np

from tinygrad_bp.errors import InputError, ShapeError, TinygradError, describe
from tinygrad_bp.graph import Node

_FLOAT64 = np.dtype(np.float64)
_NUMERIC = "real numbers (float, int or bool)"
_NUMBER = (int, float, np.integer, np.floating, np.bool_)


def as_array(data: Any, name: str, *, dtype: Any = None) -> np.ndarray:
    """Return a fresh, read-only, native-endian array of `data`; `name` is used in errors.

    Whole numbers beyond 64 bits become float64. Raises `InputError` for anything that is not a
    rectangular array of real numbers: text, dates, complex numbers, ragged lists, masked or
    missing entries, sparse matrices, lists of Tensors; and for numbers that `dtype` cannot hold.

    >>> as_array([1, 2], "x").dtype
    dtype('int64')
    """
    if type(data) is np.ndarray and data.dtype is _FLOAT64 and dtype in (None, _FLOAT64):
        copy = data.copy()  # by far the most common guest
        copy.flags.writeable = False
        return copy
    array = _read(data, name)
    target = (array.dtype if dtype is None else _as_dtype(dtype, name)).newbyteorder("=")
    with np.errstate(all="ignore"):  # what a conversion loses is refused below, in words
        copy = array.astype(target, order="C", copy=True, subok=False)
    if not np.can_cast(array.dtype, target):
        _refuse_loss(array, copy, name)
    copy.flags.writeable = False
    return copy


def as_floats(data: Any, name: str, *, finite: bool = True, dtype: Any = np.float64) -> np.ndarray:
    """Return `data` as an array of floats, by default refusing NaN and infinity.

    >>> as_floats([[1, 2]], "X")
    array([[1., 2.]])
    """
    array = as_array(data, name, dtype=dtype)
    if finite:
        _refuse_nonfinite(array, name)
    return array


def as_count(value: Any, name: str, *, least: int = 1) -> int:
    """Return `value` as an int of at least `least`; raise `InputError` for anything else.

    >>> as_count(3, "epochs")
    3
    """
    try:
        count = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        count = None
    if count is None or count < least:
        refuse(name, describe(value), f"a whole number of at least {least}",
                f"Pass an int, such as {max(least, 1)}.")  # fmt: skip
    return count


def as_number(value: Any, name: str, *, positive: bool = False) -> float:
    """Return `value` as a finite float; raise `InputError` for anything else.

    >>> as_number(1, "alpha")
    1.0
    """
    try:
        number = (
            None
            if isinstance(value, bool | np.bool_)
            else as_floats(value, name).reshape(()).item()
        )
    except ValueError:  # also what as_floats refused: here a shorter text says it all
        number = None
    if number is None or (positive and number <= 0):
        expected = "a positive, finite number" if positive else "a finite number"
        refuse(name, describe(value), expected, "Pass a float, such as 0.1.")
    return number


def as_counts(values: Any, name: str, *, example: str) -> list[int]:
    """Return a sequence of at least two whole numbers, each at least 1, as a list of ints.

    >>> as_counts((2, 1), "layers", example="[2, 2, 1]")
    [2, 1]
    """
    sequence = isinstance(values, list | tuple) or (isinstance(values, np.ndarray) and values.ndim)
    if not sequence or len(values) < 2:
        expected = "a sequence of at least two whole numbers"
        refuse(name, describe(values), expected, f"Write e.g. {example}.")
    return [as_count(n, f"{name}[{i}]") for i, n in enumerate(values)]


def as_rows(
    data: Any,
    name: str,
    width: int,
    owner: str,
    *,
    column: bool = False,
    beside: tuple[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Return `data` as finite rows of `width` numbers, at least one; `owner` asks for them.

    A flat array is one row, or with ``column=True`` one column. ``beside``: the name and the
    array that must have as many rows.

    >>> as_rows([1, 2], "X", 2, "the network")
    array([[1., 2.]])
    """
    array = as_floats(data, name)
    rows = array.reshape(-1, 1) if column and array.ndim < 2 else np.atleast_2d(array)
    if rows.ndim != 2 or rows.shape[1] != width or len(rows) == 0:
        expected = f"(samples, {width}), at least one sample, for {owner}"
        repair = "Give one row per sample, and in it one number per unit."
        refuse(name, f"shape {array.shape}", expected, repair, ShapeError)
    if beside is not None and len(rows) != len(beside[1]):
        given = f"{len(rows)} rows, but {beside[0]} has {len(beside[1])}"
        repair = "Check how the two were split or filtered."
        refuse(name, given, "one row of each for every sample", repair, ShapeError)
    return rows


# ---------------------------------------------------------------------------------- reading


def _read(data: Any, name: str) -> np.ndarray:
    """View `data` as a numeric array, or say why it is none."""
    if isinstance(data, np.ma.MaskedArray):
        _refuse_masked(data, name)
    if hasattr(data, "toarray") and hasattr(data, "nnz"):
        refuse(name, f"a sparse {type(data).__name__}", "a dense array", "Use data.toarray().")
    try:
        array = np.asarray(_read_frame(data, name) if hasattr(data, "to_numpy") else data)
    except TinygradError:
        raise
    except Exception as error:  # whatever NumPy, or the object's own __array__, has to say
        raise _unreadable(data, name, error) from error
    if isinstance(data, list | tuple | deque):
        _refuse_hidden(data, name)
    if array.dtype.kind == "O":
        return _read_objects(array, data, name)
    if array.dtype.kind not in "fiub" or isinstance(data, bytearray):
        refuse(name, describe(data), _NUMERIC, _KINDS.get(array.dtype.kind, _TEXT))
    return array


def _read_frame(frame: Any, name: str) -> Any:
    """Read a pandas object; in it NaN means a missing value, and none may be missing."""
    missing = np.asarray(frame.isna()) if hasattr(frame, "isna") else np.zeros(1, bool)
    if missing.any():
        refuse(
            name,
            f"{describe(frame)}, {missing.sum()} of its {missing.size} values missing",
            "no missing values",
            "Fill or drop them first: data.fillna(0) or data.dropna().",
        )
    return frame.to_numpy()


def _read_objects(array: np.ndarray, data: Any, name: str) -> np.ndarray:
    """Read objects that are all plain numbers, such as whole numbers beyond 64 bits."""
    for index, entry in np.ndenumerate(array):
        if not isinstance(entry, _NUMBER):
            given = f"{describe(data)}, whose entry {index} is " if index else ""
            entry_text = "a tensor" if isinstance(entry, Node) else describe(entry)
            refuse(name, given + entry_text, _NUMERIC, _repair(entry))
    try:
        return array.astype(np.float64)
    except OverflowError:
        refuse(
            name,
            describe(data),
            "numbers that float64 can hold, up to 1.8e308",
            "Scale them down first.",
        )


# ---------------------------------------------------------------------------------- refusals

_TEXT = "Encode text as numbers first."
_DATES = "Subtract a date and divide by np.timedelta64(1, 's') first."
_KINDS = {
    "c": "Pass the real and the imaginary part as two arrays.",
    "M": _DATES,
    "m": "Divide by np.timedelta64(1, 's') first.",
    "V": "Pick one field first: data['name'].",
}
_REPAIRS: tuple[tuple[Any, str], ...] = (  # the first that fits an object; most special first
    (Node, "Join tensors with tg.stack, which keeps their gradients."),
    (str | bytes, _TEXT),
    (datetime.date | datetime.time, _DATES),
    (complex, _KINDS["c"]),
    (Mapping, "Make a list of its values first: list(data.values())."),
    (Iterable, "Make a list of it first: list(data)."),
    (SupportsFloat, "Convert it with float() first."),
)


def _repair(entry: Any) -> str:
    if entry is None or type(entry).__name__ in ("NAType", "NaTType"):
        return "Fill or drop what is missing first."
    usual = "Pass a number, or a list or an array of numbers."
    return next((text for kind, text in _REPAIRS if isinstance(entry, kind)), usual)


def _unreadable(data: Any, name: str, error: Exception) -> InputError:
    """Say why NumPy cannot make an array of `data`."""
    ragged = "inhomogeneous" in str(error)
    return InputError(
        f"{describe(data)} ({'ragged rows' if ragged else error})",
        where=name,
        expected=f"a rectangular array of {_NUMERIC}",
        repair="Make all rows equally long." if ragged else "Make a NumPy array of it first.",
    )


def _refuse_hidden(data: Any, name: str) -> None:
    """Refuse Tensors and masks inside lists: NumPy would quietly drop what they know."""
    level = [data]
    while level:
        level = [x for part in level for x in part]
        kinds = set(map(type, level))
        if any(issubclass(kind, Node) for kind in kinds):
            tensor = next(x for x in level if isinstance(x, Node))
            refuse(name, f"a {type(data).__name__} of tensors", _NUMERIC, _repair(tensor))
        if any(issubclass(kind, np.ma.MaskedArray) for kind in kinds):
            for x in level:
                _refuse_masked(x, name)
        nested = tuple(kind for kind in kinds if issubclass(kind, list | tuple | deque))
        level = [x for x in level if isinstance(x, nested)] if nested else []


def _refuse_masked(data: Any, name: str) -> None:
    masked = np.ma.count_masked(data)
    if masked:
        refuse(
            name,
            f"{describe(data)}, {masked} of its {np.size(data)} entries masked",
            "no masked entries",
            "Fill them first: data.filled(value).",
        )


def _as_dtype(dtype: Any, name: str) -> np.dtype:
    try:
        target = np.dtype(dtype)
    except (TypeError, ValueError):
        target = np.dtype(object)
    if target.kind not in "fiub":
        name = name.replace("argument data", "argument dtype")
        refuse(name, describe(dtype), "a real NumPy dtype", "Use e.g. np.float64.")
    return target


def _refuse_loss(array: np.ndarray, copy: np.ndarray, name: str) -> None:
    """Refuse fractions for whole numbers, and what is beyond the range of the dtype."""
    lost = array != copy if copy.dtype.kind in "biu" else np.isfinite(array) & ~np.isfinite(copy)
    for index in np.argwhere(lost)[:1].tolist():
        refuse(
            name,
            f"{array[tuple(index)]} at index {tuple(index)}",
            f"values that {copy.dtype} can hold",
            "Round or scale them first, or choose another dtype.",
        )


def _refuse_nonfinite(array: np.ndarray, name: str) -> None:
    for index in np.argwhere(~np.isfinite(array))[:1].tolist():
        counts = f"{np.isnan(array).sum()} NaN and {np.isinf(array).sum()} infinite values"
        refuse(
            name,
            f"{counts}, the first at index {tuple(index)}",
            "finite numbers",
            "Fill or drop them first.",
        )


def refuse(
    where: str,
    given: str,
    expected: str,
    repair: str,
    kind: type[TinygradError] = InputError,
) -> NoReturn:
    """Raise an error in the one voice; InputError unless told otherwise.

    >>> refuse("alpha", "-1", "a positive number", "Try 0.1.")
    Traceback (most recent call last):
    tinygrad_bp.errors.InputError: alpha: got -1; expected a positive number. Try 0.1.
    """
    raise kind(given, where=where, expected=expected, repair=repair)
