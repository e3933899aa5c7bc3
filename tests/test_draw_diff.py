"""Two drawings compared: the first difference is found, and there is none where there is none."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_bp as tg
from tinygrad_bp.origin import listening, note_line


def network(seed=0, scale=1.0, change=lambda h: h, shape=(3, 2)):
    random = np.random.default_rng(seed)
    x = tg.Tensor(random.normal(size=(4, 3)), name="x", requires_grad=False)
    w = tg.Tensor(random.normal(size=shape), name="w")
    with listening(note_line):
        h = tg.tanh(x @ w)
        h = change(h)
        return (h * scale).sum()


def test_the_same_program_has_no_difference():
    found = tg.draw(network()).diff(tg.draw(network()))
    assert not found
    assert found.kind == ""
    assert str(found) == "No difference: the same graph, the same values, the same gradients."


def test_the_first_value_that_differs_is_named_with_both_source_lines():
    a = tg.draw(network(change=lambda h: h * 2.0))
    b = tg.draw(
        network(change=lambda h: h * 3.0),
    )
    lines = [drawing._records[5].line for drawing in (a, b)]
    assert lines[0] != lines[1]
    found = a.diff(b)
    assert (found.kind, found.number) == ("value", 4)
    assert str(found) == (
        f"The first value that differs is that of constant#4 (used at {lines[0]}) / constant#4 "
        f"(used at {lines[1]}):\n    2\n    3\nOf 9 nodes, 4 values and 3 gradients differ."
    )


def test_the_first_structural_difference_is_named_with_both_source_lines():
    a = tg.draw(network(change=tg.sin))
    b = tg.draw(network(change=lambda h: tg.cos(h)))
    found = a.diff(b)
    assert found.kind == "structure"
    assert found.number == 4
    lines = [record.line for record in (a._records[4], b._records[4])]
    assert lines[0] != lines[1]
    assert str(found) == (
        f"The graphs part at sin#4 ({lines[0]}) / cos#4 ({lines[1]}): "
        "sin of shape (4, 2), float64 and cos of shape (4, 2), float64."
    )


def test_another_shape_is_a_difference_of_structure():
    found = tg.draw(network()).diff(tg.draw(network(shape=(3, 5))))
    line = found.text.split("used at ")[1].split(")")[0]
    assert line.startswith("test_draw_diff.py:")
    assert found.text == (
        f"The graphs part at w (used at {line}): leaf of shape (3, 2), float64 and "
        "leaf of shape (3, 5), float64."
    )


def test_other_inputs_are_a_difference_of_structure():
    x, y = tg.Tensor(1.0, name="x"), tg.Tensor(1.0, name="y")
    a, b = tg.draw((x + y) * x), tg.draw((x + y) * y)
    assert str(a.diff(b)) == (
        "The graphs part at multiply#3: it is made of add#2, x and of add#2, y."
    )


def test_other_settings_are_a_difference_of_structure():
    x = tg.Tensor(np.ones((2, 2)), name="x")
    found = tg.draw(tg.sum(x, axis=0)).diff(tg.draw(tg.sum(x, axis=1)))
    assert found.kind == "structure"
    assert "axis=0" in str(found)
    assert "axis=1" in str(found)


def test_one_graph_that_goes_on_is_a_difference():
    x = tg.Tensor(1.0, name="x")
    found = tg.draw(tg.sin(x)).diff(tg.draw(tg.exp(tg.sin(x))))
    assert str(found) == ("The graphs have 2 and 3 nodes; the first that only one has is exp#2.")


def test_where_only_gradients_differ_the_first_from_the_root_is_named():
    x = tg.Tensor([1.0, 2.0], name="x")
    y = tg.sin(x) * 1.0
    found = tg.draw(y, cotangent=[1.0, 1.0]).diff(tg.draw(y, cotangent=[1.0, 2.0]))
    assert (found.kind, found.number) == ("gradient", 3)
    assert str(found).startswith(
        "The first gradient that differs is that of multiply#3:\n    [1, 1]\n    [1, 2]\n"
    )


@given(st.integers(0, 30), st.integers(-3, 3))
def test_any_bit_of_any_value_is_a_difference_and_a_tolerance_forgives_it(position, ulps):
    values = np.linspace(1.0, 2.0, 31)
    other = values.copy()
    for _ in range(abs(ulps)):
        other[position] = np.nextafter(other[position], np.inf if ulps > 0 else -np.inf)
    a, b = (tg.draw(tg.Tensor(v, name="w") * 3.0) for v in (values, other))
    assert bool(a.diff(b)) == bool(ulps)
    assert not a.diff(b, rtol=1e-12)


def test_a_tolerance_does_not_forgive_what_is_larger():
    a, b = (tg.draw(tg.Tensor([1.0, x], name="w") * 3.0) for x in (1.0, 1.1))
    assert a.diff(b, rtol=0.01)
    assert not a.diff(b, rtol=0.2)


def test_nan_is_equal_to_nan_and_zero_to_minus_zero():
    a, b = (tg.draw(tg.Tensor([np.nan, x], name="w")) for x in (0.0, -0.0))
    assert not a.diff(b)
    assert not a.diff(b, rtol=1e-6)


def test_numbers_that_print_alike_are_told_apart():
    found = tg.draw(tg.Tensor(1.0)).diff(tg.draw(tg.Tensor(1.0 + 2**-52)))
    assert "1.0\n    1.0000000000000002\n" in str(found)


def test_a_drawing_made_elsewhere_can_be_compared(tmp_path):
    program = (
        "import pickle, sys, tinygrad_bp as tg; "
        "sys.stdout.buffer.write(pickle.dumps(tg.draw(tg.sin(tg.Tensor({}, name='x')))))"
    )
    import pickle

    found = []
    for x in (1.0, 2.0):
        environment = os.environ | {"PYTHONHASHSEED": "7"}
        command = [sys.executable, "-c", program.format(x)]
        made = subprocess.run(command, capture_output=True, check=True, env=environment).stdout
        found.append(bool(tg.draw(tg.sin(tg.Tensor(1.0, name="x"))).diff(pickle.loads(made))))
    assert found == [False, True]


def test_what_is_no_drawing_is_refused():
    with pytest.raises(tg.InputError) as error:
        tg.draw(tg.Tensor(1.0)).diff("b")
    assert str(error.value) == (
        "Drawing.diff: got str 'b'; expected a Drawing. Pass what tg.draw returned."
    )
