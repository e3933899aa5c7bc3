"""The pytest plugin: a fixture that checks gradients and counts every verdict.

Installed with the library, it needs no setting up:

    def test_my_loss(gradcheck):
        gradcheck(my_loss, (x, y))

    @pytest.mark.gradcheck(resolution=1e-4, strict=True)
    def test_my_layer(gradcheck): ...

Options: ``--gradcheck-seed``, ``--gradcheck-strict``, ``--gradcheck-html=DIR``. The summary at the
end counts verdicts, so that a check that could say nothing is not taken for one that passed.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from tinygrad_bp.check.report import Report

NAME = "gradcheck"  # of the fixture, the marker, the property of a report, this plugin
VERDICTS = ("PASS", "IMPRECISE", "INCONCLUSIVE", "FAIL")
MARKED = ("resolution", "strict", "order", "coordinates", "seed")
NEWEST_SEED = 2**31
PAGES = 20  # of one test; the last is written anew, for hypothesis ends with the simplest example


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup(NAME, "checking gradients (tinygrad_bp)")
    group.addoption(
        "--gradcheck-seed", default="0", metavar="N", help="seed of all checks, or 'random'"
    )
    group.addoption(
        "--gradcheck-strict", action="store_true", help="fail also where a check is not conclusive"
    )
    group.addoption(
        "--gradcheck-html",
        metavar="DIR",
        help="save the graph of each failed check as a page there",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, settle the seed, and start counting."""
    allowed = ", ".join(f"{name}=…" for name in MARKED)
    config.addinivalue_line("markers", f"{NAME}({allowed}): options of the fixture {NAME}")
    told = getattr(config, "workerinput", {}).get(NAME)  # by the process that started this one
    config.option.gradcheck_seed = seed_of(config.option.gradcheck_seed) if told is None else told
    config.pluginmanager.register(Checks(config), f"{__name__}:checks")


def seed_of(text: Any) -> int:
    """Read a seed; raise a usage error for anything but a whole number or 'random'."""
    if text == "random":
        import secrets

        return secrets.randbelow(NEWEST_SEED)
    if not str(text).isdecimal():
        raise pytest.UsageError(f"--gradcheck-seed: got {text!r}; expected a number from 0, or "
                                "'random'. Write e.g. --gradcheck-seed=7.")  # fmt: skip
    return int(text)


@pytest.fixture(scope="session", name=NAME)
def gradcheck_fixture(request: pytest.FixtureRequest) -> Callable[..., "Report"]:
    """Return `tg.gradcheck` with the options of this run; every verdict is counted.

    It takes the same arguments, which go before those of the marker and of the command line, and
    may be called as often as you like, also under hypothesis.
    """
    checks: Any = request.config.pluginmanager.get_plugin(f"{__name__}:checks")
    return cast(Callable[..., "Report"], checks.check)


