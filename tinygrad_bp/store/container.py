"""The file format: safetensors, with a digest over everything.

    8 bytes        length of the header, little-endian
    header         JSON, padded with spaces to a multiple of 8 bytes
    data           the arrays, one after the other, little-endian

The header is written in one way only: keys sorted, no spaces, `__metadata__` first, and in it first
the SHA-256 of header and data (with zeros in place of the digest itself). So the same content gives
the same bytes, every single bit is covered, and every reader of safetensors can read the arrays.
Reading trusts nothing: sizes are compared with the size of the file before anything is allocated.
"""

import hashlib
import json
import math
import os
import stat
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from tinygrad_bp.errors import StoreError, describe
from tinygrad_bp.store.files import write

Arrays = dict[str, np.ndarray]

FORMAT, VERSION = "tinygrad_bp", "1"
LIMIT = 1 << 20  # bytes of a header; it holds descriptions only
LARGEST = 1 << 48  # more than any file has
DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
}
CODES = {dtype: code for code, dtype in DTYPES.items()}
START = b'{"__metadata__":{"content_sha256":"'
DIGEST = slice(len(START), len(START) + 64)
BLANK = b"0" * 64


def save_arrays(path: str, arrays: Mapping[str, np.ndarray], description: Any) -> None:
    """Write arrays of float64, float32 or int64 and a description (of what JSON can hold).

    Raises `StoreError` if the description is too long, or the file cannot be written; then it is as
    it was before.
    """
    names = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    data = [_plain(arrays[name]) for name in names]
    header = _header(names, data, description)
    if len(header) > LIMIT:
        given, expected = f"a description of {len(header)} bytes", f"at most {LIMIT}"
        raise StoreError(given, where=path, expected=expected, repair="Name fewer arrays.")
    digest = hashlib.sha256(header)
    for array in data:
        digest.update(_bytes(array))
    header = _with_digest(header, digest.hexdigest().encode())
    length = len(header).to_bytes(8, "little")
    write(path, [length, header, *map(_bytes, data)])


def load_arrays(path: str) -> tuple[Arrays, Any]:
    """Return the arrays and the description of a file, or raise `StoreError`.

    The arrays are read-only. Whatever is wrong with a file, it is this error, with the file, the
    byte where it matters, and the reason.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
            refuse(path, "a device or a pipe", "a file to read", "Check the path.")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            header = _read_header(path, file, size)
            body = file.read(size - 8 - len(header))
    except StoreError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path that is none, with a NUL in it
        if not isinstance(error, OSError):
            refuse(repr(path), str(error), "the path of a file", "Check the path.")
        refuse(path, error.strerror or str(error), "a file to read", "Check the path.")
    except MemoryError:
        refuse(path, f"{size} bytes", "a file that fits into memory", "Free some.")
    return _decode(path, header, body)


def refuse(path: str, given: str, expected: str, repair: str, at: int | None = None) -> NoReturn:
    """Raise the `StoreError` for a file."""
    where = path if at is None else f"{path}, byte {at}"
    raise StoreError(given, where=where, expected=expected, repair=repair)


# ---------------------------------------------------------------------------------- writing


def _plain(array: np.ndarray) -> np.ndarray:
    """Return the elements in one order and one byte order, as one run of bytes."""
    dtype = array.dtype.newbyteorder("<")
    return np.ascontiguousarray(array, dtype).reshape(array.shape)


def _bytes(array: np.ndarray) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8).data if array.size else b"")


def _header(names: list[str], data: list[np.ndarray], description: Any) -> bytes:
    """Return the header, with zeros in place of the digest."""
    first, entries = 0, {}
    for name, array in zip(names, data, strict=True):
        last = first + array.nbytes
        entries[name] = {
            "data_offsets": [first, last],
            "dtype": CODES[array.dtype],
            "shape": list(array.shape),
        }
        first = last
    return _encode(entries, _dump(description))


def _encode(entries: dict[str, Any], description: str) -> bytes:
    metadata = {
        "content_sha256": BLANK.decode(),
        "format": FORMAT,
        "format_version": VERSION,
        "model": description,
    }
    tables = {name: dict(sorted(entries[name].items())) for name in sorted(entries)}
    raw = _dump({"__metadata__": metadata} | tables).encode()
    return raw + b" " * (-len(raw) % 8)


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _with_digest(header: bytes, digest: bytes) -> bytes:
    return header[: DIGEST.start] + digest + header[DIGEST.stop :]


# ---------------------------------------------------------------------------------- reading

_DAMAGED = "The file is damaged or was not written by tinygrad_bp; take another copy."


def _read_header(path: str, file: Any, size: int) -> bytes:
    prefix = file.read(8)
    if len(prefix) < 8:
        refuse(path, f"{size} bytes", "at least 8, the length of the header", _DAMAGED, 0)
    length = int.from_bytes(prefix, "little")
    if length > min(LIMIT, size - 8):
        expected = f"at most {min(LIMIT, size - 8)}"
        refuse(path, f"a header of {length} bytes", expected, _DAMAGED, 0)
    header: bytes = file.read(length)
    if len(header) != length:
        refuse(path, f"{len(header)} bytes of header", f"{length}", _DAMAGED, 8)
    if not header.startswith(START):
        expected = "a header that begins with the digest of the content"
        refuse(path, "a header without one", expected, _DAMAGED, 8)
    return header


def _decode(path: str, header: bytes, body: bytes) -> tuple[Arrays, Any]:
    blank = _with_digest(header, BLANK)
    found = hashlib.sha256(blank)
    found.update(body)
    if found.hexdigest().encode() != header[DIGEST]:
        expected = "the content that was written, by its SHA-256"
        refuse(path, "content that has changed", expected, _DAMAGED, 8 + DIGEST.start)
    parsed = _parse(path, blank, 8)
    metadata = parsed.pop("__metadata__")
    _check_metadata(path, metadata)
    offsets = _check_entries(path, parsed, len(body), 8 + len(header))
    if _encode(parsed, metadata["model"]) != blank:
        expected = "the one way in which such a header is written"
        refuse(path, "another order or spelling", expected, _DAMAGED, 8)
    arrays = {
        name: np.frombuffer(body, DTYPES[e["dtype"]], math.prod(e["shape"]), offsets[name])
        .reshape(e["shape"])
        .astype(DTYPES[e["dtype"]].newbyteorder("="))
        for name, e in parsed.items()
    }
    for array in arrays.values():
        array.flags.writeable = False
    return arrays, _parse(path, metadata["model"].encode(), None)


def _parse(path: str, text: bytes, at: int | None) -> Any:
    """Return what JSON says; each key once, no infinities, not too deep, not too long."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a key that is there twice")
        return dict(pairs)

    def finite(text: str) -> Any:
        raise ValueError(f"the number {text}")

    try:
        parsed = json.loads(text.decode("ascii"), object_pairs_hook=once, parse_constant=finite)
        if at is None and _dump(parsed).encode() != text:
            raise ValueError("a number or a text in another spelling")
    except (ValueError, RecursionError, MemoryError) as error:
        refuse(path, f"no JSON that can be read ({error})", "an object", _DAMAGED, at)
    if not isinstance(parsed, dict):
        refuse(path, f"JSON with a {type(parsed).__name__}", "an object", _DAMAGED, at)
    return parsed


