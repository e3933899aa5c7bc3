"""Leaving out terms of a rule: it is recorded like any computation, and replayed without one.

So every sum that a derivative rule contains gives two mutants, whatever the rule looks like.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_bp.check.trial import telling_samples
from tinygrad_bp.graph import walk
from tinygrad_bp.listeners import recording
from tinygrad_bp.op import Op
from tinygrad_bp.tensor import Tensor


def twin(op: Op, slot: int, rule: Callable[..., Any]) -> Op:
    """Return an op like `op`, outside of the registry, with another rule for one input."""
    twin: Op = object.__new__(type(op))
    rules = list(op.rules)
    rules[slot] = rule
    vars(twin).update(vars(op) | {"rules": rules})
    return twin


def _terms(root: Any) -> list[Any]:
    """List the sums and differences by which a recorded rule computed its result."""
    if not isinstance(root, Tensor):
        return []
    return [n for n in walk(root) if n.op is not None and n.op.name in ("add", "subtract")]


def without_term(rule: Callable[..., Any], term: int, side: int) -> Callable[..., Any]:
    """Return the rule with one part of one of its sums left out: it is recorded, and replayed."""

    def spoiled(*args: Any, **params: Any) -> Any:
        results = _recorded(rule, args, params)
        several = isinstance(results, list)
        replayed = [_replay(r, term, side) for r in (results if several else [results])]
        return replayed if several else replayed[0]

    return spoiled


def _recorded(rule: Callable[..., Any], args: Sequence[Any], params: dict[str, Any]) -> Any:
    """Call a rule with Tensors, so that it is recorded."""
    with recording(True):
        return rule(*(Tensor(a) if np.asarray(a).dtype.kind == "f" else a for a in args), **params)


def _replay(root: Any, term: int, side: int) -> Any:
    """Compute a recorded result again without one part of one sum."""
    if not isinstance(root, Tensor):
        return root
    terms = _terms(root)
    target = terms[term] if term < len(terms) else None
    values: dict[Any, Any] = {}
    for node in walk(root):
        inputs = [values[x] for x in node.inputs]
        if node is target:
            inputs[side] = inputs[side] * 0
        values[node] = node.value if node.op is None else node.op.forward(*inputs, **node.params)
    return values[root]


def count_terms(op: Op, slot: int) -> int:
    """Count the sums in a rule, in the case where it has most of them."""
    counts = [0]

    def counting(*args: Any, **params: Any) -> Any:
        results = _recorded(op.rules[slot], args, params)
        for result in results if isinstance(results, list) else [results]:
            counts.append(len(_terms(result)))
        return op.rules[slot](*args, **params)

    pull_all(twin(op, slot, counting), op)
    return max(counts)


def pull_all(puller: Op, op: Op) -> None:
    """Pull a cotangent back through every telling sample of an op."""
    for sample in telling_samples(op):
        y = sample.call([Tensor(x) if x.dtype != bool else x for x in sample.inputs])
        with np.errstate(all="ignore"):
            puller.pull(y, np.ones(y.shape)[()], y.value, y.saved)
