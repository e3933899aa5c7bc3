"""Object code on disk: found by what it was made from, and never trusted without its digest."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

_MAGIC = b"tinygrad_bp object 1\n"


def folder() -> Path | None:
    """Return where object code is kept; None where it must not be.

    ``TINYGRAD_BP_CACHE`` names another folder, and, empty, turns the cache off.
    """
    named = os.environ.get("TINYGRAD_BP_CACHE")
    if named is not None:
        return Path(named) if named else None
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "tinygrad_bp"


def fetch(key: str, make: Callable[[], bytes]) -> bytes:
    """Return the object code for a key: the stored one, if it is whole and ours, else a new one."""
    name = hashlib.sha256(key.encode()).hexdigest()
    place = folder()
    if place is None:
        return make()
    path = place / f"{name}.o"
    found = _read(path, name)
    if found is None:
        found = make()
        _write(path, name, found)
    return found


def _seal(name: str, code: bytes) -> bytes:
    """Return the head of an entry: a digest over its name and its content."""
    return _MAGIC + hashlib.sha256(name.encode() + code).digest()


def _read(path: Path, name: str) -> bytes | None:
    """Return the code of an entry, or None if it is missing, damaged, renamed or not ours."""
    try:
        if not _is_ours(path.parent, stat.S_ISDIR) or not _is_ours(path, stat.S_ISREG):
            return None
        data = path.read_bytes()
    except OSError:
        return None
    size = len(_MAGIC) + hashlib.sha256().digest_size
    return data[size:] if data[:size] == _seal(name, data[size:]) else None


def _is_ours(path: Path, of_kind: Callable[[int], bool]) -> bool:
    """Tell whether nobody else can have written a file or folder, which is one, not a link."""
    status = path.lstat()
    if not of_kind(status.st_mode):
        return False
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def _write(path: Path, name: str, code: bytes) -> None:
    """Store an entry in one step; a cache that cannot be written is no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_seal(name, code) + code)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError:
        return