def _check_metadata(path: str, metadata: Any) -> None:
    keys = ("content_sha256", "format", "format_version", "model")
    texts = isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())
    if not texts or tuple(metadata) != keys:
        refuse(path, "other metadata", f"texts for {', '.join(keys)}", _DAMAGED, 8)
    if metadata["format"] != FORMAT or metadata["format_version"] != VERSION:
        given = describe([metadata["format"], metadata["format_version"]])
        repair = "Install the version of tinygrad_bp that wrote it, or a newer one."
        refuse(path, given, describe([FORMAT, VERSION]), repair, 8)


def _check_entries(path: str, entries: dict[str, Any], size: int, start: int) -> dict[str, int]:
    """Return where each array begins; together they must be all of the data, without holes."""
    offsets, end = {}, 0
    for name, entry in sorted(entries.items(), key=_first):
        if not _is_entry(entry):
            expected = "dtype F64, F32 or I64, a shape, and two offsets"
            refuse(path, f"another description of {name[:100]!r}", expected, _DAMAGED, 8)
        first, last = entry["data_offsets"]
        need = math.prod(entry["shape"]) * DTYPES[entry["dtype"]].itemsize
        if first != end or last - first != need:
            given = f"bytes {first} to {last} for {name[:100]!r}"
            refuse(path, given, f"{need} bytes from {end} on", _DAMAGED, start + end)
        offsets[name], end = first, last
    if end != size:
        refuse(path, f"{size} bytes of data", f"{end}, all arrays together", _DAMAGED, start)
    return offsets


def _first(item: tuple[str, Any]) -> tuple[int, int, str]:
    """Sort by offset; what has none comes first, and is refused."""
    name, entry = item
    if not _is_entry(entry):
        return -1, 0, name
    first, last = entry["data_offsets"]
    return first, last, name


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and entry.keys() == {"data_offsets", "dtype", "shape"}
        and isinstance(entry["dtype"], str)
        and entry["dtype"] in DTYPES
        and _are_counts(entry["shape"], range(33))
        and math.prod(max(n, 1) for n in entry["shape"]) < LARGEST
        and _are_counts(entry["data_offsets"], range(2, 3))
    )


def _are_counts(values: Any, lengths: range) -> bool:
    """Tell whether this is a list of so many whole numbers that a size can be."""
    return (
        isinstance(values, list)
        and len(values) in lengths
        and all(type(n) is int and 0 <= n < LARGEST for n in values)
    )
