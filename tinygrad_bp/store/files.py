"""Writing a file as a whole: at any instant its name leads to the old content or to the new one.

The content goes to a temporary file in the same folder and from there to the disk; then it takes
the name, and the folder goes to the disk. A process that is killed leaves at most a temporary file,
which the next one to write there removes.
"""

import errno
import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from tinygrad_bp.errors import StoreError, describe
from tinygrad_bp.validate import refuse

_WRITING: set[str] = set()  # the temporary files of this process


def write(path: str, parts: Iterable[bytes | memoryview]) -> None:
    """Make `parts`, one after the other, the content of the file; raise `StoreError` if not.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(os.path.join(folder, "a"), [b"1", b"2"])
    ...     append(os.path.join(folder, "a"), b"3")
    ...     os.listdir(folder), os.path.getsize(os.path.join(folder, "a"))
    (['a'], 3)
    """
    try:
        target = os.path.realpath(path)  # a link stays a link
        _replace(target, parts)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        raise _unwritable(path, error, "The file is as it was before.") from error
    try:
        _sync_folder(os.path.dirname(target))
    except OSError as error:
        state = "The new file is there, but may not survive a crash."
        raise _unwritable(path, error, state) from error


def check_place(path: str) -> None:
    """Raise `StoreError` for a place where `write` would fail, before there is work to lose.

    >>> try:
    ...     check_place("/nowhere/m")
    ... except StoreError as error:
    ...     print(error.given)
    no folder '/nowhere'
    """
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        given, repair = f"no folder {folder!r}", "Make the folder."
    elif os.path.exists(path) and not os.path.isfile(path):
        given, repair = "a folder, a device or a pipe", "Choose another name."
    elif not os.access(folder, os.W_OK | os.X_OK):
        given, repair = f"a folder {folder!r} that is not yours to write", "Choose another folder."
    else:
        return
    raise StoreError(given, where=path, expected="a place for a file", repair=repair)


def as_path(path: Any, name: str) -> str:
    """Return a path as text, or raise `InputError`.

    >>> as_path(b"a", "path")
    'a'
    """
    if not isinstance(path, str | bytes | os.PathLike) or not os.fspath(path):
        refuse(name, describe(path), "the path of a file", 'Write e.g. "m.safetensors".')
    return os.fsdecode(path)


def append(path: str, content: bytes) -> None:
    """Add to the end of a file; raise `StoreError` if that fails."""
    try:
        with open(path, "ab") as file:
            file.write(content)
    except OSError as error:
        raise _unwritable(path, error, "Its last line may be cut off.") from error


def _replace(path: str, parts: Iterable[bytes | memoryview]) -> None:
    """Write a temporary file, down to the disk, and give it the name; or leave nothing behind."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    mode = _mode(path)
    _WRITING.add(temporary)
    try:
        _remove_stale(folder, name)
        _write_through(temporary, parts, mode)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError, ValueError):
            os.unlink(temporary)
        raise
    finally:
        _WRITING.discard(temporary)


def _mode(path: str) -> int:
    """Return who may read the file: not more than before. What is no file is not replaced."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return 0o666
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # of a folder the system itself speaks
        raise OSError(errno.EINVAL, "a device or a pipe")
    return stat.S_IMODE(mode)


def _write_through(path: str, parts: Iterable[bytes | memoryview], mode: int) -> None:
    """Write a new file down to the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, mode)
    try:
        for part in parts:
            left = memoryview(part).cast("B")
            while left:
                left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: str) -> None:
    """Write the names in a folder to the disk, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_stale(folder: str, name: str) -> None:
    """Remove what killed processes have left of this file."""
    if os.name == "nt":  # there is no harmless way to ask whether a process is alive
        return
    pattern = re.compile(re.escape(f".{name}.") + r"(\d{1,9})-[0-9a-f]{8}\.tmp")
    for entry in os.listdir(folder):
        match = pattern.fullmatch(entry)
        path = os.path.join(folder, entry)
        if match and path not in _WRITING and not _is_another_alive(int(match[1])):
            with suppress(OSError):
                os.unlink(path)


def _is_another_alive(process: int) -> bool:
    if process == os.getpid():  # the number of one that was killed, used again
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _unwritable(path: str, error: Exception, state: str) -> StoreError:
    return StoreError(
        getattr(error, "strerror", None) or str(error),
        where=path if path.isprintable() else repr(path),
        expected="a file that can be written, and room for it",
        repair=state,
    )
