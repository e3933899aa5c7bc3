"""Numbers and texts for the page, small: what a browser unpacks in a few lines.

Whole numbers are stored as differences, sign in the lowest bit, one byte plane after another; the
high planes are almost all zero and vanish in gzip.
"""

import base64
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np


class Texts:
    """Different texts, numbered from 1 in the order they come; number 0 is the empty text."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {"": 0}

    def column(self, texts: Iterable[str]) -> list[int]:
        """Number texts.

        >>> Texts().column(["a", "b", "a", ""])
        [1, 2, 1, 0]
        """
        known = self.numbers
        return [known.setdefault(text, len(known)) for text in texts]

    def columns(self, name: str, rows: Sequence[Sequence[str]]) -> dict[str, list[int]]:
        """Number lists of texts, as a column for each position.

        >>> Texts().columns("line", [["a", "b"], ["a"]])
        {'line0': [1, 1], 'line1': [2, 0]}
        """
        positions = range(max(map(len, rows), default=0))
        return {
            f"{name}{i}": self.column(row[i] if i < len(row) else "" for row in rows)
            for i in positions
        }


def pack(head: Mapping[str, Any], columns: Mapping[str, Any]) -> str:
    """Pack a JSON head and columns of whole numbers (32 bits) into gzip in base64.

    >>> len(pack({}, {"x": np.arange(10_000)})) < 200
    True
    """
    arrays = {name: np.asarray(column, np.int32).ravel() for name, column in columns.items()}
    sizes = [[name, len(array)] for name, array in arrays.items()]
    text = json.dumps({**head, "columns": sizes}, separators=(",", ":")).encode("ascii")
    parts = [len(text).to_bytes(4, "little"), text, *map(_planes, arrays.values())]
    return base64.b64encode(gzip.compress(b"".join(parts), 6, mtime=0)).decode("ascii")


def _planes(values: np.ndarray) -> bytes:
    """Write differences, byte plane by byte plane; sums of 32 bits wrap around, so all fit."""
    step = np.diff(values, prepend=np.int32(0))
    folded = ((step << 1) ^ (step >> 31)).astype("<u4")
    return folded.view(np.uint8).reshape(-1, 4).T.tobytes()
