"""A test of the tests: every bug of the catalogue, in every rule and in the engine, is caught."""

import numpy as np
from numerics import check_gradient
from samples import PRIMITIVE, each, every_case

from tinygrad_bp.check import mutants
from tinygrad_bp.check.engine_faults import Chain, _everywhere
from tinygrad_bp.check.engine_trial import engine_trial
from tinygrad_bp.check.planting import planted

# Survivors, all of which give the very same gradients, and why there is nothing to catch.
ZERO = ("sign", "heaviside")  # their derivative is 0, and so is any multiple of it
EQUIVALENT = {
    ("add", "exchanges the shares of its inputs"): "both shares are the cotangent",
    ("relu", "twice on the lower side"): "there the derivative is 0",
    ("cholesky", "transposed"): "the gradient is symmetric, as the matrix is",
    ("power", "sum 1 of the rule without its second term"): "it matters for 0⁰ alone",
    ("power", "sum 0 of the rule without its second term"): "it matters for ln 0 alone",
}  # (what powers do at 0 is stated, number by number, in test_special_values.py)


@each(PRIMITIVE)
def test_every_bug_that_is_planted_in_a_rule_is_caught(entry):
    alive = mutants.survivors(entry, explained=True)
    assert [m for m in alive if not mutants.is_equivalent(m)] == []
    explained = {name for op, name in EQUIVALENT if op == entry.name}
    if entry.name not in ZERO:
        assert {mutant.name for mutant in alive} == explained


def test_every_bug_that_is_planted_in_the_engine_is_caught():
    assert mutants.survivors(mutants.engine()) == []


def test_the_engine_in_which_bugs_are_planted_is_the_engine_without_them():
    with planted(_everywhere(Chain)()):
        engine_trial()


# ---------------------------------------------------------------------------------- the catalogue


def test_all_classes_of_the_catalogue_are_planted_in_several_places():
    planted_in = {number: set() for number in range(1, 25)}
    for mutant in (*mutants.engine(), *(m for entry in PRIMITIVE for m in mutants.of(entry))):
        planted_in[mutant.number].add(mutant.where)
    few = {number: places for number, places in planted_in.items() if len(places) < 3}
    assert few.keys() == {19}  # the order of nodes is the engine's affair alone
    assert sum(mutant.number == 19 for mutant in mutants.engine()) >= 3


def test_hundreds_of_bugs_are_planted():
    assert sum(len(mutants.of(entry)) for entry in PRIMITIVE) > 1500


# ---------------------------------------------------------------------------------- differences

GROSS = (1, 2, 4, 14)  # the sign, a factor, a missing term, a thousandth too much


@each([entry for entry in PRIMITIVE if entry.name not in ZERO])
def test_plain_central_differences_catch_gross_bugs_too(entry):
    gross = [m for m in mutants.of(entry) if m.number in GROSS]
    alive = mutants.survivors(gross, lambda: by_central_differences(entry))
    assert alive == []


def by_central_differences(entry):
    rng = np.random.default_rng(5)
    for sample in every_case(entry):
        check_gradient(sample, sample.varied, rng)


@each(PRIMITIVE)
def test_without_a_planted_bug_nothing_is_caught(entry):
    mutants.trial(entry)
