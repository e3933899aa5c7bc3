"""Planting a bug for one block of code, in one thread, and always taking it out again."""

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

Patch = tuple[
    Any, str, Callable[..., Any]
]  # an object, the name of a function of it, the faulty one

# The patches that are in force here: other threads and tasks go on with the right functions.
_IN_FORCE: ContextVar[tuple[Patch, ...]] = ContextVar("in_force", default=())
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True, eq=False)
class Mutant:
    """A bug that can be planted: its class in the catalogue, where it sits, what it does.

    ``number``: the class, 1 to 24; ``name`` and ``description``: what is wrong; ``where``: the op
    and the input, or the part of the engine.

    >>> from tinygrad_bp.check import mutants
    >>> mutant = next(m for m in mutants.of(tg.tanh) if m.name == "sign")
    >>> mutant
    <mutant of tanh, input 0: sign (class 1)>
    >>> with mutant.planted():
    ...     print(tg.grad(tg.tanh)(0.0))
    -1.0
    >>> print(tg.grad(tg.tanh)(0.0))
    1.0
    """

    number: int
    name: str
    description: str
    where: str
    op: Any = None  # None: the engine
    patches: Callable[[], Sequence[Patch]] = field(default=tuple, repr=False)

    @contextmanager
    def planted(self) -> Iterator["Mutant"]:
        """Plant the bug for a ``with`` block; it is taken out again also if the block raises.

        Only this thread (or task) sees it: others, also those started by the block, do not.
        """
        with planted(self.patches()):
            yield self

    def __repr__(self) -> str:
        return f"<mutant of {self.where}: {self.name} (class {self.number})>"


@contextmanager
def planted(patches: Sequence[Patch]) -> Iterator[None]:
    """Replace functions for a block of code, as this thread (or task) alone sees them."""
    with _ONE_AT_A_TIME, ExitStack() as stack:
        token = _IN_FORCE.set((*_IN_FORCE.get(), *patches))
        stack.callback(_IN_FORCE.reset, token)
        for patch in patches:
            owner, name, _ = patch
            replacement, before = _seen_here(patch), vars(owner).get(name)
            if before is None:  # it comes from the class
                stack.callback(delattr, owner, name)
            else:
                stack.callback(setattr, owner, name, before)
            setattr(owner, name, replacement)
        yield


def _seen_here(patch: Patch) -> Callable[..., Any]:
    """Return a function that is the faulty one where the patch is in force, else the right one."""
    owner, name, faulty = patch
    right = getattr(owner, name)

    @functools.wraps(right)
    def either(*args: Any, **params: Any) -> Any:
        here = any(patch is known for known in _IN_FORCE.get())
        return (faulty if here else right)(*args, **params)

    return either
