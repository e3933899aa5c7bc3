"""The pytest plugin: checks that fail are readable, checks that say nothing are seen."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tinygrad_bp as tg
from tinygrad_bp.check.plugin import file_name

pytest_plugins = ["pytester"]

ROOT = Path(tg.__file__).parent.parent
HEAD = """
import numpy as np
import pytest
import tinygrad_bp as tg

X = np.array([0.5, -1.0, 2.0])

def right(x):
    return tg.tanh(x) * x

def wrong(x):
    return np.sin(x)
"""
FOUR = """
def test_right(gradcheck):
    report = gradcheck(right, X)
    assert report.verdict == "PASS"

def test_wrong(gradcheck):
    gradcheck(wrong, X, grad=lambda x: 2 * np.cos(x))

def test_rounded(gradcheck):
    gradcheck(wrong, X, grad=lambda x: np.cos(x).astype(np.float32).astype(float))

def test_hidden(gradcheck):
    gradcheck(lambda x: 1e6 + 1e-6 * wrong(x), X, grad=lambda x: 1e-6 * np.cos(x))
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run a test file, if asked in a process of its own; returns the result and its text."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run_tests(source, *arguments, apart=False):
        pytester.makepyfile(HEAD + source)
        start = pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess
        result = start("-p", "tinygrad_bp.check.plugin", "-p", "no:cacheprovider", *arguments)
        return result, result.stdout.str() + result.stderr.str()

    return run_tests


# ---------------------------------------------------------------------------------- verdicts


def test_the_summary_counts_every_verdict_and_names_what_was_not_conclusive(run):
    result, text = run(FOUR, apart=True)
    result.assert_outcomes(passed=3, failed=1)
    assert "1 PASS, 1 IMPRECISE, 1 INCONCLUSIVE, 1 FAIL in 4 tests (seed 0)" in text
    name = "test_the_summary_counts_every_verdict_and_names_what_was_not_conclusive.py"
    assert re.search(rf"^INCONCLUSIVE {name}::test_hidden \(1\): .+", text, re.MULTILINE)
    assert re.search(rf"^IMPRECISE {name}::test_rounded \(1\): .+", text, re.MULTILINE)


def test_with_strict_only_a_pass_passes(run):
    result, text = run(FOUR, "--gradcheck-strict")
    result.assert_outcomes(passed=1, failed=3)
    assert "GradientError: INCONCLUSIVE" in text


def test_a_failure_shows_the_report_and_the_line_of_the_user_and_nothing_between(run):
    _, text = run(FOUR, "-k", "wrong")
    assert "gradcheck(wrong, X, grad=lambda x: 2 * np.cos(x))" in text
    assert re.search(r"E +tinygrad_bp\.errors\.GradientError: FAIL  wrong  \(seed 0", text)
    assert re.search(r"E +argument 0 'x' .*analytic .*, numeric .* ± ", text)
    assert re.search(r"E +what +analytic +numeric +±", text)  # the table
    assert "plugin.py" not in text.split("= FAILURES =")[1].split("short test summary")[0]


def test_a_call_may_look_at_the_report_instead_of_raising(run):
    result, text = run("""
def test_wrong(gradcheck):
    report = gradcheck(wrong, X, grad=np.sin, raise_exception=False)
    assert not report
""")
    result.assert_outcomes(passed=1)
    assert "0 PASS, 0 IMPRECISE, 0 INCONCLUSIVE, 1 FAIL in 1 tests" in text


def test_without_checks_nothing_is_said(run):
    result, text = run("def test_nothing(): pass")
    result.assert_outcomes(passed=1)
    assert "gradcheck" not in text


def test_every_example_of_hypothesis_is_counted(run):
    result, text = run("""
from hypothesis import given, settings
from tinygrad_bp.check import strategies

@settings(max_examples=10, database=None, derandomize=True)
@given(strategies.ops("tanh"))
def test_ops(gradcheck, sample):
    gradcheck(sample, tuple(sample.varied))
""")
    result.assert_outcomes(passed=1)
    assert "10 PASS, 0 IMPRECISE, 0 INCONCLUSIVE, 0 FAIL in 1 tests" in text


