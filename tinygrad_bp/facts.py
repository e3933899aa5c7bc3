"""What readers know of an op, as data: names, symbol, domain, documentation. And the table."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

Shape = tuple[int, ...]
Case = tuple[tuple[Shape, ...], dict[str, Any]]  # shapes of the inputs, parameters

OPS: dict[str, Any] = {}  # every op and derived function, by name


class Domain(NamedTuple):
    """Where an input may be tested: an interval, and the kinks inside it to stay clear of."""

    low: float = -3.0
    high: float = 3.0
    kinks: tuple[float, ...] = ()


REALS = Domain()


@dataclass(kw_only=True)
class Facts:
    """What readers (methods, pictures, documentation, tests) know about a function of tensors."""

    name: str
    doc: str
    symbol: str = ""
    operator: str | None = None  # "add" gives __add__ and __radd__
    method: bool = True  # also a method of Tensor
    unpacked: str | None = None  # the parameter that the method also takes as *args
    numpy: tuple[Any, ...] = ()  # the NumPy functions that it stands for
    domain: tuple[Domain, ...] = (REALS,)  # of each input; the last one repeats
    cases: Callable[[Shape], Iterable[Case]] | None = None  # None: any broadcastable shapes
    positive_definite: bool = False  # test it on such matrices only
    expects: str = ""  # for errors: what shapes it takes
    each: bool = False  # it acts on every element by itself, as elementwise ops do
    definition: Callable[..., Any] | None = None  # the same value in terms of simpler ops


@dataclass
class Derived:
    """A function written in terms of ops: it needs no rule of its own."""

    function: Callable[..., Any]
    facts: Facts

    def __call__(self, *args: Any, **params: Any) -> Any:
        return self.function(*args, **params)


def find_op(name: str) -> Any:
    """Look an op up by its name."""
    return OPS[name]
