"""The catalogue of planted bugs: 24 ways in which people have got gradients wrong.

Each entry makes a faulty `Op.pull` from the right one: what an op passes back to its inputs is
changed, or what it is told. Both the rules of this library and those of users go through it.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_bp import cotangents
from tinygrad_bp.check.planting import Mutant, Patch, planted
from tinygrad_bp.check.samples import domain_of
from tinygrad_bp.check.terms import count_terms, pull_all, twin, without_term
from tinygrad_bp.facts import OPS, Shape
from tinygrad_bp.op import Elementwise, Op
from tinygrad_bp.selected import Selected
from tinygrad_bp.tensor import Tensor

CLASSES = {
    1: "sign", 2: "a factor 2", 3: "a mean instead of a sum", 4: "a term of a sum is missing",
    5: "= instead of += where a value is used twice", 6: "a broadcast is not summed back",
    7: "a broadcast is summed over a wrong axis", 8: "transposed", 9: "elements permuted",
    10: "the cotangent is ignored", 11: "right only for a cotangent of ones",
    12: "wrong on one side only", 13: "one element is wrong", 14: "0.1 % too much",
    15: "0.001 % too much", 16: "wrong only where it is small", 17: "writes into what was recorded",
    18: "writes into a gradient that others read", 19: "nodes are visited in a wrong order",
    20: "something is left over from the last pass", 21: "computed in float32",
    22: "outside of the subgradients at a kink", 23: "zero times infinity behind a mask",
    24: "not the same in every run",
}  # fmt: skip

Pull = Callable[..., Sequence[Any]]
Change = Callable[..., Any]  # of (share, input, op, position): the wrong share


def of_op(op: Op) -> Iterator[Mutant]:
    """Yield every mutant of an op."""
    for slot in _slots(op):
        for number, name, change in SHARES:
            yield _mutant(op, number, name, _on_share(change, op, slot), slot)
        for term, side in itertools.product(range(count_terms(op, slot)), (0, 1)):
            rule = without_term(op.rules[slot], term, side)
            name = f"sum {term} of the rule without its {('first', 'second')[side]} term"
            yield _mutant(op, 4, name, _with_rule(op, slot, rule), slot)
    applies = {6: _sums_back(op), 7: _sums_back(op), 23: isinstance(op, Elementwise) or op.routes}
    for number, name, spoil in PULLS:
        if applies.get(number, True):
            yield _mutant(op, number, name, _on_pull(spoil))
    if op.variadic or op.arity - len(op.skipped) > 1:
        yield _mutant(op, 5, "overwrites the share of an input used twice", _on_pull(_overwrite))
        yield _mutant(op, 9, "exchanges the shares of its inputs", _on_pull(_exchange))


def _slots(op: Op) -> list[int]:
    """List the positions of inputs that have a rule; the ends, if there can be any number."""
    if op.variadic:
        return [0]
    return [i for i in range(len(op.rules)) if i not in op.skipped]


def _mutant(
    op: Op, number: int, name: str, make: Callable[[Op], Sequence[Patch]], slot: int | None = None
) -> Mutant:
    where = op.name if slot is None else f"{op.name}, input {slot}"
    return Mutant(number, name, CLASSES[number], where, op, lambda: make(op))


# ---------------------------------------------------------------------------------- shares


def _on_share(change: Change, op: Op, slot: int) -> Callable[[Op], Sequence[Patch]]:
    """Change what one input gets."""

    def make(op: Op) -> Sequence[Patch]:
        right, wrong = op.pull, change(op, slot)

        def pull(node: Any, cotangent: Any, y: Any, inputs: Sequence[Any]) -> Sequence[Any]:
            shares = list(right(node, cotangent, y, inputs))
            if slot < len(shares):
                shares[slot] = on_values(wrong, shares[slot], inputs[slot], y)
            return shares

        return [(op, "pull", pull)]

    return make


def on_values(change: Change, share: Any, x: Any, y: Any) -> Any:
    """Apply a change to a share, or to the values of one that arrives only in places."""
    if share is None:
        return None
    if type(share) is Selected:
        return Selected(change(share.values, x, y), share.taken)
    return change(share, x, y)


def _plainly(change: Callable[[Any], Any]) -> Change:
    """Make a change of one that needs to know the share alone."""
    return lambda op, slot: lambda share, x, y: change(share)


def _size(x: Any) -> int:
    return int(np.size(x.value if isinstance(x, Tensor) else x))


def _value(x: Any) -> np.ndarray:
    return np.asarray(x.value if isinstance(x, Tensor) else x)


def _doubled_where(share: Any, mask: np.ndarray) -> Any:
    """Double a share where a mask of its shape holds."""
    return share * (1 + 1 * np.broadcast_to(mask, np.shape(share)))


def _averaged(op: Op, slot: int) -> Change:
    return lambda share, x, y: share / max(_size(x), _size(y))


def _transposed(share: Any) -> Any:
    shape = np.shape(share)
    return share.mT if len(shape) > 1 and shape[-1] == shape[-2] else share


def _permuted(share: Any) -> Any:
    return OPS["roll"](share, 1) if np.ndim(share) else share


def _one_sided(op: Op, slot: int) -> Change:
    domain = domain_of(op, slot)
    inside = domain.low < 0 < domain.high
    threshold = 0.0 if inside else (domain.low + domain.high) / 2
    return lambda share, x, y: _doubled_where(share, _value(x) < threshold)


def _largest_element(share: Any) -> Any:
    mask = np.zeros(np.shape(share), bool)
    if mask.size:
        mask.reshape(-1)[np.argmax(np.abs(_value(share)))] = True
    return _doubled_where(share, mask)


def _wrong_if_small(share: Any) -> Any:
    return -share if np.max(np.abs(_value(share)), initial=0) < 1e-6 else share


def _stale(op: Op, slot: int) -> Change:
    last: list[Any] = []

    def change(share: Any, x: Any, y: Any) -> Any:
        before = last.pop() if last else None
        last.append(share)
        fits = before is not None and np.shape(before) == np.shape(share)
        return share + before if fits else share

    return change


def _single_precision(share: Any) -> Any:
    return OPS["astype"](OPS["astype"](share, np.float32), share.dtype)


def _doubled_at_kinks(op: Op, slot: int) -> Change:
    """Double at every declared kink, and where two elements of an input, or y and it, are equal."""
    kinks = domain_of(op, slot).kinks

    def change(share: Any, x: Any, y: Any) -> Any:
        values = _value(x)
        found, counts = np.unique(values, return_counts=True)
        return _doubled_where(share, np.isin(values, [*found[counts > 1], *kinks]))

    return change


def _random(op: Op, slot: int) -> Change:
    rng = np.random.default_rng()
    return lambda share, x, y: share * (1 + 1e-9 * rng.standard_normal(np.shape(share)))


SHARES: list[tuple[int, str, Change]] = [
    (1, "sign", _plainly(lambda share: -share)),
    (2, "twice", _plainly(lambda share: 2 * share)),
    (3, "divided by the number of elements", _averaged),
    (4, "dropped", _plainly(lambda share: 0 * share)),
    (4, "one more", _plainly(lambda share: share + 1)),
    (8, "transposed", _plainly(_transposed)),
    (9, "moved by one place", _plainly(_permuted)),
    (12, "twice on the lower side", _one_sided),
    (13, "one element twice", _plainly(_largest_element)),
    (14, "0.1 % more", _plainly(lambda share: 1.001 * share)),
    (15, "0.001 % more", _plainly(lambda share: 1.00001 * share)),
    (16, "sign wrong below 1e-6", _plainly(_wrong_if_small)),
    (20, "the last pass is added", _stale),
    (21, "float32", _plainly(_single_precision)),
    (22, "twice at kinks and ties", _doubled_at_kinks),
    (24, "noise of 1e-9", _random),
]


# ---------------------------------------------------------------------------------- pulls


def _on_pull(spoil: Callable[..., Any]) -> Callable[[Op], Sequence[Patch]]:
    """Change how an op is called, or what it does besides."""

    def make(op: Op) -> Sequence[Patch]:
        right = op.pull

        def pull(node: Any, cotangent: Any, y: Any, inputs: Sequence[Any]) -> Sequence[Any]:
            return list(spoil(right, node, cotangent, y, inputs))

        return [(op, "pull", pull)]

    return make


def _told(change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Tell the op another cotangent."""

    def spoil(pull: Pull, node: Any, g: Any, y: Any, inputs: Any) -> Any:
        told = Selected(change(g.values), g.taken) if type(g) is Selected else change(g)
        return pull(node, told, y, inputs)

    return spoil