class Checks:
    """What was checked in this run, and with which options."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.item: pytest.Item | None = None  # the test that is running
        self.found: dict[str, dict[str, Any]] = {}  # by test: counts and reasons
        self.passed: set[str] = set()
        self.pages: dict[str, int] = {}  # by test: how many were saved

    # ------------------------------------------------------------------------------ checking

    def check(self, f: Callable[..., Any], inputs: Any, **options: Any) -> "Report":
        """Check a gradient, count the verdict, and raise if it failed."""
        __tracebackhide__ = True
        from tinygrad_bp.check.gradcheck import gradcheck

        options = {**self.options(), **options}
        raising = options.pop("raise_exception", True)
        report = gradcheck(f, inputs, **options, raise_exception=False)
        self.count(report)
        if report.verdict == "FAIL" and self.config.option.gradcheck_html:
            self.save(f, inputs, report)
        if raising and not report and (options["strict"] or report.verdict == "FAIL"):
            raise report.error()
        return report

    def options(self) -> dict[str, Any]:
        """Return the options of the command line and of the marker, which goes first."""
        given = self.config.option
        marker = self.item.get_closest_marker(NAME) if self.item else None
        marked = {} if marker is None else marker.kwargs
        if marker is not None and (marker.args or not set(marked) <= set(MARKED)):
            wrong = [*map(repr, marker.args), *sorted(set(marked) - set(MARKED))]
            pytest.fail(f"@pytest.mark.{NAME}: got {', '.join(wrong)}; expected some of "
                        f"{', '.join(MARKED)}, each by name.", pytrace=False)  # fmt: skip
        return {"seed": given.gradcheck_seed, "strict": given.gradcheck_strict, **marked}

    def count(self, report: "Report") -> None:
        """Note a verdict with the running test; its reports carry it to whoever sums up."""
        if self.item is None:
            return
        entry = note_of(self.item)
        entry["counts"][report.verdict] = entry["counts"].get(report.verdict, 0) + 1
        if report.verdict != "PASS":
            entry["reasons"].setdefault(report.verdict, report.reason or "the numbers differ")

    def save(self, f: Callable[..., Any], inputs: Any, report: "Report") -> None:
        """Save the graph of a failed check, or where there is no picture the report itself."""
        folder = self.config.invocation_params.dir / self.config.option.gradcheck_html
        try:  # the picture must not hide what it is a picture of
            folder.mkdir(parents=True, exist_ok=True)
            path = self.written(f, inputs, report, folder / self.page_name())
        except OSError as error:
            report.notes.append(f"its page could not be saved: {error}")
            return
        if self.item is not None:
            self.item.add_report_section("call", NAME, f"saved {path}")

    def page_name(self) -> str:
        """Return a new name for a page of the running test, up to so many of them."""
        nodeid = self.item.nodeid if self.item else "outside of tests"
        count = self.pages[nodeid] = min(self.pages.get(nodeid, 0) + 1, PAGES)
        return file_name(nodeid) + (f"-{count}" if count > 1 else "")

    def written(self, f: Callable[..., Any], inputs: Any, report: "Report", path: Path) -> Path:
        """Write a page, or where there is no picture the report; return the path with its end."""
        page, text = (path.with_name(path.name + end) for end in (".html", ".txt"))
        try:
            draw_graph(f, inputs, page)
        except Exception as error:
            reason = f"no picture: {type(error).__name__}: {error}"
            text.write_text(f"{report}\n\n{report.table()}\n\n{reason}\n", encoding="utf-8")
            return text
        return page

    # ------------------------------------------------------------------------------ counting

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a process of pytest-xdist the seed."""
        node.workerinput[NAME] = self.config.option.gradcheck_seed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Remember which test is running."""
        self.item = item
        if item.get_closest_marker(NAME):
            note_of(item)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect what the reports of tests carry, also from other processes."""
        if report.when == "call" and report.passed:
            self.passed.add(report.nodeid)
        found = dict(report.user_properties).get(NAME)
        if report.when == "teardown" and isinstance(found, dict):
            self.found[report.nodeid] = found

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Count the verdicts, and name the tests whose checks said little or nothing."""
        if not self.found:
            return
        terminalreporter.section(NAME)
        for line in self.summary():
            terminalreporter.write_line(line)

    def summary(self) -> Iterator[str]:
        """Yield the lines of the summary."""
        total = dict.fromkeys(VERDICTS, 0)
        for found in self.found.values():
            for verdict, count in found["counts"].items():
                total[verdict] += count
        counts = ", ".join(f"{count} {verdict}" for verdict, count in total.items())
        tests = sum(bool(found["counts"]) for found in self.found.values())
        yield f"{counts} in {tests} tests (seed {self.config.option.gradcheck_seed})"
        for nodeid, found in self.found.items():
            for verdict, reason in found["reasons"].items():
                yield f"{verdict} {nodeid} ({found['counts'][verdict]}): {reason}"
            if not found["counts"] and nodeid in self.passed:
                yield f"NOTHING CHECKED {nodeid}: it is marked and never calls {NAME}"


# ---------------------------------------------------------------------------------- helpers


def note_of(item: pytest.Item) -> dict[str, Any]:
    """Return what is noted with a test: plain data, so that it travels between processes."""
    for key, value in item.user_properties:
        if key == NAME and isinstance(value, dict):
            return value
    entry: dict[str, Any] = {"counts": {}, "reasons": {}}
    item.user_properties.append((NAME, entry))
    return entry


def file_name(nodeid: str) -> str:
    """Make a file name of the id of a test: readable, safe everywhere, one for each id.

    >>> file_name("tests/test_a.py::test_b[../x y]")
    'tests_test_a.py_test_b_.._x_y-7ee54fc9'
    """
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", nodeid)[-100:].strip("._-")
    return f"{readable}-{hashlib.sha256(nodeid.encode()).hexdigest()[:8]}"


def draw_graph(f: Callable[..., Any], inputs: Any, path: Path) -> None:
    """Record a function and save its graph as a page."""
    import tinygrad_bp as tg
    from tinygrad_bp.check.gradcheck import anyway, labels_of
    from tinygrad_bp.nested import flatten

    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    leaves, rebuild = flatten(arguments)
    names = labels_of(f, arguments)
    tensors = [tg.Tensor(x, name=name) for x, name in zip(leaves, names, strict=True)]
    with anyway():
        outputs = flatten(f(*rebuild(iter(tensors))))[0]
    drawing: Any = tg.draw(outputs[0])  # type: ignore[attr-defined, unused-ignore]
    drawing.save(path)
