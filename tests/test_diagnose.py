"""`diagnose` names the node to blame for forty planted faults, and is silent where all is well."""

import subprocess
import sys
from pathlib import Path

import faults
import numpy as np
import pytest
from faults import CONNECTION, FAULTS, HEALTHY, NON_FINITE, RULE, STRENGTH, weights

import tinygrad_bp as tg
from tinygrad_bp.diagnosing.badges import badges
from tinygrad_bp.facts import OPS
from tinygrad_bp.flow import Flow
from tinygrad_bp.graph import walk
from tinygrad_bp.origin import listening, note_line

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def first_line(found):
    return str(found).splitlines()[0]


def is_named(fault):
    """Ask whether the first line of the diagnosis of a fault names a node that is to blame."""
    with fault.plant():
        root, guilty, parameters = fault.build()
        found = tg.diagnose(root, parameters=parameters)
    labels = [found[0].label for node in guilty if found and found[0].node is node]
    return any(first_line(found).startswith(f"{label}: ") for label in labels)


# ---------------------------------------------------------------------------------- the bench


def test_the_bench_has_ten_faults_of_each_family_and_forty_healthy_programs():
    families = [fault.family for fault in FAULTS]
    assert {f: families.count(f) for f in families} == dict.fromkeys(
        (NON_FINITE, STRENGTH, CONNECTION, RULE), 10
    )
    assert len({name for name, _ in HEALTHY}) == len(HEALTHY) >= 40


def test_the_first_line_names_the_guilty_node_in_forty_of_forty():
    missed = [fault for fault in FAULTS if not is_named(fault)]
    assert missed == []


@pytest.mark.parametrize("build", [b for _, b in HEALTHY], ids=[name for name, _ in HEALTHY])
def test_there_is_no_false_alarm(build):
    assert str(tg.diagnose(build())).startswith("nothing wrong")


@pytest.mark.parametrize("seed", [1000, 2000, 3000])
def test_the_verdicts_do_not_hang_on_the_random_numbers(seed, monkeypatch):
    monkeypatch.setattr(faults, "random", lambda n=0: np.random.default_rng(n + seed))
    assert [fault for fault in FAULTS if not is_named(fault)] == []
    assert [name for name, build in HEALTHY if tg.diagnose(build())] == []


def network_drawn_at_random(seed):
    """Return the loss of an untrained network of any shape, activation, precision and loss."""
    rng = np.random.default_rng(seed)
    activation = rng.choice([tg.tanh, tg.sigmoid, tg.relu, tg.gelu, tg.silu, tg.elu, tg.softplus])
    width, samples = int(rng.integers(2, 64)), int(rng.choice([1, 2, 8, 50, 300]))
    sizes = (int(rng.integers(1, 8)), *[width] * int(rng.integers(1, 5)), 3)
    dtype = rng.choice([np.float32, np.float64])
    h = (rng.normal(size=(samples, sizes[0])) * 10 ** rng.uniform(-1, 1)).astype(dtype)
    layers = weights(*sizes, seed=seed, scale=rng.uniform(0.7, 1.5), dtype=dtype)
    for w in layers[:-1]:
        h = activation(h @ w + tg.Tensor(np.zeros(width), dtype=dtype))
    scores, classes = h @ layers[-1], rng.integers(0, 3, samples)
    if rng.random() < 0.5:
        return tg.cross_entropy(scores, classes)
    squares = (tg.sigmoid(scores) - np.eye(3, dtype=dtype)[classes]) ** 2
    return squares.sum() / 2 if rng.random() < 0.5 else squares.mean()


@pytest.mark.parametrize("start", range(0, 100, 10))
def test_there_is_no_alarm_for_networks_drawn_at_random(start):
    alarms = {s: str(tg.diagnose(network_drawn_at_random(s))) for s in range(start, start + 10)}
    assert {s: text for s, text in alarms.items() if not text.startswith("nothing wrong")} == {}


