"""A test of the tests: every bug that is planted in a derivative rule is caught by the numerics."""

import numpy as np
import pytest
from numerics import check_gradient
from samples import PRIMITIVE, every_case, make

from tinygrad_bp import cotangents, op
from tinygrad_bp.op import Elementwise

ZERO = ("sign", "heaviside")  # their derivative is 0, which a factor leaves alone
MASKS = ("where",)  # its rules choose elements, so they have no factor
COMMUTATIVE = ("add",)  # both rules are the same
UNLIKE = ("solve",)  # exchanged, its rules do not even run: one input need not be a matrix
SYMMETRIC = ("cholesky",)  # its gradient is its own transpose
SQUARE = {  # cases with square matrices, for ops that declare none
    "dot": [(((3, 3), (3, 3)), {})],
    "matmul": [(((3, 3), (3, 3)), {})],
    "contract": [(((3, 3), (3, 3)), {"subscripts": "ij,jk->ik"})],
    "scatter": [(((3, 3),), {"index": np.array([2, 0, 2]), "shape": (4, 3)})],
}


def on_shares(change):
    """Plant a bug in what a rule returns: one share or, for any number of inputs, several."""

    def plant(rule):
        def planted(*args, **params):
            found = rule(*args, **params)
            return [change(s) for s in found] if isinstance(found, list) else change(found)

        return planted

    return plant


def transposed(share):
    square = np.ndim(share) >= 2 and share.shape[-1] == share.shape[-2]
    return share.mT if square else share


def ignoring(rule):
    """Take 1 for every element of the cotangent."""
    return lambda g, *args, **params: rule(np.ones_like(g), *args, **params)


FACTORS = {
    "sign": on_shares(lambda share: -1 * share),
    "twice": on_shares(lambda share: 2 * share),
    "a thousandth more": on_shares(lambda share: 1.001 * share),
    "a millionth more": on_shares(lambda share: (1 + 1e-6) * share),
    "dropped": on_shares(lambda share: 0 * share),
}
PLUS_ONE = on_shares(lambda share: share + 1.0)
TRANSPOSED = on_shares(transposed)
CHOICES = {
    "negated": on_shares(np.logical_not),
    "always": on_shares(np.ones_like),
    "never": on_shares(np.zeros_like),
}


def of_every_rule():
    """Yield (op, position of the rule, name of the bug, bug) for every op that is no product."""
    for each in PRIMITIVE:
        for position in range(len(each.rules)):
            if position not in each.skipped:
                yield from ((each, position, *bug) for bug in bugs_for(each))


def bugs_for(each):
    if each.name in MASKS:
        return CHOICES.items()
    bugs = {"one more": PLUS_ONE} | ({} if each.name in ZERO else FACTORS)
    if not isinstance(each, Elementwise):
        bugs["cotangent ignored"] = ignoring
    return bugs.items()


def is_caught(each, *cases):
    """Ask whether the numeric check rejects the op, as it is now, in a declared case or these."""
    rng = np.random.default_rng(5)
    for sample in (*every_case(each), *(make(each, *case, rng) for case in cases)):
        try:
            check_gradient(sample, sample.varied, rng)
        except AssertionError:
            return True
    return False


BUGS = list(of_every_rule())
BINARY = [each for each in PRIMITIVE if each.arity - len(each.skipped) == 2]


@pytest.mark.parametrize(
    ("each", "position", "plant"),
    [(each, position, plant) for each, position, _, plant in BUGS],
    ids=[f"{each.name}-{position}-{name}" for each, position, name, _ in BUGS],
)
def test_a_wrong_rule_is_caught(each, position, plant, monkeypatch):
    rules = list(each.rules)
    rules[position] = plant(rules[position])
    monkeypatch.setattr(each, "rules", rules)
    assert is_caught(each)


@pytest.mark.parametrize(
    "each", [b for b in BINARY if b.name not in COMMUTATIVE + UNLIKE], ids=lambda each: each.name
)
def test_rules_of_exchanged_inputs_are_caught(each, monkeypatch):
    if isinstance(each, Elementwise):
        monkeypatch.setattr(each, "rules", [*each.rules[:-2], each.rules[-1], each.rules[-2]])
    else:
        rules = [lambda g, y, a, b, rule=rule: rule(g, y, b, a) for rule in each.rules]
        monkeypatch.setattr(each, "rules", rules)
    assert is_caught(each)


@pytest.mark.parametrize(
    "each",
    [e for e in PRIMITIVE if not isinstance(e, Elementwise) and e.name not in SYMMETRIC],
    ids=lambda each: each.name,
)
def test_a_transposed_gradient_is_caught(each, monkeypatch):
    monkeypatch.setattr(each, "rules", [TRANSPOSED(rule) for rule in each.rules])
    assert is_caught(each, *SQUARE.get(each.name, ()))


@pytest.mark.parametrize(
    "each", [b for b in BINARY if isinstance(b, Elementwise)], ids=lambda each: each.name
)
def test_a_broadcast_that_is_not_summed_back_is_caught(each, monkeypatch):
    for module in (cotangents, op):
        monkeypatch.setattr(module, "match", lambda share, like: share)
    monkeypatch.setattr(cotangents, "sum_to", lambda array, shape: array)
    assert is_caught(each)


@pytest.mark.parametrize("each", PRIMITIVE, ids=lambda each: each.name)
def test_without_a_planted_bug_nothing_is_caught(each):
    assert not is_caught(each, *SQUARE.get(each.name, ()))
