"""A wrong gradient of a recorded graph is traced to the node, the line, the element, the cause."""

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_bp as tg
from tinygrad_bp import cotangents, op
from tinygrad_bp.check import gradcheck, gradcheck_graph
from tinygrad_bp.facts import OPS

RNG = np.random.default_rng(3)
X, W, B, V = (RNG.uniform(-1, 1, s) for s in ((3, 4), (4, 5), (5,), (5, 2)))
POINT = (X, W, B, V)


def network(x, w, b, v):
    hidden = tg.tanh(x @ w + b)
    return 0.5 * ((tg.sigmoid(hidden @ v) - 0.3) ** 2).sum()


@pytest.fixture
def plant(monkeypatch):
    """A function that changes what a rule of an op returns."""

    def plant(name, slot, change):
        rules = list(OPS[name].rules)
        rule = rules[slot]
        rules[slot] = lambda *args, **params: change(rule(*args, **params))
        monkeypatch.setattr(OPS[name], "rules", rules)

    return plant


def failure(f=network, point=POINT, **options):
    report = gradcheck(f, point, raise_exception=False, **options)
    assert report.verdict == "FAIL"
    return report


def spoil(index):
    def change(share):
        share = np.array(share)
        share[index] *= 1.5
        return share

    return change


# ---------------------------------------------------------------------------------- the node

BUGS = {
    "twice": (lambda share: 2 * share, "a factor of 2: accumulated twice?"),
    "sign": (lambda share: -1 * share, "the sign is reversed"),
    "dropped": (lambda share: 0 * share, "the gradient is dropped: zero"),
    "factor": (lambda share: 1.25 * share, "a constant factor of 1.25"),
}
RULES = [("tanh", 0), ("sigmoid", 0), ("matmul", 0), ("matmul", 1), ("power", 0), ("add", 1)]


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize(("name", "slot"), RULES)
def test_the_op_the_argument_and_the_look_of_a_wrong_rule_are_named(name, slot, bug, plant):
    change, looks = BUGS[bug]
    plant(name, slot, change)
    report = failure()
    assert (report.culprit.op, report.culprit.argument) == (name, slot)
    assert looks in report.diagnosis
    assert report.culprit.line.startswith("test_gradcheck_blame.py:")


@given(row=st.integers(0, 3), column=st.integers(0, 4))
def test_the_element_at_fault_is_named_exactly(row, column):
    rules = list(tg.matmul.rules)
    try:
        tg.matmul.rules = [rules[0], lambda *args: spoil((row, column))(rules[1](*args))]
        report = failure(lambda x, w: tg.tanh(x @ w), (X, W))
    finally:
        tg.matmul.rules = rules
    assert (report.worst.argument, report.worst.label, report.worst.index) == (
        1,
        "w",
        (row, column),
    )
    assert report.culprit.mismatch.index == (row, column)
    assert "one element only" in report.diagnosis


def test_the_text_of_a_failure_tells_everything(plant):
    plant("tanh", 0, lambda share: 2 * share)
    with pytest.raises(tg.GradientError) as caught:
        gradcheck(network, POINT)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("FAIL  network  (seed 0, ")
    assert lines[1].strip() == "the gradient differs from the measured slope"
    assert lines[2].startswith("  argument 0 'x' index (")
    assert lines[3].startswith("  at fault: tanh#6 (test_gradcheck_blame.py:")
    assert lines[3].endswith("), derivative of input 0; 8 other nodes pass")
    assert lines[4].startswith("  there: argument 0 'input 0' index (")
    assert lines[5] == ("  looks like: a factor of 2: accumulated twice?, on every element (15/15)")


def test_a_wrong_second_derivative_names_its_op_as_well(monkeypatch):
    wrong = [lambda y, x: 1 - y * getattr(y, "detach", lambda: y)()]
    monkeypatch.setattr(tg.tanh, "rules", wrong)
    assert failure(lambda x: tg.sin(tg.tanh(x)), X, order=2).culprit.op == "tanh"


def test_a_missing_sum_over_a_broadcast_axis_is_told(monkeypatch):
    for module in (cotangents, op):
        monkeypatch.setattr(module, "match", lambda share, like: share)
    report = failure(lambda x, b: x * b, (X, np.array([1.0, 2, 3, 4])))
    assert "has shape (3, 4), not (4,)" in report.reason
    assert report.diagnosis == "the sum over a broadcast axis is missing"
    assert report.culprit.op == "multiply"


def test_a_rule_that_ignores_the_cotangent_is_told(monkeypatch):
    rule = tg.exp.rules[0]
    pull = type(tg.exp).pull

    def ignoring(self, node, g, y, inputs):
        return pull(self, node, np.ones_like(g) if self is tg.exp else g, y, inputs)

    monkeypatch.setattr(type(tg.exp), "pull", ignoring)
    report = failure(lambda x: tg.exp(x) * x, X)
    assert report.culprit.op == "exp"
    assert "the cotangent is ignored" in report.diagnosis
    assert tg.exp.rules[0] is rule


# ---------------------------------------------------------------------------------- the assembly


