"""Noticing that random numbers were drawn: in a program they would be the same at every call."""

import random
from collections.abc import Callable
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from tinygrad_bp.errors import CompileError
from tinygrad_bp.tensor import Tensor

MANY = 300  # objects that are looked at, at most
GENERATORS = (np.random.Generator, np.random.RandomState)
LEAVES = (ModuleType, type, np.ndarray, np.generic, Tensor, str, bytes, int, float, type(None))


class Randomness:
    """The sources of random numbers that a function can be seen to reach, and their states.

    NumPy's and Python's global generators are among them; one that the function makes itself
    cannot be seen, and need not be if it has a seed.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = getattr(function, "__name__", type(function).__name__)
        found: list[Any] = [x for x in reachable(function) if isinstance(x, GENERATORS)]
        self.sources = [x._bit_generator for x in found]
        self.before = self.states()

    def states(self) -> list[Any]:
        """Return what tells whether a number was drawn."""
        states = [np.random.get_state(), *(x.state for x in self.sources)]
        return [random.getstate(), *map(_comparable, states)]

    def check(self) -> None:
        """Raise `CompileError` if a number was drawn since this was made."""
        if self.states() != self.before:
            raise CompileError(
                "random numbers that are drawn inside",
                where=f"compile({self.name})",
                expected="a function of its arguments, since it is recorded once",
                repair="Draw them outside, and pass them as an argument at every call.",
            )


def reachable(function: Any) -> list[Any]:
    """List what a function refers to: in closures, in globals by name, in attributes of those."""
    stack, seen = [function], dict[int, Any]()
    while stack and len(seen) < MANY:
        found = stack.pop()
        if id(found) not in seen and not isinstance(found, LEAVES):
            seen[id(found)] = found  # kept, so that no other object gets this address
            stack.extend(_parts(found))
    return list(seen.values())


def _parts(found: Any) -> list[Any]:
    """List what an object refers to."""
    if isinstance(found, FunctionType):
        own = (found.__module__ or "").startswith("tinygrad_bp.")
        names = [] if own else _names(found.__code__)
        known = [found.__globals__[n] for n in names if n in found.__globals__]
        return [*_closure(found), *(found.__defaults__ or ()), *known]
    if isinstance(found, MethodType):
        return [found.__self__, found.__func__]
    if isinstance(found, list | tuple):
        return list(found)
    held = found if isinstance(found, dict) else getattr(found, "__dict__", {})
    called = [vars(c).get("__call__") for c in type(found).__mro__]  # of a callable object
    return [*held.values(), *(f for f in called if isinstance(f, FunctionType))]


def _closure(function: FunctionType) -> list[Any]:
    empty = CellType()
    return [cell.cell_contents for cell in function.__closure__ or () if cell != empty]


def _names(code: CodeType) -> list[str]:
    """List the names that a function, and those defined inside of it, may look up."""
    inner = [c for c in code.co_consts if isinstance(c, CodeType)]
    return [*code.co_names, *(name for c in inner for name in _names(c))]


def _comparable(state: Any) -> Any:
    """Replace arrays by their bytes, so that states can be compared."""
    if isinstance(state, dict):
        return {k: _comparable(v) for k, v in state.items()}
    if isinstance(state, list | tuple):
        return [_comparable(x) for x in state]
    return state.tobytes() if isinstance(state, np.ndarray) else state
