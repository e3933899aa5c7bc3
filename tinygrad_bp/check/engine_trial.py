"""All that the engine has to stand: reuse, broadcasting, masks, a second pass, rebound leaves."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_bp.check.programs import random_program
from tinygrad_bp.check.trial import Probe, agrees
from tinygrad_bp.errors import GradientError
from tinygrad_bp.facts import OPS
from tinygrad_bp.tensor import Tensor

PROGRAMS = 12
Function = Callable[..., Any]


def engine_trial() -> None:
    """Raise `GradientError` (or whatever a faulty engine raises) unless all probes pass.

    >>> engine_trial()
    """
    for probe in engine_probes():
        probe.run()


def engine_probes() -> list[Probe]:
    """List what the engine is tried on."""
    tests = (_second_pass, _rebound_leaf, _masked_branch, _single_precision)
    programs = [random_program(np.random.default_rng(seed)) for seed in range(PROGRAMS)]
    return [
        *(Probe(test.__name__, test) for test in tests),
        *(Probe(name, agrees, (f, xs)) for name, f, xs in _graphs()),
        *(Probe("program", agrees, (program, program.inputs)) for program in programs),
    ]


def _graphs() -> Iterator[tuple[str, Function, list[np.ndarray]]]:
    """Yield graphs in which a value is used again, and in which values are broadcast."""
    sin, exp, tanh = OPS["sin"], OPS["exp"], OPS["tanh"]
    rng = np.random.default_rng(5)
    x, row, column, number = (rng.uniform(-1, 1, s) for s in ((3, 3), (3,), (3, 1), ()))

    def diamond(x: Any) -> Any:
        h = sin(x)
        return exp(h * 2) + tanh(h) * h

    def shared_cotangent(x: Any) -> Any:  # one array is the share of both inputs of a sum
        h, k = sin(x), exp(x)
        return sin(h * k + (h + k))

    def ladder(x: Any) -> Any:
        for _ in range(4):
            x = sin(x) * x + x
        return x

    def broadcast(x: Any, row: Any, column: Any, number: Any) -> Any:
        return sin(x * row) * column + number * row - column / (2 + row * row)

    yield "diamond", diamond, [x]
    yield "shared cotangent", shared_cotangent, [x]
    yield "ladder", ladder, [number]
    yield "broadcast", broadcast, [x, row, column, number]


def _expect(found: Any, right: Any, what: str) -> None:
    """Raise unless two arrays have the same bits and dtype."""
    found, right = np.asarray(found), np.asarray(right)
    if not (np.array_equal(found, right) and found.dtype == right.dtype):
        raise GradientError(f"{found} {what}", expected=f"{right}", repair="Mend the engine.")


def _second_pass() -> None:
    x = Tensor(np.linspace(0.5, 1.5, 4))
    y = (OPS["sin"](x) * x + x).sum()
    first = y.gradient(x)
    _expect(y.gradient(x), first, "in a second pass")
    y.backward()
    y.backward()
    _expect(x.grad, 2 * first, "in .grad after two passes")


def _rebound_leaf() -> None:
    x = Tensor(np.array([1.0, 2.0]))
    y = (x * x).sum()
    x.data = np.array([5.0, 5.0])
    _expect(y.gradient(x), np.array([2.0, 4.0]), "after a leaf was rebound")


def _masked_branch() -> None:
    x = Tensor(np.array([4.0, 0.0]))
    with np.errstate(all="ignore"):
        y = OPS["where"](x > 0, OPS["sqrt"](x), 0.0).sum()
    _expect(y.gradient(x), np.array([0.25, 0.0]), "behind a mask")


def _single_precision() -> None:
    x = Tensor(np.array([1.0, 2.0]), dtype=np.float32)
    y = (x * np.array([0.1, 0.2])).sum()
    _expect(y.gradient(x), np.array([0.1, 0.2], np.float32), "for a float32 leaf")