def test_planted_rules_are_restored():
    before = {name: list(getattr(op, "rules", ())) for name, op in OPS.items()}
    for fault in FAULTS:
        with fault.plant():
            pass
    assert {name: list(getattr(op, "rules", ())) for name, op in OPS.items()} == before


# ---------------------------------------------------------------------------------- reasons


X = tg.Tensor([0.0, 1.0, -1.0], name="x")
BIG = tg.Tensor([500.0, 1000.0])

CAUSES = {  # a program: what its diagnosis must say
    "0/0": (lambda: (X / X).sum(), "0/0", "where(b == 0, 1, b)"),
    "x/0": (lambda: ((X + 1.0) / (X * 0.0)).sum(), "x/0 (from a = 1, b = 0)", "where(b == 0"),
    "log of 0": (lambda: tg.log(X).sum(), "the logarithm of 0", "clip"),
    "log of a negative number": (lambda: tg.log(X - 1.0).sum(), "of a negative number", "clip"),
    "log of a softmax": (
        lambda: tg.log(tg.softmax(BIG * 2.0)).sum(), "the logarithm of 0", "log_softmax"),
    "log of a sigmoid": (lambda: tg.log(tg.sigmoid(-BIG)).sum(), "of 0", "-softplus(-x)"),
    "log of a sum": (lambda: tg.log(tg.sum(tg.exp(-2.0 * BIG))), "of 0", "logsumexp"),
    "log1p": (lambda: tg.log1p(X * 2.0).sum(), "1 + x ≤ 0 (from x = -2)", "clip"),
    "sqrt": (lambda: tg.sqrt(X - 1.0).sum(), "square root of a negative", "maximum(x, 0)"),
    "a negative base": (lambda: (X**0.5).sum(), "a negative base", "abs(x)"),
    "0 to a negative power": (lambda: (X**-2.0).sum(), "0 to a negative power", "where"),
    "arcsin": (lambda: tg.arcsin(2.0 * X).sum(), "beyond ±1", "clip(x, -1, 1)"),
    "exp": (lambda: tg.exp(BIG).sum(), "overflow of the exponential", "log_softmax"),
    "a product": (lambda: (BIG * 1e200 * 1e200).sum(), "overflow of float64", "Scale"),
    "a matrix product": (
        lambda: (tg.reshape(BIG, (1, 2)) @ np.full((2, 1), 1e307)).sum(), "overflow of", "Scale"),
    "float32": (
        lambda: tg.exp(tg.Tensor([89.0], dtype=np.float32)).sum(), "exponential", "softmax"),
    "a mean of nothing": (lambda: tg.mean(X[:0]), "no elements to reduce", "mask"),
    "a leaf": (lambda: tg.Tensor([1.0, np.nan], name="w").sum(), "given as it is", "the data"),
    "a constant": (lambda: (X * [1.0, np.inf, 1.0]).sum(), "given as it is", "the data"),
    "the slope of sqrt": (lambda: tg.sqrt(X * X).sum(), "slope of the square root at 0", "tg.norm"),
    "0·∞ in a gradient": (lambda: (tg.sqrt(X * X) * 0.0).sum(), "0·∞", "where(x > 0, x, 1)"),
    "the slope of a power": (lambda: ((X * X) ** 0.25).sum(), "a power below 1 at 0", "tg.norm"),
    "the slope of arcsin": (lambda: tg.arcsin(X).sum(), "slope at ±1", "1e-7"),
    "a slope that overflows": (
        lambda: tg.log(X * 1e-310 + 2e-310).sum(), "the argument is almost 0", "clip"),
    "a gradient that overflows": (
        lambda: ((X * 1e-300 + 1e-301) * 1e200).sum() * 1e200, "overflow of gradient", "Scale"),
}  # fmt: skip


@pytest.mark.parametrize("inner", [tg.log, tg.sqrt])
def test_what_went_wrong_inside_a_checkpoint_is_said_to_be_there(inner):
    x = tg.Tensor([0.0, 1.0])
    (found,) = tg.diagnose(2.0 * tg.checkpoint(lambda x: inner(x).sum())(x))
    assert found.label == "checkpoint#2"
    assert "inside the checkpoint" in found.text
    assert found.remedy == "Call the function without checkpoint to see where."


