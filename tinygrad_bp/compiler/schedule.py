"""Scheduling: which values get memory, and which loop nests compute them.

Elementwise work and views have no memory of their own unless somebody needs it: they are computed
inside the loops that read them. A `Kernel` is one loop nest. Neighbouring elementwise kernels of
one shape become one.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from tinygrad_bp.compiler.expression import Place, access, reads_of
from tinygrad_bp.compiler.primitives import Value, base_of, is_elementwise, is_view
from tinygrad_bp.compiler.program import Program
from tinygrad_bp.facts import Shape

CHEAP = {
    "add", "subtract", "multiply", "negative", "absolute", "cast", "select", "maximum", "minimum",
    "less", "less_equal", "greater", "greater_equal", "equal", "not_equal",
    "logical_and", "logical_or", "logical_not",
}  # fmt: skip
CROSS = 16  # uses of each element that pay for a copy in another order
PRODUCT = 1 << 29  # from so many multiplications on, a product of matrices belongs to BLAS


@dataclass
class Kernel:
    """One loop nest: what kind it is, and the values that it stores."""

    kind: str  # "map", or the primitive that it computes
    values: dict[Value, None]  # in order
    reads: dict[Place, None]  # what it reads in memory, and through which views

    @property
    def shape(self) -> Shape:
        """The shape of what it stores."""
        return self.value.shape

    @property
    def value(self) -> Value:
        """The first value that it stores."""
        return next(iter(self.values))


@dataclass
class Schedule:
    """Kernels in order. `home` names the value in whose memory a stored value lives."""

    program: Program
    kernels: list[Kernel] = field(default_factory=list)
    stored: dict[Value, None] = field(default_factory=dict)
    home: dict[Value, Value] = field(default_factory=dict)
    state: Mapping[int, int] = field(default_factory=dict)

    def place_of(self, value: Value) -> Value:
        """Return the value in whose memory this one lives."""
        return self.home.get(value, value)


def schedule(program: Program, state: Mapping[int, int] | None = None) -> Schedule:
    """Decide on memory and loops. `state` maps outputs to the inputs that they replace."""
    plan = Schedule(program, state=state or {})
    plan.stored = _stored(program)
    for value in plan.stored:
        if value.primitive not in ("input", "constant"):
            _add_kernel(plan, value)
    _update_in_place(plan)
    return plan


# ---------------------------------------------------------------------------------- memory


def _stored(program: Program) -> dict[Value, None]:
    """Choose the values that get memory, in order."""
    forced = dict.fromkeys(program.outputs)
    uses: dict[Value, dict[Value, None]] = {}
    spread: set[Value] = set()
    for value in program.values:
        _force_inputs(value, forced)
        for x in value.inputs:
            if not is_view(value):
                uses.setdefault(base_of(x), {})[value] = None
            elif value.primitive == "broadcast" and value.size > x.size:
                spread.add(base_of(x))
    stored: dict[Value, None] = {}
    for value in program.values:
        if value in forced or _needs_memory(value, uses, spread, stored):
            stored[value] = None
    return stored


def _force_inputs(value: Value, forced: dict[Value, None]) -> None:
    """Demand memory for what cannot be computed inside a loop over the result."""
    if value.primitive == "contract":
        forced.update((base_of(x), None) for x in value.inputs)
        across = _crosswise(value)
        if across is not None:
            forced[across] = None
    elif value.primitive in ("gather", "call"):
        forced.update((x, None) for x in value.inputs)
    elif value.primitive == "reshape" and not _only_units(value):
        forced[value.inputs[0]] = None


def _crosswise(value: Value) -> Value | None:
    """Return the operand of a large product whose rows do not lie as those of the result do.

    Turning it around once, by a copy, costs less than walking across it for every row.
    """
    left, right, to = value.params
    if not to or value.dtype.kind != "f":
        return None
    which = 0 if to[-1] in left else 1
    x, labels = value.inputs[which], (left, right)[which]
    summed = math.prod(n for c, n in zip(labels, x.shape, strict=True) if c not in to)
    if to[-1] in left and to[-1] in right or value.size * summed < CROSS * x.size:
        return None
    path: list[Value] = []
    base = x
    while is_view(base):
        path.insert(0, base)
        (base,) = base.inputs
    lies_along = access(base, tuple(path)).strides[labels.index(to[-1])] == 1
    return None if lies_along or value.shape[-1] == 1 else x


def _only_units(value: Value) -> bool:
    """Tell whether a reshape only adds and removes axes of length 1."""
    return [n for n in value.shape if n != 1] == [n for n in value.inputs[0].shape if n != 1]


def _needs_memory(
    value: Value,
    uses: Mapping[Value, Collection[Value]],
    spread: Collection[Value],
    stored: Collection[Value],
) -> bool:
    """Tell whether to compute a value once, rather than wherever it is read."""
    if value.primitive == "constant":
        return value.size > 1
    if is_view(value):
        return False
    if not is_elementwise(value):
        return True
    if value not in spread and len(uses.get(value, ())) < 2:
        return False
    plain = all(base_of(x) in stored or base_of(x).size == 1 for x in value.inputs)
    return not (value.primitive in CHEAP and plain and value.shape)


# ---------------------------------------------------------------------------------- loops


def _add_kernel(plan: Schedule, value: Value) -> None:
    """Append the loop nest of a value, or let it join the last one."""
    mapped = is_elementwise(value) or is_view(value)
    reads = dict.fromkeys(reads_of(value, plan.stored))
    if mapped and plan.kernels and _joins(plan.kernels[-1], value, reads):
        plan.kernels[-1].values[value] = None
        plan.kernels[-1].reads.update(reads)
        return
    kind = "map" if mapped else value.primitive
    if kind == "contract" and is_product(value):
        kind = "product"
    plan.kernels.append(Kernel(kind, {value: None}, reads))


def _joins(last: Kernel, value: Value, reads: Iterable[Place]) -> bool:
    """Tell whether a value can be computed in the loops of the last kernel."""
    if last.kind != "map" or last.shape != value.shape:
        return False
    return all(not path for x, path in reads if x in last.values)


def is_product(value: Value) -> bool:
    """Tell whether a contraction is a product of matrices, and large."""
    left, right, to = value.params
    kinds = [
        [c for c in left if c not in right],
        [c for c in right if c not in left],
        [c for c in left if c not in to],
    ]
    lengths = dict(zip(left, value.inputs[0].shape, strict=True))
    lengths |= dict(zip(right, value.inputs[1].shape, strict=True))
    sides = [math.prod(lengths[c] for c in labels) for labels in kinds]
    work = math.prod(lengths.values())
    matrices = all(len(labels) <= 1 for labels in kinds) and value.dtype.kind == "f"
    return matrices and min(sides) > 1 and work >= PRODUCT


def _update_in_place(plan: Schedule) -> None:
    """Let the next state be written over the last one, where nobody reads that any more."""
    readers: dict[Value, list[tuple[int, bool]]] = {}  # number of the kernel, whether through views
    written: dict[Value, int] = {}
    for number, kernel in enumerate(plan.kernels):
        written.update((value, number) for value in kernel.values)
        for x, path in kernel.reads:
            readers.setdefault(x, []).append((number, bool(path) or kernel.kind != "map"))
    wanted = Counter(plan.program.outputs)
    for output, given in plan.state.items():
        y, x = plan.program.outputs[output], plan.program.inputs[given]
        if wanted[x] or wanted[y] > 1 or not is_elementwise(y):
            continue
        here = written[y]
        if all(n < here or (n == here and not moved) for n, moved in readers.get(x, [])):
            plan.home[y] = x
