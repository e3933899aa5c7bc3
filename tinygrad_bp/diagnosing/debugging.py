"""Stopping at the first number that is not finite, in the forward or the backward pass.

`debug` listens to the recording and watches every backward pass. Outside of it nothing is checked
and nothing is paid.
"""

from collections.abc import Iterator
from contextvars import Token
from typing import Any, NoReturn

import numpy as np

from tinygrad_bp.diagnosing.nonfinite import Cause, cause_of_gradient, cause_of_value
from tinygrad_bp.errors import InputError
from tinygrad_bp.graph import Node
from tinygrad_bp.listeners import WATCHING
from tinygrad_bp.origin import listening, note_line, origin_of
from tinygrad_bp.selected import settle
from tinygrad_bp.summary import is_finite
from tinygrad_bp.tensor import Tensor


class debug(listening):
    """Stop at the first number that is not finite, and remember the source line of every node.

    Inside a ``with`` block or a decorated function an op that makes NaN, or ∞ out of finite
    numbers, raises `InputError` at the guilty line; so does a backward pass, at the op that turns
    a finite gradient into NaN or ∞. The error names the op, its line, the element, the inputs
    there, the pattern and a remedy. Constants of ∞, such as masks, are allowed; a branch that
    `where` will not take counts like any other. Only the running thread (or task) is watched.

    >>> try:
    ...     with debug():
    ...         tg.log(tg.Tensor([1.0, -1.0]))
    ... except tg.InputError as error:
    ...     print(error.given)
    NaN for its value at index (1,): the logarithm of a negative number (from x = -1)
    """

    def __init__(self) -> None:
        self.watch = Watch()
        super().__init__(self.watch.hear)
        self.outer: list[tuple[Token[Any], np.errstate]] = []

    def __enter__(self) -> None:
        super().__enter__()
        quiet = np.errstate(all="ignore")  # the error says it better than the warning before it
        quiet.__enter__()
        self.outer.append((WATCHING.set(self.watch.follow), quiet))

    def __exit__(self, *exception: object) -> None:
        token, quiet = self.outer.pop()
        WATCHING.reset(token)
        quiet.__exit__(None, None, None)
        super().__exit__(*exception)

    def _recreate_cm(self) -> "debug":
        return debug()


class Watch:
    """What `debug` does with every node, and with every backward pass."""

    def __init__(self) -> None:
        self.pulling = False  # what a rule records is judged by the gradient that it arrives at

    def hear(self, node: Node) -> None:
        """Note where a node was made, and raise `InputError` if it is the first that is bad."""
        note_line(node)
        if self.pulling or is_finite(node.value):
            return
        if np.isnan(node.value).any() or all(map(is_finite, node.saved)):
            refuse_value(node)

    def follow(self, pulled: Iterator[Any]) -> Iterator[Any]:
        """Yield what a backward pass yields until a gradient is not finite."""
        passed: list[tuple[Node, Any]] = []
        before, self.pulling = self.pulling, True
        try:
            for node, cotangent in pulled:
                if not is_finite(_plain(cotangent)):
                    refuse_gradient(node, passed, cotangent)
                passed.append((node, cotangent))
                yield node, cotangent
        finally:
            self.pulling = before


def refuse_value(node: Node) -> NoReturn:
    """Raise the error for a node whose value is not finite."""
    with_nan = (x for x in node.inputs if x.op is None and np.isnan(x.value).any())
    culprit = next(with_nan, node)  # a leaf or constant that was NaN before
    cause = cause_of_value(culprit)
    name = getattr(culprit, "name", None)
    what = "its value" if culprit is node else f"an input{f' ({name})' if name else ''}"
    raise _error(node, what, cause)


def refuse_gradient(node: Node, passed: list[tuple[Node, Any]], cotangent: Any) -> NoReturn:
    """Raise the error for a gradient that is not finite, at the node that sent it."""
    for consumer, arrived in passed:
        if consumer.op is None or all(x is not node for x in consumer.inputs):
            continue
        plain = _as_values(arrived)
        shares = consumer.op.pull(consumer, plain, consumer.value, consumer.saved)
        for slot, (x, share) in enumerate(zip(consumer.inputs, shares, strict=True)):
            if x is node and not is_finite(settle(share)):
                taken = _went_through_where(consumer, passed)
                cause = cause_of_gradient(
                    consumer, slot, settle(plain), settle(share), not_taken=taken
                )
                raise _error(consumer, "the gradient that it sends on", cause)
    raise InputError(
        "a gradient that is not finite",
        where=getattr(node.op, "name", "a leaf"),
        expected="finite numbers whose sum is finite, too",
        repair="Check the cotangent that was passed to backward(), or scale the loss down.",
    )


def _error(node: Node, what: str, cause: Cause) -> InputError:
    line = origin_of(node).line or "its line was not recorded"
    index = f" at index {cause.index}" if cause.index else ""
    source = f" (from {cause.inputs})" if cause.inputs else ""
    return InputError(
        f"{cause.what} for {what}{index}: {cause.pattern}{source}",
        where=f"{node.op.name if node.op else 'a leaf'} ({line})",
        expected="a finite number",
        repair=cause.remedy,
    )


def _went_through_where(node: Node, passed: list[tuple[Node, Any]]) -> bool:
    """Tell whether a node leads to a `where`, going by the nodes that the pass has seen."""
    above = {node}
    for consumer, _ in reversed(passed):
        if not above.isdisjoint(consumer.inputs):
            above.add(consumer)
            if getattr(consumer.op, "selects", False):
                return True
    return False


def _plain(cotangent: Any) -> Any:
    value = settle(cotangent)
    return value.value if isinstance(value, Tensor) else value


def _as_values(cotangent: Any) -> Any:
    """Return a gradient that a rule can take; of a differentiable pass, its values."""
    return cotangent if not isinstance(settle(cotangent), Tensor) else _plain(cotangent)
