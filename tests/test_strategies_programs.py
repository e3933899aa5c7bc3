"""Random programs are sound, readable, and shrink to the op that is at fault."""

from random import Random

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from numerics import check_gradient
from samples import DIFFERENTIABLE

import tinygrad_bp as tg
from tinygrad_bp.check.programs import Gene, grow, random_program
from tinygrad_bp.check.strategies import programs

more = settings(max_examples=60)
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
PROGRAMS = [random_program(np.random.default_rng(seed)) for seed in range(300)]


def used(program):
    return [x for step in program.steps for x in step.operands if isinstance(x, int)]


# ---------------------------------------------------------------------------------- soundness


@more
@given(programs(), seeds)
def test_the_gradient_of_a_program_is_that_of_central_differences(program, rng):
    check_gradient(program, program.inputs, rng)


@more
@given(programs())
def test_tensors_and_arrays_give_the_same_bits(program):
    recorded = program(*map(tg.Tensor, program.inputs))
    assert isinstance(recorded, tg.Tensor)
    np.testing.assert_array_equal(recorded.data, program(*program.inputs))


@more
@given(programs())
def test_the_repr_is_a_python_program_with_the_same_value(program):
    names = {"np": np, "tg": tg}
    definition, call = repr(program).rsplit("\n\n", 1)
    exec(definition, names)
    np.testing.assert_array_equal(eval(call, names), program(*program.inputs))


@more
@given(programs(max_ops=3))
def test_a_program_has_at_most_so_many_ops_all_of_them_needed(program):
    assert 1 <= len(program.steps) <= 3
    values = len(program.inputs) + len(program.steps)
    assert set(used(program)) == set(range(values - 1))


@more
@given(programs(ops=["tanh", tg.add]))
def test_programs_can_be_limited_to_some_ops(program):
    assert {step.entry.facts.name for step in program.steps} <= {"tanh", "add"}


# ---------------------------------------------------------------------------------- variety


def test_every_op_with_a_gradient_occurs_in_programs():
    found = {step.entry.facts.name for program in PROGRAMS for step in program.steps}
    assert len(found) > 0.9 * len(DIFFERENTIABLE)


def test_programs_are_graphs_with_reuse_and_broadcasting():
    reusing = [p for p in PROGRAMS if len(used(p)) > len(set(used(p)))]
    deep = [p for p in PROGRAMS if len(p.steps) >= 4]
    assert len(reusing) > 20
    assert len(deep) > 50
    assert any(broadcasts(step, p) for p in PROGRAMS for step in p.steps)


def broadcasts(step, program):
    """Ask whether two inputs of an elementwise op are inputs of the program of unlike shape."""
    inputs = [x for x in step.operands if isinstance(x, int) and x < len(program.inputs)]
    shapes = {program.inputs[x].shape for x in inputs}
    return step.entry.facts.name in ("add", "multiply", "divide") and len(shapes) > 1


def test_any_genes_make_a_program():
    genes = [Gene(op, op * 7, op * 5, (op, op + 1, op + 2)) for op in range(200)]
    assert 1 <= len(grow(genes).steps) <= 200


# ---------------------------------------------------------------------------------- shrinking


@pytest.mark.parametrize("name", ["tanh", "multiply", "matmul", "softmax", "getitem"])
def test_with_a_planted_bug_the_smallest_failing_program_has_one_or_two_ops(name, monkeypatch):
    op = getattr(tg, name)
    last = op.rules[-1]

    def twice(*args, **params):
        return 2 * last(*args, **params)

    monkeypatch.setattr(op, "rules", [*op.rules[:-1], twice])
    search = settings(
        max_examples=3000, derandomize=False, database=None, report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
    )  # fmt: skip
    smallest = find(programs(), is_wrong, settings=search, random=Random(1))
    assert len(smallest.steps) <= 2
    assert len(repr(smallest).splitlines()) <= 5


def is_wrong(program):
    try:
        check_gradient(program, program.inputs, np.random.default_rng(1))
    except AssertionError:
        return True
    return False