@pytest.mark.parametrize("name", CAUSES)
def test_a_finding_says_why_and_what_helps(name):
    program, why, remedy = CAUSES[name]
    worst = tg.diagnose(program())[0]
    assert worst.kind in ("NaN origin", "Inf origin")
    assert why in worst.text
    assert remedy in worst.remedy


def test_a_branch_that_where_did_not_take_is_recognised():
    found = tg.diagnose(next(f for f in FAULTS if "does not take" in f.name).build().root)
    assert "in a branch that where did not take" in found[0].text
    assert "op(where(mask, x, 1))" in found[0].remedy


def test_a_sum_of_gradients_that_overflows_is_found():
    a = tg.Tensor([1e-200, 1.0], name="a") * 1.0
    (found,) = tg.diagnose((a * [1e308, 1.0] + a * [1e308, 1.0]).sum())
    assert (found.kind, found.label, found.index) == ("Inf origin", "multiply#2", (0,))
    assert found.text == "the gradients that arrive are finite, and their sum is not"


def test_the_forward_pass_comes_first_and_its_consequences_do_not_come_at_all():
    w = tg.Tensor([4.0, -1.0])
    found = tg.diagnose((tg.sqrt(w) * tg.heaviside(w)).sum())
    assert [f.label for f in found] == ["sqrt#1"]


def test_the_chain_of_a_vanished_gradient_is_told():
    h = tg.Tensor(0.5, name="w")
    for _ in range(40):
        h = tg.sigmoid(h)
    (found,) = tg.diagnose(h)
    assert (found.kind, found.node.op.name) == ("vanished", "sigmoid")
    assert found.text.startswith("w: ")
    assert "in all 40 sigmoid on the way" in found.text


def test_dead_relus_and_saturated_activations_are_told_in_percent():
    x, (w,) = faults.data(20, 4), weights(4, 20)
    b = tg.Tensor(np.where(np.arange(20) < 19, -99.0, 1.0))
    assert (
        "95% of its units are off" in tg.diagnose(((tg.relu(x @ w + b) - 1.0) ** 2).mean())[0].text
    )
    hidden = tg.tanh(x @ w + tg.Tensor(np.where(np.arange(20) < 19, 99.0, 0.0)))
    found = tg.diagnose(((hidden @ tg.Tensor(np.ones(20))) ** 2).mean())
    assert "95.2% of its elements are flat" in next(f.text for f in found if f.kind == "saturated")


# ---------------------------------------------------------------------------------- the report


def test_a_diagnosis_is_a_sequence_that_is_true_if_there_is_something():
    sick, well = tg.diagnose(tg.sqrt(X).sum()), tg.diagnose((X * X).sum())
    assert sick
    assert not well
    assert len(sick) == len(list(sick)) == 1
    assert sick[0].index == (2,)
    assert str(well) == "nothing wrong with 3 nodes"
    assert (
        repr(sick)
        == str(sick)
        == "\n".join(
            [
                "sqrt#1: NaN origin, index (2,)",
                "    its value is NaN: the square root of a negative number (from x = -1)",
                "    Keep the argument at 0 or above: maximum(x, 0), or square it.",
            ]
        )
    )


def test_the_line_is_named_where_it_was_recorded():
    with listening(note_line):
        root = tg.sqrt(X).sum()
    worst = tg.diagnose(root)[0]
    assert worst.line.startswith("test_diagnose.py:")
    assert first_line(tg.diagnose(root)) == f"sqrt#1: NaN origin, index (2,), {worst.line}"


def test_names_may_be_given_and_may_be_locals():
    root = tg.sqrt(X)
    loss = root.sum()
    assert tg.diagnose(loss, names={"the root": root})[0].label == "the root"
    assert tg.diagnose(loss, names=locals())[0].label == "root"