def test_if_all_rules_are_right_the_node_where_shares_are_lost_is_named(monkeypatch):
    from tinygrad_bp import flow, graph, tensor

    right = graph.pull_back

    def losing(root, cotangent, **options):
        for node, g in right(root, cotangent, **options):
            consumers = sum(x is node for n in graph.walk(root) for x in n.inputs)
            yield node, g * 0.5 if node.name == "hidden" and consumers > 1 else g

    monkeypatch.setattr(tensor, "pull_back", losing)
    monkeypatch.setattr(flow, "pull_back", losing)
    w = tg.Tensor(X, name="hidden")
    report = gradcheck_graph((tg.sin(w) * w).sum(), raise_exception=False)
    assert report.verdict == "FAIL"
    assert report.culprit.node == "hidden"
    assert report.culprit.argument is None
    assert "added up wrongly" in report.diagnosis
    assert {f.verdict for f in report.nodes} == {"PASS"}


# ---------------------------------------------------------------------------------- graphs


def test_a_recorded_graph_is_checked_node_by_node():
    report = gradcheck_graph(
        network(*(tg.Tensor(p, name=n) for p, n in zip(POINT, "xwbv", strict=True)))
    )
    assert report
    assert [f.what.split("#")[0] for f in report.nodes] == [
        "multiply", "sum", "power", "subtract", "sigmoid", "matmul", "tanh", "add", "matmul",
    ]  # fmt: skip
    assert "tanh#6" in report.table()


def test_a_recorded_graph_with_a_wrong_rule_names_its_node(plant):
    loss = network(*(tg.Tensor(p) for p in POINT))
    plant("sigmoid", 0, lambda share: share + 1)
    report = gradcheck_graph(loss, raise_exception=False)
    assert report.verdict == "FAIL"
    assert report.culprit.node == "sigmoid#9"
    with pytest.raises(tg.GradientError, match="at fault: sigmoid#9"):
        gradcheck_graph(loss)


def test_a_rebound_leaf_does_not_change_what_is_checked():
    w = tg.Tensor(X, name="w")
    loss = tg.sin(w).sum()
    w.data = 3 * X
    assert gradcheck_graph(loss)


def test_large_graphs_are_checked_by_kinds_of_nodes():
    x = tg.Tensor([0.3])
    y = x
    for _ in range(1_000):
        y = tg.sin(y) + x
    report = gradcheck_graph(y)
    assert report
    assert [f.what for f in report.nodes] == ["add#2000", "sin#1999"]


def test_checking_leaves_no_garbage():
    gc.collect()
    gradcheck(network, POINT)
    gradcheck_graph(network(*(tg.Tensor(p) for p in POINT)))
    assert gc.collect() == 0


# ---------------------------------------------------------------------------------- diagnosis

LOOKS = {
    "transposed": (lambda g: g.T.copy(), "transposed"),
    "reversed": (lambda g: np.flip(g).copy(), "the right numbers in reverse order"),
    "rolled": (lambda g: np.roll(g, 1), "the right numbers at wrong places"),
    "mean": (lambda g: g / 9, "a factor of 1/9: a mean in place of a sum?"),
    "summed": (lambda g: np.tile(g.sum(axis=0), (3, 1)), "summed over axis 0"),
    "shifted": (lambda g: g + 0.25, "a constant is added: 0.25"),
    "negative": (lambda g: np.where(SQUARE < 0, -g, g), "only where the input is negative"),
    "nan": (lambda g: np.where(SQUARE < 0, np.nan, g), "elements are NaN or infinite"),
}
SQUARE = np.random.default_rng(1).uniform(-2, 2, (3, 3))


@pytest.mark.parametrize("name", LOOKS)
def test_common_mistakes_are_recognised(name):
    spoil, text = LOOKS[name]
    report = failure(lambda x: np.sum(np.exp(x)), SQUARE, grad=lambda x: spoil(np.exp(x)))
    assert text in report.diagnosis


NEARLY = {
    "every element": (np.full((3, 3), 3e-7), "a constant factor of 1 + 3e-07, on every element"),
    "a little less": (np.full((3, 3), -4e-6), "a constant factor of 1 - 4e-06, on every element"),
    "one element": (3e-7 * (np.arange(9).reshape(3, 3) == 4),
                    "one element only, by a factor of 1 + 3e-07"),
    "a random part": (1e-6 * SQUARE, ""),
}  # fmt: skip


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("name", NEARLY)
def test_factors_next_to_1_are_told_by_their_distance_from_it(name, symmetric):
    excess, text = NEARLY[name]
    at = SQUARE + SQUARE.T if symmetric else SQUARE
    report = failure(lambda x: np.sum(np.exp(x)), at, grad=lambda x: np.exp(x) * (1 + excess))
    assert report.diagnosis.startswith(text)
    assert text or not report.diagnosis


def test_numbers_that_differ_are_written_with_the_digits_that_show_it():
    report = failure(np.sum, np.ones(3), grad=lambda x: np.full(3, 1 + 3e-7))
    assert "analytic 1.000000300, numeric 1.000000000 ±" in str(report)


def test_a_number_that_ought_to_be_zero_has_no_factor():
    report = failure(np.sum, np.zeros(3), grad=lambda x: np.array([1.0, 1e300, 1.0]))
    assert "factor" not in report.diagnosis
    report = failure(lambda x: np.sum(x[1:]), np.ones(3), grad=lambda x: np.ones(3))
    assert report.diagnosis == "one element only (1/3)"


def test_what_looks_like_nothing_known_is_not_said_twice(plant):
    plant("tanh", 0, lambda share: share + np.sin(7 * share))
    report = failure(lambda x: tg.tanh(x).sum(), np.array([0.5, -1.0, 2.0]))
    assert report.culprit.op == "tanh"
    assert "looks like" not in str(report)
    assert str(report).count("the gradient differs from the measured slope") == 1