def _ones(g: Any) -> Any:
    return np.ones(np.shape(g), g.dtype)[()]


def _mean(g: Any) -> Any:
    return g * 0 + g.sum() / max(_size(g), 1)


def _unselected(pull: Pull, node: Any, g: Any, y: Any, inputs: Any) -> Any:
    return pull(node, g.values if type(g) is Selected else g, y, inputs)


def _summing(sum_to: Callable[[Any, Shape], Any]) -> Callable[..., Any]:
    """Sum broadcast axes back in another way, for this op alone."""

    def spoil(pull: Pull, *args: Any) -> Any:
        with planted([(cotangents, "sum_to", sum_to)]):
            return list(pull(*args))

    return spoil


def unsummed(array: Any, shape: Shape) -> Any:
    """Leave the shape as it is."""
    return array


def first_only(array: Any, shape: Shape) -> Any:
    """Take the first of the elements that are to be summed."""
    extra = array.ndim - len(shape)
    index = (0,) * extra + tuple(slice(0, n) for n in shape)
    return OPS["reshape"](array[index], shape)


def wrong_axis(array: Any, shape: Shape) -> Any:
    """Sum over the axes from the other end, where lengths allow it."""
    turned = OPS["transpose"](array)
    fits = turned.shape == array.shape
    return right_sum_to(turned if fits else array, shape)


