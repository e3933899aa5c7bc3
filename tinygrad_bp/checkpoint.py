"""Trading time for memory: a function call whose inner nodes are recorded again when needed."""

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_bp.errors import GraphError, describe
from tinygrad_bp.graph import Node, refuse_rebound
from tinygrad_bp.listeners import RECORDING, recording
from tinygrad_bp.nested import flatten
from tinygrad_bp.origin import both
from tinygrad_bp.selected import settle
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.tracing import Function, name_of, no_tensor
from tinygrad_bp.validate import refuse


def checkpoint(function: Function) -> Function:
    """Return the same function, which forgets what it recorded and records it again in backward.

    It saves the memory of all values between its arguments and its result, for one more
    evaluation. The function must be deterministic and return one Tensor; Tensors that it
    captures are found and get their gradients. Raises `GraphError` in the backward pass if the
    function then returns another value, `InputError` at once for what is no function.

    >>> x = Tensor(3.0)
    >>> checkpoint(lambda x: x * x * x)(x).backward()
    >>> x.grad
    array(27.)
    """
    if not callable(function):
        refuse("checkpoint", describe(function), "a function", "Pass f itself: checkpoint(f).")

    @functools.wraps(function)
    def wrapped(*args: Any) -> Any:
        leaves, rebuild = flatten(args)
        segment = Segment(function, rebuild, [_frozen(leaf) for leaf in leaves])
        return segment.record()

    return wrapped


class Segment:
    """A recorded function call that is one node: its inner nodes are made again when needed."""

    name = symbol = "checkpoint"

    def __init__(self, function: Function, rebuild: Any, leaves: list[Any]) -> None:
        self.function, self.rebuild, self.leaves = function, rebuild, leaves
        self.captured: list[Node] = []  # the differentiable nodes that the inner ones lead to
        self.fingerprint = b""  # of all values that the inner ops saw

    def record(self) -> Any:
        """Evaluate, find the nodes that the function captured, and keep only the value."""
        mode = RECORDING.get()
        if mode is False:
            return self.function(*self.rebuild(iter(self.leaves)))
        y, made = self.evaluate()
        self.captured, self.fingerprint = _read(y, made)
        node = Tensor.__new__(Tensor)
        node._restore(y.value, bool(self.captured), op=self if self.captured else None)
        node.inputs = tuple(self.captured)
        node.saved = [x.value for x in self.captured]
        if callable(mode):
            mode(node)
        return node

    def evaluate(self) -> tuple[Tensor, set[Node]]:
        """Call the function; return its result and the nodes that it made."""
        made: set[Node] = set()
        with recording(both(RECORDING.get(), made.add)):
            y = self.function(*self.rebuild(iter(self.leaves)))
        if not isinstance(y, Tensor):
            raise no_tensor(y, f"checkpoint({name_of(self.function)})")
        return y, made

    def pull(self, node: Node, cotangent: Any, y: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """Record the segment again and pull the cotangent through it."""
        refuse_rebound(node)
        again, made = self.evaluate()
        if _read(again, made)[1] != self.fingerprint:
            raise GraphError(
                "other values than in the forward pass",
                where=f"checkpoint({name_of(self.function)})",
                expected="a function that computes the same again",
                repair="Draw random numbers outside, and change nothing that it reads.",
            )
        differentiable = isinstance(y, Tensor)
        found = again._gradients(
            self.captured, differentiable, settle(cotangent), stop=set(self.captured)
        )
        return [found.get(x) for x in self.captured]

    def __deepcopy__(self, memo: Any) -> "Segment":  # a description, like the op that it stands for
        return self


def _read(y: Node, made: set[Node]) -> tuple[list[Node], bytes]:
    """List what the nodes in `made` depend on outside of it; digest the values that they saw."""
    found: dict[Node, None] = {}
    digest = hashlib.blake2b()
    seen, stack = {y}, [y]
    while stack:
        node = stack.pop()
        if node not in made:
            if node.requires_grad:
                found[node] = None
            continue
        for value in (node.value, *node.saved):
            if not getattr(value, "symbolic", False):  # not known yet, hence the same for sure
                digest.update(np.ascontiguousarray(value).tobytes())
        for x in node.inputs:
            if x not in seen:
                seen.add(x)
                stack.append(x)
    return list(found), digest.digest()


def _frozen(leaf: Any) -> Any:
    return leaf if isinstance(leaf, Tensor) or not isinstance(leaf, np.ndarray) else leaf.copy()