def test_a_parameter_that_gets_no_gradient_is_a_finding_and_another_tensor_is_none():
    w, unused, constant = tg.Tensor(1.0), tg.Tensor(1.0), tg.Tensor(1, dtype=int)
    root = (w * constant - 3.0) ** 2
    assert not tg.diagnose(root, names=locals())
    found = tg.diagnose(root, parameters=[w, unused, constant])
    assert [f.label for f in found] == ["parameter 1", "parameter 2"]
    assert found[0].text == "the root does not depend on it"
    assert found[1].text == "it is a constant, so it gets no gradient"


def test_at_most_ten_findings_are_printed_and_all_are_kept():
    found = tg.diagnose(tg.sum(tg.stack([tg.log(tg.Tensor(0.0)) for _ in range(12)])))
    assert len(found) == 12
    assert str(found).splitlines()[-1] == "and 2 more"


def test_findings_and_badges_agree():
    for fault in FAULTS:
        with fault.plant():
            root = fault.build().root
            given = badges(Flow(root))
            for finding in tg.diagnose(root):
                if finding.kind in ("vanished", "exploded"):  # it is the leaf that has the badge
                    assert any(finding.kind in names for names in given.values())
                elif finding.kind != "wrong rule" and "units are off" not in finding.text:
                    assert finding.kind in given[finding.node]


def test_nothing_is_changed():
    w = tg.Tensor([1.0, -2.0])
    loss = (tg.tanh(w) ** 2).sum()
    loss.backward()

    def state():
        return [part for n in walk(loss) for part in (n.value, n._grad, n.name, n.saved)]

    before = state()
    tg.diagnose(loss)
    assert all(a is b for a, b in zip(before, state(), strict=True))


def test_two_processes_say_the_same():
    program = (
        "import faults, tinygrad_bp as tg\n"
        "for fault in faults.FAULTS:\n"
        "    with fault.plant():\n"
        "        planted = fault.build()\n"
        "        print(tg.diagnose(planted.root, parameters=planted.parameters))\n"
    )
    folder = Path(__file__).parent
    run = [sys.executable, "-W", "ignore", "-c", program]
    path = {"PYTHONPATH": f"{folder}:{folder.parent}"}
    texts = [
        subprocess.run(
            run, capture_output=True, text=True, check=True, env=path | {"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    ]
    assert texts[0] == texts[1] != ""


def test_depth_is_no_limit():
    h = tg.Tensor(0.5, name="w")
    for _ in range(20_000):
        h = tg.sin(h)
    assert not tg.diagnose(h)


def test_it_may_be_asked_inside_debug_and_inside_no_grad():
    root = tg.sqrt(X * X).sum()
    with tg.debug():
        assert tg.diagnose(root)[0].label == "sqrt#2"
    with tg.no_grad():
        assert tg.diagnose(root)[0].label == "sqrt#2"


# ---------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("root", [None, 1.0, "E", np.ones(2), [tg.Tensor(1.0)]])
def test_what_is_no_tensor_is_refused(root):
    with pytest.raises(tg.GraphError, match="the root of the graph: got .*; expected a Tensor"):
        tg.diagnose(root)


def test_what_nothing_made_is_refused():
    with pytest.raises(tg.GraphError, match="diagnose: got float64 1.0, which nothing made"):
        tg.diagnose(tg.Tensor(1.0))
    with tg.no_grad():
        loss = tg.Tensor(1.0) * 2.0
    with pytest.raises(tg.GraphError, match=r"outside of no_grad\(\)"):
        tg.diagnose(loss)


def test_names_and_parameters_of_another_kind_are_refused():
    loss = X.sum()
    with pytest.raises(tg.InputError, match=r"argument names: got list .*names=locals\(\)"):
        tg.diagnose(loss, names=[X])
    with pytest.raises(tg.InputError, match=r"argument parameters: got str .*parameters=\[w, b\]"):
        tg.diagnose(loss, parameters="w")
    with pytest.raises(tg.InputError, match="argument parameters, parameter 0: got int 1"):
        tg.diagnose(loss, parameters=[1])
