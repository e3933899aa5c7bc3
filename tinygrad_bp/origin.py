"""Where a node came from: the scope it was recorded in, and the user's source line.

Both are remembered by listeners of the recording, so a program that asks for neither pays nothing.
"""

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

from tinygrad_bp.errors import describe, user_line
from tinygrad_bp.graph import Node
from tinygrad_bp.listeners import RECORDING, recording
from tinygrad_bp.validate import refuse

Listener = Callable[[Node], None]


class Origin(NamedTuple):
    """The scope of a node, from the outermost name to the innermost, and its line, if recorded."""

    scope: tuple[str, ...] = ()
    line: str = ""  # "net.py:41"


UNKNOWN = Origin()
SCOPE: ContextVar[tuple[str, ...]] = ContextVar("scope", default=())


def origin_of(node: Node) -> Origin:
    """Return where a node came from, as far as it was recorded."""
    return getattr(node, "origin", UNKNOWN)


class listening(recording):
    """Tell `listener` of every node that is recorded inside, after whoever listens outside."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self.listener = listener

    def __enter__(self) -> None:
        outer = RECORDING.get()  # inside no_grad() there is nothing to hear
        self.tokens.append(RECORDING.set(outer and both(outer, self.listener)))

    def _recreate_cm(self) -> "listening":
        return listening(self.listener)


class Both:
    """A listener that tells two others, one after the other."""

    __slots__ = ("listener", "outer")

    def __init__(self, outer: Any, listener: Listener) -> None:
        self.outer, self.listener = outer, listener

    def __call__(self, node: Node) -> None:
        self.outer(node)
        self.listener(node)

    @property
    def muted(self) -> Any:
        """Who still listens inside no_grad()."""
        outer = getattr(self.outer, "muted", False)
        return outer and Both(outer, self.listener)


def both(outer: bool | Listener, listener: Listener) -> Listener:
    """Return a listener that tells both; `outer` may be the plain mode True."""
    return Both(outer, listener) if callable(outer) else listener


class scope(recording):
    """Name the part of a program inside a ``with`` block or a decorated function.

    Pictures fold what was recorded in a scope into one card. Scopes nest.
    Raises `InputError` for a name that is no text.

    >>> w = tg.Tensor(2.0)
    >>> with tg.scope("hidden"):
    ...     y = w * w
    >>> origin_of(y).scope
    ('hidden',)
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            refuse("scope", describe(name), "a name", 'Write tg.scope("hidden").')
        super().__init__(True)
        self.name = name
        self.outer: list[Token[tuple[str, ...]]] = []

    def __enter__(self) -> None:
        path = (*SCOPE.get(), self.name)
        self.outer.append(SCOPE.set(path))

        def note(node: Node) -> None:  # the innermost scope hears last, so its path stays
            node.origin = origin_of(node)._replace(scope=path)  # type: ignore[attr-defined]

        outer = RECORDING.get()
        self.tokens.append(RECORDING.set(outer and both(outer, note)))

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        SCOPE.reset(self.outer.pop())

    def _recreate_cm(self) -> "scope":
        return scope(self.name)


def note_line(node: Node) -> None:
    """Remember the user's source line: a listener."""
    node.origin = origin_of(node)._replace(line=user_line())  # type: ignore[attr-defined]
