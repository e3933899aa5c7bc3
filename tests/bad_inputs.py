"""What people hand to a library: each input with what becomes of it, a value or a refusal."""

import array
import collections
import datetime
import decimal
import fractions
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse

from tinygrad_bp import Tensor

NUMBERS = "real numbers (float, int or bool)"
RECTANGLE = f"a rectangular array of {NUMBERS}"
MISSING = "Fill or drop what is missing first."
TEXT = "Encode text as numbers first."
DATES = "Subtract a date and divide by np.timedelta64(1, 's') first."
TIMES = "Divide by np.timedelta64(1, 's') first."
COMPLEX = "Pass the real and the imaginary part as two arrays."
LIST = "Make a list of it first: list(data)."
VALUES = "Make a list of its values first: list(data.values())."
FLOAT = "Convert it with float() first."
STACK = "Join tensors with tg.stack, which keeps their gradients."
OTHER = "Pass a number, or a list or an array of numbers."
FILL = "Fill or drop them first: data.fillna(0) or data.dropna()."
UNMASK = "Fill them first: data.filled(value)."


class Good(NamedTuple):
    """An input that is read, and the float64 values it stands for."""

    make: Callable[[], Any]
    value: Any


class Bad(NamedTuple):
    """An input that is refused, and the three parts of the text that says so."""

    make: Callable[[], Any]
    given: str
    repair: str
    expected: str = NUMBERS


class Unknown:
    pass


class Readable:
    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0, 3.0])


class Unreadable:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("detach it first")


class Silent:
    def __repr__(self):
        raise RuntimeError("no repr")


def read_only():
    x = np.array([1.0, 2.0, 3.0])
    x.flags.writeable = False
    return x


def memmap(values):
    with tempfile.NamedTemporaryFile() as file:  # the mapping outlives the name
        x = np.memmap(file.name, dtype="f8", mode="w+", shape=(len(values),))
    x[:] = values
    return x


ONE_TWO_THREE = [1.0, 2.0, 3.0]

