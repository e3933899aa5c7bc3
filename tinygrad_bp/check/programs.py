"""Random programs over the registered ops: graphs with reuse and broadcasting, as Python source.

A program grows from a list of genes, one for each step, and any list is a program: what a gene asks
for is taken from what there is. Leaving genes out therefore makes a smaller program, which is how
hypothesis finds the smallest one that fails.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.check.samples import (
    Entry,
    apply,
    cases_of,
    differentiable,
    domain_of,
    find,
    make,
)
from tinygrad_bp.facts import REALS, Shape
from tinygrad_bp.op import Op
from tinygrad_bp.record import REFUSALS

SHAPES: tuple[Shape, ...] = ((), (3,), (2, 3), (3, 3), (1, 3), (2, 1))
LARGEST = 100.0  # of the numbers in a program, so that it stays well scaled
MOST = 256  # elements of one value
FLAT = 1e-4  # a slope that is smaller, absolutely or beside the value, drowns in rounding
NUDGE = 1e-2  # how far a kink stays away
TRIES = 6  # ops, until one accepts what there is


class Gene(NamedTuple):
    """What one step is made from: any numbers will do."""

    op: int = 0
    case: int = 0
    seed: int = 0
    picks: tuple[int, int, int] = (0, 0, 0)  # for each input: 0 a new one, else an earlier value


class Step(NamedTuple):
    """One call of an op: its inputs by the number of the value, or constant conditions."""

    entry: Entry
    operands: tuple[Any, ...]
    params: dict[str, Any]
    several: bool = False  # the entry returns a list, of which the program takes the last

    def run(self, values: Sequence[Any]) -> Any:
        """Compute the step from the values before it."""
        inputs = [values[x] if isinstance(x, int) else x for x in self.operands]
        result = apply(self.entry, inputs, self.params)
        return result[-1] if self.several else result


Steps = list[Step | None]  # one for each value; None: an input


class Program:
    """A function of arrays or Tensors, with `inputs` on which it is smooth; its repr is its source.

    >>> program = grow([Gene(op=0), Gene(op=2, picks=(1, 1, 0))], ["tanh", "sin", "multiply"])
    >>> program
    def program(x0):
        y0 = tg.tanh(x0)
        return tg.multiply(y0, y0)
    <BLANKLINE>
    program(-1.28)
    >>> program(*program.inputs).round(4)
    np.float64(0.7336)
    """

    __name__ = "program"

    def __init__(self, inputs: Sequence[np.ndarray], steps: Sequence[Step]) -> None:
        self.inputs, self.steps = list(inputs), list(steps)

    def __call__(self, *inputs: Any) -> Any:
        values = list(inputs)
        for step in self.steps:
            values.append(step.run(values))
        return values[-1]

    def __repr__(self) -> str:
        names = [f"x{i}" for i in range(len(self.inputs))]
        lines = [f"def program({', '.join(names)}):"]
        for number, step in enumerate(self.steps):
            names.append(f"y{number}")
            lines.append(f"    y{number} = {_source(step, names)}")
        lines[-1] = lines[-1].replace(f"y{len(self.steps) - 1} =", "return", 1)
        call = ", ".join(_literal(x) for x in self.inputs)
        return "\n".join(lines) + f"\n\nprogram({call})"


# ---------------------------------------------------------------------------------- growing


def random_program(rng: np.random.Generator, max_ops: int = 8, ops: Any = None) -> Program:
    """Grow a program of at most `max_ops` steps from random genes.

    >>> program = random_program(np.random.default_rng(1), 3)
    >>> len(program.steps) <= 3
    True
    """
    numbers = rng.integers(0, 2**31, (int(rng.integers(1, max_ops + 1)), 6)).tolist()
    return grow([Gene(op, case, seed, (a, b, c)) for op, case, seed, a, b, c in numbers], ops)


def grow(genes: Sequence[Gene], ops: Sequence[Any] | None = None) -> Program:
    """Make the program of a list of genes over `ops` (None: every one that has a gradient)."""
    entries = differentiable() if ops is None else [find(op) for op in ops]
    values: list[Any] = []
    steps: Steps = []
    with np.errstate(all="ignore"):
        for gene in genes:
            _add_step(gene, entries, values, steps)
    return _needed(values, steps)


def _add_step(gene: Gene, entries: Sequence[Entry], values: list[Any], steps: Steps) -> None:
    """Append the step that a gene asks for, after the inputs that it needs."""
    call, fresh, picked = _choose(gene, entries, values)
    operands: list[Any] = []
    for p, x in zip(picked, fresh, strict=True):
        if x.dtype != bool and p is None:
            p = len(values)
            values.append(x)
            steps.append(None)
        operands.append(x if p is None else p)
    step = call._replace(operands=tuple(operands))
    steps.append(step)
    values.append(step.run(values))


def _choose(
    gene: Gene, entries: Sequence[Entry], values: Sequence[Any]
) -> tuple[Step, list[np.ndarray], list[int | None]]:
    """Return the first op that accepts what there is; if none does, the first on new inputs."""
    for number in range(TRIES if values and gene.picks[0] % 10 else 1):
        entry = entries[(gene.op + 17 * number) % len(entries)]
        fresh, params, picked = _plan(gene, entry, values)
        several = isinstance(apply(entry, fresh, params), list | tuple)
        call = Step(entry, tuple(range(len(fresh))), params, several)
        chosen = [x if p is None else values[p] for p, x in zip(picked, fresh, strict=True)]
        if any(p is not None for p in picked) and _suits(call, chosen):
            return call, fresh, picked
        if number == 0:
            first = call, fresh
    return *first, [None] * len(first[1])


def _plan(
    gene: Gene, entry: Entry, values: Sequence[Any]
) -> tuple[list[np.ndarray], dict[str, Any], list[int | None]]:
    """Choose a case of an entry: new inputs for it, its parameters, earlier values instead."""
    anchor = _pick(gene.picks[0], range(len(values)))
    shape = SHAPES[gene.case % len(SHAPES)] if anchor is None else np.shape(values[anchor])
    cases = cases_of(entry, shape) or cases_of(entry, (2, 3))
    cases = [case for case in cases if anchor is None or shape in case[0]] or cases
    shapes, params = cases[gene.case % len(cases)]
    fresh = make(entry, shapes, params, np.random.default_rng(gene.seed)).inputs
    fresh = [x if x.dtype == bool else np.asarray(np.round(x, 2)) for x in fresh]
    picked = []
    for i, x in enumerate(fresh):
        fitting = [j for j, value in enumerate(values) if np.shape(value) == x.shape]
        picked.append(None if x.dtype == bool else _pick(gene.picks[i % 3], fitting))
    return fresh, params, picked


def _pick(number: int, fitting: Sequence[int]) -> int | None:
    """Return one of the numbers of earlier values, mostly the latest, or None for a new input."""
    if number % 10 == 0 or not fitting:
        return None
    return fitting[-1] if number % 4 < 3 else fitting[number // 4 % len(fitting)]


def _suits(step: Step, inputs: Sequence[Any]) -> bool:
    """Ask whether a step is defined, moderate and smooth at these inputs."""
    if not all(_inside(step.entry, i, x) for i, x in enumerate(inputs)):
        return False
    rng = np.random.default_rng(3)
    nudges = [0 if np.asarray(x).dtype == bool else rng.uniform(-1, 1, np.shape(x)) for x in inputs]
    moves = list(zip(inputs, nudges, strict=True))
    try:
        before, y, after = (
            np.asarray(step.run([x + t * v if t else x for x, v in moves]))
            for t in (-NUDGE, 0, NUDGE)
        )
    except REFUSALS:
        return False
    size, slope = largest(y), largest(after - before) / 2
    bend = largest(after - 2 * y + before)  # a kink bends as much as it slopes
    visible = FLAT < slope / NUDGE >= FLAT * size
    return bool(y.size <= MOST and size < LARGEST and bend <= slope / 4 and visible)


def largest(array: np.ndarray) -> float:
    """Return the largest absolute value, 0 of none."""
    return float(np.max(np.abs(array), initial=0))


def _inside(entry: Entry, position: int, x: Any) -> bool:
    """Ask whether an input lies where the entry may be tested, anywhere if all reals are."""
    domain = domain_of(entry, position)
    x = np.asarray(x)
    if x.dtype == bool or x.size == 0:
        return True
    away = all(np.min(np.abs(x - kink)) > NUDGE for kink in domain.kinks)
    within = domain[:2] == REALS[:2] or (x.min() >= domain.low and x.max() <= domain.high)
    return bool(away and within)


def _needed(values: Sequence[Any], steps: Sequence[Step | None]) -> Program:
    """Leave out what the last value does not depend on, and number inputs before steps."""
    needed = {len(steps) - 1}
    for number in range(len(steps) - 1, -1, -1):
        step = steps[number]
        if number in needed and step is not None:
            needed.update(x for x in step.operands if isinstance(x, int))
    inputs = [i for i in sorted(needed) if steps[i] is None]
    made = [i for i in sorted(needed) if steps[i] is not None]
    place = {old: new for new, old in enumerate([*inputs, *made])}
    renumbered = []
    for i in made:
        step = steps[i]
        assert step is not None
        operands = tuple(place[x] if isinstance(x, int) else x for x in step.operands)
        renumbered.append(step._replace(operands=operands))
    return Program([values[i] for i in inputs], renumbered)


# ---------------------------------------------------------------------------------- source


def _source(step: Step, names: Sequence[str]) -> str:
    """Write a step as a call in Python."""
    entry = step.entry
    terms = [names[x] if isinstance(x, int) else _literal(x) for x in step.operands]
    if entry.facts.positive_definite:
        terms = [f"({x} + {x}.mT) / 2" for x in terms]
    inputs = ", ".join(terms)
    if getattr(entry, "sequence", False):
        inputs = f"[{inputs}]"
    params = "".join(f", {key}={_literal(value)}" for key, value in step.params.items())
    function = entry.forward if isinstance(entry, Op) else entry.function
    ours = str(function.__module__).startswith("tinygrad_bp.ops.")
    last = "[-1]" if step.several else ""
    return f"{'tg.' if ours else ''}{entry.facts.name}({inputs}{params}){last}"


def _literal(value: Any) -> str:
    """Write a parameter or an array as Python source."""
    if isinstance(value, np.ndarray) and value.size == 0:
        return f"np.zeros({value.shape})"
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return repr(value.item())
    if isinstance(value, np.ndarray):
        return f"np.array({value.tolist()!r})"
    if isinstance(value, tuple):
        inside = ", ".join(_literal(x) for x in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, type) and issubclass(value, np.generic):
        return f"np.{value.__name__}"
    return repr(value)