# ---------------------------------------------------------------------------------- options


def test_the_marker_sets_options_and_a_call_goes_before_it(run):
    result, text = run("""
@pytest.mark.gradcheck(strict=True, resolution=1e-3, seed=11)
def test_marked(gradcheck):
    assert gradcheck(right, X).seed == 11
    assert gradcheck(right, X, seed=12).seed == 12
    with pytest.raises(tg.GradientError, match="INCONCLUSIVE"):
        gradcheck(lambda x: 1e6 + 1e-6 * wrong(x), X, grad=lambda x: 1e-6 * np.cos(x))

def test_unmarked(gradcheck):
    assert gradcheck(right, X).seed == 5
""", "--gradcheck-seed=5", "--strict-markers")  # fmt: skip
    result.assert_outcomes(passed=2)
    assert "3 PASS, 0 IMPRECISE, 1 INCONCLUSIVE, 0 FAIL in 2 tests (seed 5)" in text


def test_a_marked_test_that_checks_nothing_is_named(run):
    result, text = run("""
@pytest.mark.gradcheck(resolution=1e-3)
def test_forgot():
    pass
""")
    result.assert_outcomes(passed=1)
    assert re.search(r"^NOTHING CHECKED .*::test_forgot: it is marked", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("marker", "given"), [("1e-3", "0.001"), ("tolerance=1e-3, strict=True", "tolerance")]
)
def test_an_option_that_the_marker_does_not_know_is_refused(run, marker, given):
    result, text = run(f"""
@pytest.mark.gradcheck({marker})
def test_marked(gradcheck):
    gradcheck(right, X)
""")
    result.assert_outcomes(failed=1)
    assert f"@pytest.mark.gradcheck: got {given}; expected some of resolution, strict" in text