GOOD = {
    "nan": Good(lambda: np.array([1.0, np.nan, 3.0]), [1.0, np.nan, 3.0]),
    "inf": Good(lambda: np.array([1.0, np.inf, 3.0]), [1.0, np.inf, 3.0]),
    "-inf": Good(lambda: [1.0, -np.inf, 3.0], [1.0, -np.inf, 3.0]),
    "a nan alone": Good(lambda: float("nan"), np.nan),
    "an empty list": Good(list, []),
    "an empty tuple": Good(lambda: (), []),
    "shape (0,)": Good(lambda: np.zeros(0), []),
    "shape (0, 3)": Good(lambda: np.zeros((0, 3)), np.zeros((0, 3))),
    "shape (3, 0)": Good(lambda: np.zeros((3, 0)), np.zeros((3, 0))),
    "no rows": Good(lambda: [[], []], np.zeros((2, 0))),
    "bool": Good(lambda: np.array([True, False, True]), [1.0, 0.0, 1.0]),
    "a bool": Good(lambda: True, 1.0),
    "int8": Good(lambda: np.array([1, -128, 127], "int8"), [1.0, -128.0, 127.0]),
    "uint8": Good(lambda: np.array([1, 200, 255], "uint8"), [1.0, 200.0, 255.0]),
    "int16": Good(lambda: np.array([1, 2, -30000], "int16"), [1.0, 2.0, -30000.0]),
    "uint16": Good(lambda: np.array([1, 2, 60000], "uint16"), [1.0, 2.0, 60000.0]),
    "int32": Good(lambda: np.array([1, 2, 3], "int32"), ONE_TWO_THREE),
    "uint32": Good(lambda: np.array([1, 2, 3], "uint32"), ONE_TWO_THREE),
    "int64": Good(lambda: np.array([1, 2, 3], "int64"), ONE_TWO_THREE),
    "uint64": Good(lambda: np.array([1, 2, 2**64 - 1], "uint64"), [1.0, 2.0, 2.0**64]),
    "a uint8": Good(lambda: np.uint8(200), 200.0),
    "whole numbers beyond 64 bits": Good(lambda: [10**30, 1, 2], [1e30, 1.0, 2.0]),
    "a whole number beyond 64 bits": Good(lambda: 10**30, 1e30),
    "objects that are numbers": Good(lambda: np.array([1, 2.0, True], object), [1.0, 2.0, 1.0]),
    "nothing masked": Good(lambda: np.ma.array(ONE_TWO_THREE), ONE_TWO_THREE),
    "DataFrame": Good(lambda: pd.DataFrame({"a": [1, 2], "b": [0.5, 3.0]}), [[1, 0.5], [2, 3.0]]),
    "Series": Good(lambda: pd.Series(ONE_TWO_THREE), ONE_TWO_THREE),
    "Series of Int64": Good(lambda: pd.Series([1, 2, 3], dtype="Int64"), ONE_TWO_THREE),
    "Series of bool and int": Good(lambda: pd.Series([True, 2, 3], dtype=object), ONE_TWO_THREE),
    "DataFrame of Int64 and bool": Good(
        lambda: pd.DataFrame({"a": pd.array([1, 2], "Int64"), "b": [True, False]}),
        [[1.0, 1.0], [2.0, 0.0]],
    ),
    "categories that are numbers": Good(lambda: pd.Series([1, 2, 1], dtype="category"), [1, 2, 1]),
    "Index": Good(lambda: pd.Index([1, 2, 3]), ONE_TWO_THREE),
    "read-only": Good(read_only, ONE_TWO_THREE),
    "memmap": Good(lambda: memmap(ONE_TWO_THREE), ONE_TWO_THREE),
    "big-endian": Good(lambda: np.array(ONE_TWO_THREE, ">f8"), ONE_TWO_THREE),
    "big-endian int": Good(lambda: np.array([1, 2, 3], ">i2"), ONE_TWO_THREE),
    "float16": Good(lambda: np.array(ONE_TWO_THREE, "f2"), ONE_TWO_THREE),
    "float32": Good(lambda: np.array(ONE_TWO_THREE, "f4"), ONE_TWO_THREE),
    "longdouble": Good(lambda: np.array(ONE_TWO_THREE, np.longdouble), ONE_TWO_THREE),
    "Fortran order": Good(
        lambda: np.asfortranarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), [[1, 2, 3], [4, 5, 6]]
    ),
    "transposed": Good(lambda: np.arange(6.0).reshape(3, 2).T, [[0, 2, 4], [1, 3, 5]]),
    "negative strides": Good(lambda: np.arange(6.0)[::-2], [5.0, 3.0, 1.0]),
    "zero strides": Good(lambda: np.broadcast_to(np.float64(2), (3,)), [2.0, 2.0, 2.0]),
    "0-d": Good(lambda: np.array(3.0), 3.0),
    "a float": Good(lambda: 3.0, 3.0),
    "an int": Good(lambda: 3, 3.0),
    "minus zero": Good(lambda: -0.0, -0.0),
    "np.matrix": Good(lambda: np.array([[1.0, 2.0, 3.0]]).view(np.matrix), [[1.0, 2.0, 3.0]]),
    "list of lists": Good(lambda: [[1, 2, 3]], [[1.0, 2.0, 3.0]]),
    "list of arrays": Good(lambda: [np.arange(3), np.arange(3)], [[0, 1, 2], [0, 1, 2]]),
    "list of NumPy numbers": Good(lambda: [np.float32(1), np.uint8(2), 3], ONE_TWO_THREE),
    "tuple": Good(lambda: (1, 2, 3), ONE_TWO_THREE),
    "range": Good(lambda: range(3), [0.0, 1.0, 2.0]),
    "deque": Good(lambda: collections.deque([1, 2, 3]), ONE_TWO_THREE),
    "array.array": Good(lambda: array.array("d", ONE_TWO_THREE), ONE_TWO_THREE),
    "memoryview": Good(lambda: memoryview(np.array(ONE_TWO_THREE)), ONE_TWO_THREE),
    "an object with __array__": Good(Readable, ONE_TWO_THREE),
    "Tensor": Good(lambda: Tensor(ONE_TWO_THREE), ONE_TWO_THREE),
}

