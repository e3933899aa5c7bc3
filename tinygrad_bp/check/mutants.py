"""A test of the tests: bugs planted in rules and in the engine, which a suite must catch.

    from tinygrad_bp.check import mutants

    def test_my_tests_would_notice_a_wrong_rule():
        assert mutants.survivors(my_op, check=my_tests) == []

The catalogue has 24 classes of bugs that people have really made, from a wrong sign to a gradient
that is right only for a cotangent of ones.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_bp.check.catalogue import CLASSES, of_op
from tinygrad_bp.check.engine_faults import of_engine
from tinygrad_bp.check.engine_trial import engine_trial
from tinygrad_bp.check.planting import Mutant
from tinygrad_bp.check.samples import find
from tinygrad_bp.check.trial import telling_samples, trial
from tinygrad_bp.op import Op
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.validate import refuse

__all__ = ["CLASSES", "Mutant", "engine", "is_equivalent", "of", "survivors", "trial"]

TELLING = {16: "small", 17: "passes", 18: "passes", 20: "passes", 22: "ties", 23: "masks",
           5: "reuse"}  # fmt: skip


def of(op: Any) -> list[Mutant]:
    """List every bug of the catalogue that can be planted in an op (given itself or by name).

    Raises `InputError` for a function that has no rule of its own.

    >>> found = of(tg.tanh)
    >>> len(found), found[0]
    (25, <mutant of tanh, input 0: sign (class 1)>)
    """
    entry = find(op)
    if not isinstance(entry, Op) or not entry.differentiable:
        refuse(
            "mutants.of, argument op",
            f"{entry.facts.name}",
            "an op with a derivative rule",
            "Plant bugs in the ops it is made of.",
        )
    return list(of_op(entry))


def engine() -> list[Mutant]:
    """List every bug of the catalogue that can be planted in the engine itself.

    >>> [mutant.name for mutant in engine() if mutant.number == 23]
    ['a branch not taken is zero instead of absent']
    """
    return list(of_engine())


def survivors(
    op: Any, check: Callable[[], Any] | None = None, *, explained: bool = False
) -> list[Mutant]:
    """List the mutants that a check does not notice; ``[]`` is what a test suite should reach.

    ``op``: an op or its name, or any mutants; ``check``: a function that raises, or returns False,
    when it finds something wrong (None: `trial`, the check of the library's own suite). It is run
    once without a bug, and then once for each mutant. Mutants that change no number on any
    declared case (twice a derivative of 0) are left out unless ``explained=True``.

    Raises `InputError` if the check fails without a bug.

    >>> def one_point():
    ...     assert tg.grad(tg.sinh)(0.0) == 1
    >>> [m.name for m in survivors(tg.sinh, one_point)][:2]
    ['divided by the number of elements', 'transposed']
    """
    mutants = of(op) if not isinstance(op, list | tuple) else list(op)
    for checked in dict.fromkeys(m.op for m in mutants):
        if not passes(check, checked):
            refuse("mutants.survivors, argument check", "a check that fails without any bug",
                   "one that passes", "Mend the op, or the check, first.")  # fmt: skip
    alive = [m for m in mutants if not is_killed(m, check)]
    return alive if explained else [m for m in alive if not is_equivalent(m)]


def is_killed(mutant: Mutant, check: Callable[[], Any] | None = None) -> bool:
    """Ask whether a check notices a mutant."""
    with mutant.planted():
        return not passes(check, mutant.op, TELLING.get(mutant.number, ""))


def passes(check: Callable[[], Any] | None, op: Any, first: str = "") -> bool:
    """Run a check and ask whether it found nothing."""
    try:
        if check is not None:
            found = check()
            return found is None or bool(found)
        if op is None:
            engine_trial()
        else:
            trial(op, first)
    except Exception:  # whatever a faulty rule leads to: a test would fail
        return False
    return True


def is_equivalent(mutant: Mutant) -> bool:
    """Ask whether a mutant changes no gradient on any telling sample: then there is no bug.

    >>> doubled = next(m for m in of(tg.sign) if m.name == "twice")
    >>> is_equivalent(doubled)
    True
    """
    if mutant.op is None:
        return False
    right = _gradients(mutant.op)
    try:
        with mutant.planted():
            wrong = _gradients(mutant.op)
    except Exception:  # whatever a faulty rule leads to
        return False
    return all(np.array_equal(a, b) for a, b in zip(right, wrong, strict=True))


def _gradients(op: Op) -> list[Any]:
    """Return the gradients of all telling samples, one after the other."""
    found: list[Any] = []
    for sample in telling_samples(op):
        leaves = [Tensor(x) for x in sample.varied]
        y = sample(*leaves)
        u = np.linspace(0.3, 0.9, y.size).reshape(y.shape)
        with np.errstate(all="ignore"):
            gradients = y.gradient(*leaves, cotangent=u)
        found += gradients if isinstance(gradients, tuple) else [gradients]
    return found
