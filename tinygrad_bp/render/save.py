"""Writing a file so that it is there completely or not at all."""

import errno
import os
import secrets
from pathlib import Path
from typing import Any

from tinygrad_bp.errors import InputError, StoreError, describe


def as_path(path: Any, suffixes: tuple[str, ...], where: str) -> Path:
    """Return a path that ends in one of the suffixes; raise `InputError` for any other.

    >>> as_path("g.SVG", (".svg", ".txt"), "save").name
    'g.SVG'
    """
    known = ", ".join(suffixes[:-1]) + f" or {suffixes[-1]}"
    if not isinstance(path, str | os.PathLike):
        raise InputError(
            describe(path), where=where, expected=f"a path that ends in {known}",
            repair='Write e.g. save("graph.svg").',
        )  # fmt: skip
    found = Path(path)
    if found.suffix.lower() not in suffixes:
        raise InputError(
            f"the path {str(found)!r}", where=where, expected=f"one that ends in {known}",
            repair="The suffix says what is written.",
        )  # fmt: skip
    return found


def write(path: Path, content: bytes, where: str) -> Path:
    """Write a file under another name beside it and rename it, so that there is never a half one.

    Raises `StoreError` where that is not possible, and leaves what was there before.
    """
    try:
        target = Path(os.path.realpath(path))  # a link stays a link
        if target.exists() and not target.is_file() and not target.is_dir():
            raise OSError(errno.EINVAL, "it is a device or a pipe")
        beside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.part")
        try:
            with beside.open("xb") as file:
                file.write(content)
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise StoreError(
            f"the path {str(path)!r}", where=where, expected="a file that can be written",
            repair=f"The system says: {getattr(error, 'strerror', None) or error}.",
        ) from error  # fmt: skip
    return path
