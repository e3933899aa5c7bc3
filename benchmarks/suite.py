"""The tests of the ops, once as anybody runs them and then over many seeds.

What `hypothesis` does not drive is the same for every seed, so it runs once, in the first, full
run. Every other seed is a pytest run in a fork, so that imports are paid once and no run knows of
another. The output of one that fails is printed.
"""

import contextlib
import io
import multiprocessing
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import wraps
from time import perf_counter
from typing import Any, NamedTuple

import pytest
from hypothesis import is_hypothesis_test

BAR = 90.0  # seconds of a full run
TESTS = (
    "tests/test_every_op_is_differentiated_right.py",
    "tests/test_every_op_passes_the_check.py",
    "tests/test_special_values.py",
)
OPTIONS = ["-q", "-p", "no:cacheprovider", "--hypothesis-profile=search"]  # "ci" ignores the seed
AGAIN = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plugins are imported already
TOLD = 6000  # characters of the output of a failing run


class Driven:
    """A pytest plugin: keep the tests that hypothesis drives, count their examples."""

    def __init__(self) -> None:
        self.examples = self.tests = 0
        self.failed: list[str] = []
        self.counted: set[Any] = set()

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Deselect what is the same for every seed, and count the calls of the rest."""
        items[:] = [item for item in items if is_hypothesis_test(item.obj)]
        for item in items:
            if item.obj not in self.counted:
                self.counted.add(item.obj)
                item.obj.hypothesis.inner_test = self.counting(item.obj.hypothesis.inner_test)

    def counting(self, test: Callable[..., Any]) -> Callable[..., Any]:
        """Return a test that also counts its examples."""

        @wraps(test)
        def counted(*args: Any, **arguments: Any) -> Any:
            self.examples += 1
            return test(*args, **arguments)

        return counted

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count the tests, and note those that fail."""
        self.tests += report.when == "call"
        if report.failed:
            self.failed.append(report.nodeid)


def full_run(seed: int) -> tuple[float, bool]:
    """Run all tests in a process of its own; return the seconds, and whether all passed."""
    command = [sys.executable, "-m", "pytest", *OPTIONS, *TESTS, f"--hypothesis-seed={seed}"]
    start = perf_counter()
    result = subprocess.run(command, capture_output=True, text=True)
    seconds = perf_counter() - start
    if result.returncode:
        print(f"\nseed {seed}, all tests\n{result.stdout[-TOLD:]}{result.stderr[-TOLD:]}")
    return seconds, result.returncode == 0


class Outcome(NamedTuple):
    """What the run of one seed has to tell."""

    passed: bool
    tests: int
    examples: int
    failed: list[str]
    output: str


def run_seed(seed: int) -> Outcome:
    """Run what depends on the seed."""
    output, plugin = io.StringIO(), Driven()
    options = [*OPTIONS, *AGAIN, f"--hypothesis-seed={seed}"]
    with contextlib.redirect_stdout(output):
        status = pytest.main([*options, *TESTS], plugins=[plugin])
    passed = status == 0 and plugin.tests > 0
    return Outcome(passed, plugin.tests, plugin.examples, plugin.failed, output.getvalue()[-TOLD:])


def run_suite(first: int, seeds: int) -> bool:
    """Run all tests with the first seed, and what depends on it with all others."""
    seconds, passed = full_run(first)
    flakes = [] if passed else [first]
    print(f"a full run, seed {first}: {seconds:.0f} s (bar {BAR:.0f} s)", flush=True)
    tests, examples, failed, start = 0, 0, Counter[str](), perf_counter()
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        for seed, outcome in enumerate(pool.imap(run_seed, range(first + 1, first + seeds)), 1):
            tests, examples = tests + outcome.tests, examples + outcome.examples
            failed.update(outcome.failed)
            if not outcome.passed:
                flakes.append(first + seed)
                print(f"\nseed {first + seed}\n{outcome.output}")
            each = (perf_counter() - start) / seed
            told = f"{each:.1f} s each, {len(flakes)} with a failure"
            print(f"seed {first + seed}: {told}", end="\r", flush=True)
    print(
        f"\nseeds {first} to {first + seeds - 1}: {len(flakes)} with a failure {flakes or ''}\n"
        f"after the full run {tests} runs of a test with {examples} examples"
    )
    for name, count in failed.items():
        print(f"  {count} times {name}")
    return not flakes and seconds <= BAR
