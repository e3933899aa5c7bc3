"""Who hears of a graph while it is made and read: of new nodes, changes and backward passes.

Every setting belongs to the running thread (or task) alone, and ends with its block.
"""

from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar, Token
from typing import Any

from tinygrad_bp.graph import Node

# True: record. False: do not. A function: record, and tell it of every new node.
RECORDING: ContextVar[bool | Callable[[Node], None]] = ContextVar("recording", default=True)


class recording(ContextDecorator):
    """Set for a block (or a decorated function) whether, and to whom, nodes are recorded."""

    def __init__(self, mode: bool | Callable[[Node], None]) -> None:
        self.mode = mode
        self.tokens: list[Token[bool | Callable[[Node], None]]] = []

    def __enter__(self) -> None:
        mode = self.mode
        if mode is False:  # a listener may want to hear also of what needs no gradient
            mode = getattr(RECORDING.get(), "muted", False)
        self.tokens.append(RECORDING.set(mode))

    def __exit__(self, *exception: object) -> None:
        RECORDING.reset(self.tokens.pop())

    def _recreate_cm(self) -> "recording":  # one state per call of a decorated function
        return recording(self.mode)


def no_grad() -> recording:
    """Record nothing inside a ``with`` block or a decorated function.

    Results are constants. The setting belongs to the running thread (or task) alone and ends
    with the block, also when it raises.

    >>> from tinygrad_bp import Tensor
    >>> w = Tensor(1.0)
    >>> with no_grad():
    ...     w.data = w - 0.1
    >>> w
    Tensor(0.9)
    """
    return recording(False)


# None, or a function that is told of a node before its value or its gradient is changed.
CHANGING: ContextVar[Callable[[Node], None] | None] = ContextVar("changing", default=None)


def changing(node: Node) -> None:
    """Say that a node is about to be changed, for whoever wants to know."""
    tell = CHANGING.get()
    if tell is not None:
        tell(node)


# None, or a function that is given what a backward pass yields, looks at it and yields it again.
WATCHING: ContextVar[Callable[[Iterator[Any]], Iterator[Any]] | None]
WATCHING = ContextVar("watching", default=None)


@contextmanager
def unwatched() -> Iterator[None]:
    """Let backward passes inside a block go unseen."""
    token = WATCHING.set(None)
    try:
        yield
    finally:
        WATCHING.reset(token)


def watched(pulled: Iterator[Any]) -> Iterator[Any]:
    """Show a backward pass to whoever watches."""
    watch = WATCHING.get()
    return pulled if watch is None else watch(pulled)
