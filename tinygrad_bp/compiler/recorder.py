"""What happens while a function is recorded for compilation, besides the recording.

Leaves that the function finds outside become inputs of the program. What it changes is told to the
recorder, which puts it back: a change of something outside would happen once, and not at every
call, so it is refused; what was made inside may change, as it is gone afterwards.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.compiler.primitives import Value
from tinygrad_bp.compiler.symbol import Symbol
from tinygrad_bp.errors import CompileError, user_line
from tinygrad_bp.listeners import CHANGING, recording
from tinygrad_bp.record import compute
from tinygrad_bp.tensor import Tensor


class Found(NamedTuple):
    """A leaf that is not an argument: the symbol that stands for it, and the data it had."""

    symbol: Symbol
    data: Any


class Before(NamedTuple):
    """What a Tensor held before the function changed it, and the line that did."""

    value: Any
    gradient: Any
    line: str


class Recorder:
    """A listener of the recording that turns Tensors found outside of the function into inputs."""

    def __init__(self) -> None:
        self.found: dict[Tensor, list[Found]] = {}
        self.changed: dict[Tensor, Before] = {}

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Listen inside of a block, and put back what was changed there."""
        token = CHANGING.set(self.changing)
        try:
            with recording(self), np.errstate(all="ignore"):
                yield
        finally:
            CHANGING.reset(token)
            for tensor, before in self.changed.items():
                tensor.value, tensor._grad = before.value, before.gradient

    def __call__(self, node: Any) -> None:
        values = [self.symbol_of(x) for x in node.inputs]
        if not hasattr(node.op, "forward"):
            return  # a checkpoint: what is inside of it was heard already
        if any(v is not x.value for v, x in zip(values, node.inputs, strict=True)):
            node.value = compute(node.op, values, node.params)

    @property
    def muted(self) -> "Muted":
        """Who listens inside no_grad()."""
        return Muted(self)

    def symbol_of(self, x: Any) -> Any:
        """Return the symbol of a leaf that needs a gradient and is no argument."""
        if isinstance(x.value, Symbol) or not x.requires_grad:
            return x.value
        if x.op is not None:
            raise CompileError(
                f"a tensor that {x.op.name} computed before",
                where=f"compile (at {user_line()})",
                expected="arguments, constants and leaves such as Tensor(data)",
                repair="Pass it as an argument, or compute it inside the compiled function.",
            )
        known = self.found.setdefault(x, [])
        if not known or known[-1].data is not x.value:
            symbol = Symbol(Value("input", (), x.shape, x.dtype, (), x.name or ""))
            known.append(Found(symbol, x.value))
        return known[-1].symbol

    def changing(self, node: Any) -> None:
        """Remember what a Tensor holds before it is changed."""
        if node not in self.changed and not isinstance(node.value, Symbol):
            self.changed[node] = Before(node.value, node._grad, user_line())

    def release(self) -> list[tuple[weakref.ref[Tensor], Symbol, Any]]:
        """Let go of all Tensors; raise `CompileError` if one that was changed lives on."""
        found = [(weakref.ref(x), *f) for x, every in self.found.items() for f in every]
        changed = [(weakref.ref(x), before.line) for x, before in self.changed.items()]
        self.found.clear()
        self.changed.clear()
        for reference, line in changed:
            if reference() is not None:
                raise _refused(reference(), line)
        return found


class Muted:
    """The same listener inside no_grad(): what it hears of needs no gradient."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def __call__(self, node: Any) -> None:
        self.recorder(node)
        node.requires_grad = False

    @property
    def muted(self) -> "Muted":
        """Itself: no_grad() may be nested."""
        return self


def _refused(tensor: Any, line: str) -> CompileError:
    named = f" ({tensor.name})" if tensor.name else ""
    return CompileError(
        f"a change of the data or the gradient of a Tensor from outside{named}",
        where=f"compile (at {line})",
        expected="a function that changes nothing but what it made itself",
        repair="Pass the Tensor as an argument (its .grad may then be read), or take the gradient "
        "with loss.gradient(tensor); return what is new and assign it outside.",
    )