BAD = {
    "ragged": Bad(
        lambda: [[1, 2], [3]],
        "list [[1, 2], [3]] (ragged rows)",
        "Make all rows equally long.",
        RECTANGLE,
    ),
    "a list beside a number": Bad(
        lambda: (1, [2, 3]),
        "tuple (1, [2, 3]) (ragged rows)",
        "Make all rows equally long.",
        RECTANGLE,
    ),
    "None": Bad(lambda: None, "None", MISSING),
    "a list with None": Bad(
        lambda: [1, None, 3], "list [1, None, 3], whose entry (1,) is None", MISSING
    ),
    "an array with None": Bad(
        lambda: np.array([[1, 2], [None, 3]], object),
        "object of shape (2, 2), whose entry (1, 0) is None",
        MISSING,
    ),
    "str": Bad(lambda: "abc", "str 'abc'", TEXT),
    "a number as text": Bad(lambda: "3", "str '3'", TEXT),
    "list of texts": Bad(lambda: ["1", "2"], "list ['1', '2']", TEXT),
    "a text in a list": Bad(lambda: [1, "2"], "list [1, '2']", TEXT),
    "array of texts": Bad(lambda: np.array(["a", "b", "c"]), "<U1 of shape (3,)", TEXT),
    "bytes": Bad(lambda: b"abc", "bytes b'abc'", TEXT),
    "bytearray": Bad(lambda: bytearray(b"abc"), "bytearray bytearray(b'abc')", TEXT),
    "datetime64": Bad(
        lambda: np.array(["2020-01-01"] * 3, "M8[D]"), "datetime64[D] of shape (3,)", DATES
    ),
    "timedelta64": Bad(lambda: np.array([1, 2, 3], "m8[s]"), "timedelta64[s] of shape (3,)", TIMES),
    "a date": Bad(lambda: datetime.date(2020, 1, 1), "date datetime.date(2020, 1, 1)", DATES),
    "a whole number beyond float64": Bad(
        lambda: 10**400,
        "int 100000000000000000...0000000000000000000",
        "Scale them down first.",
        "numbers that float64 can hold, up to 1.8e308",
    ),
    "complex": Bad(lambda: np.array([1, 2j, 3]), "complex128 of shape (3,)", COMPLEX),
    "a complex": Bad(lambda: 1j, "complex 1j", COMPLEX),
    "masked": Bad(
        lambda: np.ma.array(ONE_TWO_THREE, mask=[False, True, False]),
        "float64 of shape (3,), 1 of its 3 entries masked",
        UNMASK,
        "no masked entries",
    ),
    "a list of masked arrays": Bad(
        lambda: [np.ma.array([1.0, 2.0], mask=[False, True])],
        "float64 of shape (2,), 1 of its 2 entries masked",
        UNMASK,
        "no masked entries",
    ),
    "sparse matrix": Bad(
        lambda: scipy.sparse.csr_matrix(np.eye(3)),
        "a sparse csr_matrix",
        "Use data.toarray().",
        "a dense array",
    ),
    "sparse array": Bad(
        lambda: scipy.sparse.coo_array(np.eye(3)),
        "a sparse coo_array",
        "Use data.toarray().",
        "a dense array",
    ),
    "DataFrame with texts": Bad(
        lambda: pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
        "DataFrame of shape (2, 2), whose entry (0, 1) is str 'x'",
        TEXT,
    ),
    "DataFrame with NaN": Bad(
        lambda: pd.DataFrame({"a": [1.0, None, 3.0], "b": [1, 2, 3]}),
        "DataFrame of shape (3, 2), 1 of its 6 values missing",
        FILL,
        "no missing values",
    ),
    "Series of Int64 with NA": Bad(
        lambda: pd.Series([1, None, 3], dtype="Int64"),
        "Int64 of shape (3,), 1 of its 3 values missing",
        FILL,
        "no missing values",
    ),
    "Series of boolean with NA": Bad(
        lambda: pd.Series([True, None, None], dtype="boolean"),
        "boolean of shape (3,), 2 of its 3 values missing",
        FILL,
        "no missing values",
    ),
    "categories": Bad(
        lambda: pd.Series(["a", "b"], dtype="category"),
        "category of shape (2,), whose entry (0,) is str 'a'",
        TEXT,
    ),
    "numbers as texts in a Series": Bad(
        lambda: pd.Series(["1", "2"], dtype=object),
        "object of shape (2,), whose entry (0,) is str '1'",
        TEXT,
    ),
    "Series of dates": Bad(
        lambda: pd.Series(pd.to_datetime(["2020-01-01"]).as_unit("ns")),
        "datetime64[ns] of shape (1,)",
        DATES,
    ),
    "NA": Bad(lambda: pd.NA, "NAType <NA>", MISSING),
    "generator": Bad(lambda: (i for i in range(3)), "generator object", LIST),
    "iterator": Bad(lambda: iter([1, 2]), "list_iterator object", LIST),
    "map": Bad(lambda: map(float, [1, 2]), "map object", LIST),
    "set": Bad(lambda: {1, 2, 3}, "set {1, 2, 3}", LIST),
    "frozenset": Bad(lambda: frozenset([1]), "frozenset frozenset({1})", LIST),
    "dict": Bad(lambda: {"a": 1}, "dict {'a': 1}", VALUES),
    "values of a dict": Bad(lambda: {"a": 1}.values(), "dict_values dict_values([1])", LIST),
    "list of dicts": Bad(
        lambda: [{"a": 1}], "list [{'a': 1}], whose entry (0,) is dict {'a': 1}", VALUES
    ),
    "Decimal": Bad(lambda: decimal.Decimal("1.5"), "Decimal Decimal('1.5')", FLOAT),
    "Fractions": Bad(
        lambda: [fractions.Fraction(1, 2)],
        "list [Fraction(1, 2)], whose entry (0,) is Fraction Fraction(1, 2)",
        FLOAT,
    ),
    "list of Tensors": Bad(lambda: [Tensor(1.0), Tensor(2.0)], "a list of tensors", STACK),
    "a Tensor deep in a list": Bad(lambda: [[1.0], (Tensor(2.0),)], "a list of tensors", STACK),
    "an array of Tensors": Bad(
        lambda: np.array([Tensor(1.0), None], object),
        "object of shape (2,), whose entry (0,) is a tensor",
        STACK,
    ),
    "records": Bad(
        lambda: np.array([(1, 2.0)], "i4,f8"),
        "[('f0', '<i4'), ('f1', '<f8')] of shape (1,)",
        "Pick one field first: data['name'].",
    ),
    "function": Bad(lambda: len, "builtin_function_or_method <built-in function len>", OTHER),
    "object": Bad(Unknown, "Unknown object", OTHER),
    "object without a repr": Bad(Silent, "Silent object", OTHER),
    "object that cannot be read": Bad(
        Unreadable,
        "Unreadable object (detach it first)",
        "Make a NumPy array of it first.",
        RECTANGLE,
    ),
}