right_sum_to = cotangents.sum_to


def _writing(target: Callable[..., Any]) -> Callable[..., Any]:
    """Write into an array after use: what `target` picks of (cotangent, y, inputs)."""

    def spoil(pull: Pull, node: Any, g: Any, y: Any, inputs: Any) -> Any:
        shares = [
            np.array(s)[()] if isinstance(s, np.ndarray) else s for s in pull(node, g, y, inputs)
        ]
        for array in target(g, y, inputs):
            if isinstance(array, np.ndarray) and array.dtype.kind == "f":
                np.multiply(array, 1.5, out=array)
        return shares

    return spoil


def _overwrite(pull: Pull, node: Any, g: Any, y: Any, inputs: Any) -> Any:
    shares = list(pull(node, g, y, inputs))
    seen: dict[Any, int] = {}
    for i, x in enumerate(node.inputs):
        if x in seen:
            shares[seen[x]] = on_values(lambda s, x, y: 0 * s, shares[seen[x]], x, y)
        seen[x] = i
    return shares


def _exchange(pull: Pull, node: Any, g: Any, y: Any, inputs: Any) -> Any:
    shares = list(pull(node, g, y, inputs))
    first, last = (0 if shares[0] is not None else 1), len(shares) - 1
    if shares[first] is not None and np.shape(shares[first]) == np.shape(shares[last]):
        shares[first], shares[last] = shares[last], shares[first]
    return shares


PULLS: list[tuple[int, str, Callable[..., Any]]] = [
    (6, "shape of a broadcast input not restored", _summing(unsummed)),
    (6, "first slice instead of the sum", _summing(first_only)),
    (7, "sum over the wrong axes", _summing(wrong_axis)),
    (10, "ones for the cotangent", _told(_ones)),
    (11, "square of the cotangent", _told(lambda g: g * g)),
    (11, "mean of the cotangent", _told(_mean)),
    (17, "writes into its inputs", _writing(lambda g, y, inputs: inputs)),
    (17, "writes into its result", _writing(lambda g, y, inputs: [y])),
    (18, "writes into the cotangent", _writing(lambda g, y, inputs: [g])),
    (23, "forgets which elements a mask took", _unselected),
]


# ---------------------------------------------------------------------------------- rules


def _with_rule(op: Op, slot: int, rule: Callable[..., Any]) -> Callable[[Op], Sequence[Patch]]:
    """Use another rule for one input."""
    return lambda op: [(op, "pull", twin(op, slot, rule).pull)]


def _sums_back(op: Op) -> bool:
    """Ask whether the engine sums what a declared case broadcasts."""
    calls = []

    def counting(array: Any, shape: Shape) -> Any:
        calls.append(shape)
        return right_sum_to(array, shape)

    with planted([(cotangents, "sum_to", counting)]):
        pull_all(op, op)
    return bool(calls)