@pytest.mark.parametrize("seed", ["-1", "1.5", "dice"])
def test_a_seed_that_is_none_is_refused(run, seed):
    result, text = run(FOUR, f"--gradcheck-seed={seed}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"--gradcheck-seed: got '{seed}'; expected a number from 0, or 'random'" in text


def test_a_random_seed_is_told_and_can_be_used_again(run):
    _, text = run(FOUR, "--gradcheck-seed=random", "-k", "wrong")
    (seed,) = re.findall(r"in 1 tests \(seed (\d+)\)", text)
    assert f"FAIL  wrong  (seed {seed}" in text
    _, again = run(FOUR, f"--gradcheck-seed={seed}", "-k", "wrong")
    assert re.findall(r"analytic .*", again) == re.findall(r"analytic .*", text)


# ---------------------------------------------------------------------------------- processes


def test_counts_of_other_processes_reach_the_summary(run, require):
    require("xdist")
    result, text = run(FOUR, "-n", "2", "--gradcheck-seed=random", apart=True)
    result.assert_outcomes(passed=3, failed=1)
    assert "1 PASS, 1 IMPRECISE, 1 INCONCLUSIVE, 1 FAIL in 4 tests" in text
    (seed,) = re.findall(r"in 4 tests \(seed (\d+)\)", text)
    assert f"FAIL  wrong  (seed {seed}" in text


# ---------------------------------------------------------------------------------- pages

FAILING = """
@tg.elementwise("sin?", method=False, numpy=())
def wrong_sine(x):
    return np.sin(x)

@wrong_sine.derivative
def _(y, x):
    return tg.sin(x)

@pytest.mark.parametrize("name", ["../../up", "a/b", "ü"])
def test_wrong(gradcheck, name):
    gradcheck(lambda x: (wrong_sine(x) * x).sum(), X)
"""


def test_a_failed_check_leaves_one_file_for_each_test_in_the_folder(run, pytester):
    around = set(pytester.path.parent.iterdir())
    result, text = run(FAILING, "--gradcheck-html=pages/of today", apart=True)
    result.assert_outcomes(failed=3)
    folder = pytester.path / "pages" / "of today"
    assert len(list(folder.iterdir())) == 3
    assert text.count("saved ") == 3
    assert set(pytester.path.parent.iterdir()) == around


SEVERAL = """
def test_wrong(gradcheck):
    for _ in range(%d):
        gradcheck(lambda x: np.sin(x), X, grad=np.sin, raise_exception=False)
"""


@pytest.mark.parametrize(("failures", "pages"), [(1, 1), (3, 3), (23, 20)])
def test_every_failed_check_of_a_test_has_a_page_of_its_own(run, pytester, failures, pages):
    run(SEVERAL % failures, "--gradcheck-html=pages")
    names = sorted(path.stem for path in (pytester.path / "pages").iterdir())
    assert len(names) == pages
    numbers = [int(name.rpartition("-")[2]) for name in names if name != min(names, key=len)]
    assert sorted(numbers) == list(range(2, pages + 1))


def test_a_second_run_writes_the_same_pages_anew(run, pytester):
    for _ in range(2):
        run(SEVERAL % 3, "--gradcheck-html=pages")
    assert len(list((pytester.path / "pages").iterdir())) == 3


@pytest.mark.parametrize("folder", ["a_file", "a_file/below"])
def test_a_folder_that_cannot_be_made_does_not_hide_the_failure(run, pytester, folder):
    (pytester.path / "a_file").write_text("mine")
    result, text = run(FOUR, "-k", "wrong", f"--gradcheck-html={folder}")
    result.assert_outcomes(failed=1)
    assert "GradientError: FAIL  wrong" in text
    assert "its page could not be saved: " in text
    assert (pytester.path / "a_file").read_text() == "mine"
    assert "1 FAIL in 1 tests" in text


def test_the_page_is_drawn_also_where_the_caller_records_nothing(run, pytester):
    program = FAILING.replace("    gradcheck(", "    with tg.no_grad():\n        gradcheck(")
    run(program, "--gradcheck-html=pages", "-k", "up", apart=True)
    (path,) = (pytester.path / "pages").iterdir()
    assert path.suffix == ".html"
    assert "<title>sum#3</title>" in path.read_text(encoding="utf-8")


def test_a_function_without_a_graph_leaves_its_report_as_text(run, pytester):
    source = """
def hidden_from_the_graph(x):
    return np.sin(np.asarray(x))

def test_wrong(gradcheck):
    gradcheck(hidden_from_the_graph, X, grad=lambda x: 2 * np.cos(x))
"""
    run(source, "--gradcheck-html=pages")
    (path,) = (pytester.path / "pages").iterdir()
    assert path.suffix == ".txt"
    text = path.read_text(encoding="utf-8")
    assert text.startswith("FAIL  hidden_from_the_graph")
    assert "no picture: " in text


@pytest.mark.skipif(not hasattr(tg, "draw"), reason="this build cannot draw")
def test_the_graph_of_a_failed_check_is_a_page(run, pytester):
    run(FAILING, "--gradcheck-html=pages", apart=True)
    pages = list((pytester.path / "pages").iterdir())
    assert [page.suffix for page in pages] == [".html"] * 3
    assert all(page.read_text(encoding="utf-8").startswith("<!doctype html>") for page in pages)


def test_file_names_are_safe_and_differ_for_different_tests():
    ids = ["a.py::test[../..]", "a.py::test[.._..]", "a.py::t" + "x" * 500, "ü::é", "...", "::"]
    names = [file_name(nodeid) for nodeid in ids]
    assert len(set(names)) == len(ids)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_.-]{1,110}", name)
        assert not name.startswith(".")


# ---------------------------------------------------------------------------------- manners


def test_importing_the_plugin_imports_nothing_big():
    program = "import sys, tinygrad_bp.check.plugin; print(*{m.split('.')[0] for m in sys.modules})"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert not {"hypothesis", "scipy", "torch", "jax", "graphviz"} & set(found.stdout.split())


def test_pytest_finds_the_plugin_where_the_library_is_installed():
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert points["pytest11"] == {"tinygrad_bp.check.plugin": "tinygrad_bp.check.plugin"}
