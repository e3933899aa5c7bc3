"""How right gradient checkers are: bugs caught, right functions accused, side by side with peers.

Run from the project root, after `pip install ".[bench]"`:

    python -m benchmarks.gradcheck [--quick] [--edition 1] [--half odd] [--table]

The catalogue (`benchmarks/catalogue.py`) was split by position before anything was tuned: the
checker was tuned on the even half. What is reported is the odd half of the second edition, at
points that nothing was tuned on. Questions:

1. Right functions, over many seeds: how many are accused, how many left open?
2. Planted bugs that change an element by a thousandth or more: how many are caught?
   What is missed is asked again with `coordinates=True`.
3. A bug in one element: is that element named? A bug in the rule of one op inside a composite
   function: is that op named?
4. What a check costs, for a few numbers and for a million.

Peers run as they are shipped. With `--table` only the table of the documents is made. Leaves with
status 1 when a bar is missed.
"""

import os

for library in ("OMP", "OPENBLAS", "MKL"):  # read once, while NumPy is imported
    os.environ[f"{library}_NUM_THREADS"] = "1"

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

import tinygrad_bp as tg
from benchmarks.catalogue import Case, Vjp, cases, mutants
from benchmarks.peers import PEERS
from tinygrad_bp.check import Report

RUNS = 10_000
CAUGHT_BAR, OPEN_BAR, NAMED_BAR, MILLION_BAR = 0.995, 0.03, 0.95, 2.0
ELEMENTS = {"first element twice": 0.0, "last element lost": 1.0, "middle element shifted": 0.5}
MISSED: list[str] = []  # the bars that were


class Planted(NamedTuple):
    """A case with a wrong backward pass."""

    case: Case
    bug: str
    vjp: Vjp


def ours(case: Case, vjp: Vjp, seed: int = 0, **options: Any) -> Report:
    return tg.gradcheck(
        case.function, case.point, vjp=vjp, seed=seed, raise_exception=False, **options
    )


def bar(text: str, met: bool) -> None:
    """Say whether a bar is met, and remember if it is not."""
    print(f"  {'ok    ' if met else 'MISSED'} {text}")
    if not met:
        MISSED.append(text)


def percent(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):6.2f} %"


# ---------------------------------------------------------------------------------- right functions


def right_functions(half: list[Case], runs: int) -> None:
    seeds = -(-runs // len(half))
    print(f"\n1. Right functions: {len(half)}, of which {sum(bool(c.nasty) for c in half)} nasty;"
          f" {seeds} seeds, {seeds * len(half)} runs")  # fmt: skip
    tally: Counter[tuple[bool, str]] = Counter()
    named: Counter[str] = Counter()
    for case in half:
        for seed in range(seeds):
            verdict = ours(case, case.vjp, seed).verdict
            tally[bool(case.nasty), verdict] += 1
            if verdict in ("FAIL", "INCONCLUSIVE"):
                named[f"{verdict}: {case.name}"] += 1
    verdicts = ("PASS", "IMPRECISE", "INCONCLUSIVE", "FAIL")
    print(f"  {'':24}" + "".join(f"{v:>14}" for v in verdicts))
    for nasty, label in ((False, "smooth, well scaled"), (True, "nasty")):
        print(f"  {label:24}" + "".join(f"{tally[nasty, v]:14}" for v in verdicts))
    for text, count in named.most_common():
        print(f"    {count:5} of {seeds} {text}")
    total = sum(tally.values())
    unsure = sum(tally[nasty, "INCONCLUSIVE"] for nasty in (False, True))
    accused = sum(tally[nasty, "FAIL"] for nasty in (False, True))
    bar(f"no right function accused in {total} runs (accused: {accused})", accused == 0)
    bar(f"inconclusive {percent(unsure, total)}, at most 3 %", unsure <= OPEN_BAR * total)
    bar("none inconclusive among the smooth ones", tally[False, "INCONCLUSIVE"] == 0)
    for name, passes in PEERS.items():
        wrong = [case for case in half if not passes(case.function, case.vjp, case.point)]
        smooth = sum(not case.nasty for case in wrong)
        print(f"  {name:24} accuses {len(wrong):3} of {len(half)}, of the smooth ones {smooth}")


# ---------------------------------------------------------------------------------- planted bugs


def planted_bugs(half: list[Case], stride: int) -> list[Planted]:
    every = [Planted(case, bug, vjp) for case in half for bug, vjp in mutants(case)]
    return every[::stride]


def caught(planted: list[Planted]) -> None:
    print(f"\n2. Planted bugs: {len(planted)}")
    missed = [p for p in planted if ours(p.case, p.vjp).verdict != "FAIL"]
    found = len(planted) - len(missed)
    print(f"  {'tinygrad_bp':24} catches {percent(found, len(planted))}")
    for p in missed:
        print(f"    not caught: {p.bug} in {p.case.name}: {ours(p.case, p.vjp).verdict}")
    still = [p for p in missed if ours(p.case, p.vjp, coordinates=True).verdict != "FAIL"]
    for name, passes in PEERS.items():
        count = sum(not passes(p.case.function, p.vjp, p.case.point) for p in planted)
        print(f"  {name:24} catches {percent(count, len(planted))}")
    bar("at least 99.5 % caught", found >= CAUGHT_BAR * len(planted))
    bar(f"all caught with coordinates=True (missed: {len(still)})", not still)


def elements(planted: list[Planted]) -> None:
    """Ask whether the one element that is wrong is named."""
    single = [p for p in planted if p.bug in ELEMENTS]
    named = 0
    for p in single:
        x = p.case.point[-1]
        position = int(ELEMENTS[p.bug] * (x.size - 1))
        expected = (
            len(p.case.point) - 1,
            tuple(int(i) for i in np.unravel_index(position, x.shape)),
        )
        worst = ours(p.case, p.vjp).worst
        right = worst is not None and (worst.argument, worst.index) == expected
        named += right
        if not right:
            print(f"    not named: {p.bug} in {p.case.name}: {worst}, expected {expected}")
    print(f"\n3. A bug in one element: named in {named} of {len(single)}")
    bar("the element is named exactly", named == len(single))


# ---------------------------------------------------------------------------------- blame

RULES: dict[str, Callable[[Any], Any]] = {
    "twice": lambda share: 2 * share,
    "sign": lambda share: -1 * share,
    "dropped": lambda share: 0 * share,
    "one more": lambda share: share + 1,
    "a hundredth more": lambda share: 1.01 * share,
}


@contextmanager
def planted_rule(op: Any, slot: int, change: Callable[[Any], Any]) -> Iterator[None]:
    """Change what a rule of an op returns, for a while."""
    rules, rule = op.rules, op.rules[slot if len(op.rules) > 1 else 0]

    def spoiled(*arguments: Any, **params: Any) -> Any:
        found = rule(*arguments, **params)
        return [change(g) for g in found] if isinstance(found, list | tuple) else change(found)

    op.rules = list(rules)
    op.rules[slot if len(rules) > 1 else 0] = spoiled
    try:
        yield
    finally:
        op.rules = rules


def blamed(half: list[Case], stride: int) -> None:
    named: Counter[bool] = Counter()
    trials = [
        (case, op, slot, bug)
        for case in half
        if not case.nasty and case.backward is None
        for op, slot in rules_in(case)
        for bug in RULES
    ]
    for case, op, slot, bug in trials[::stride]:
        with planted_rule(op, slot, RULES[bug]):
            report = tg.gradcheck(case.function, case.point, raise_exception=False)
        if report.verdict == "FAIL":
            right = report.culprit is not None and report.culprit.op == op.name
            named[right] += 1
            if not right:
                print(f"    not named: {bug} in {op.name} of {case.name}: {report.culprit}")
    print(f"  A bug in a rule of a composite function: the op is named in {named[True]} of "
          f"{named.total()} failures")  # fmt: skip
    bar("the op is named in at least 95 %", named[True] >= NAMED_BAR * named.total())


def rules_in(case: Case) -> list[tuple[Any, int]]:
    """List the rules that a composite function uses: of ops of which it has at least three."""
    from tinygrad_bp.flow import Flow

    y = case.function(*(tg.Tensor(x) for x in case.point))
    nodes = [n for n in Flow(y).nodes if n.op is not None and n.requires_grad]
    found: dict[tuple[Any, int], None] = {}
    for node in nodes if len(nodes) >= 3 else []:
        for slot, x in enumerate(node.inputs):
            if x.requires_grad and not node.op.selects and slot not in node.op.skipped:
                found[node.op, slot] = None
    return list(found)


# ---------------------------------------------------------------------------------- cost


def cost() -> None:
    rng = np.random.default_rng(0)
    w, v = rng.normal(size=(1000, 999)) / 30, rng.normal(size=(999, 1)) / 30
    x = rng.normal(size=(1, 1000))

    def network(w: Any, v: Any) -> Any:
        return (tg.tanh(x @ w) @ v).sum()

    times, report = [], None
    for _ in range(3):
        start = perf_counter()
        report = tg.gradcheck(network, (w, v))
        times.append(perf_counter() - start)
    assert report is not None
    print(f"\n4. A network with {w.size + v.size:,} parameters: {min(times):.2f} s, "
          f"{report.evaluations} evaluations, {report.gradient_calls} gradients, "
          f"{len(report.findings)} directions; {report.certificate}")  # fmt: skip
    bar("at most 2 s on one core", min(times) <= MILLION_BAR)
    each = report.evaluations / len(report.findings), report.gradient_calls / len(report.findings)
    bar("at most 60 evaluations and 12 gradients a direction", each[0] <= 60 and each[1] <= 12)


# ---------------------------------------------------------------------------------- the table

SHOWN = (  # what the documents show: the title, the function, the point, its gradient
    ("`relu` at 0, slope 0", lambda x: np.maximum(x, 0), [0.0, 1.0, -2.0],
     lambda x, u: u * (x > 0), True),
    ("`max` of a tie, shared", np.max, [2.0, 1.0, 2.0],
     lambda x, u: u * (x == x.max()) / np.sum(x == x.max()), True),
    ("`x²` of numbers near 10⁸", np.square, [1e8, 2e8, -3e8], lambda x, u: 2 * u * x, True),
    ("`sin(10⁴ x)`", lambda x: np.sin(1e4 * x), [0.5, 1.0, 2.0],
     lambda x, u: u * 1e4 * np.cos(1e4 * x), True),
    ("`sin`, computed in float32", lambda x: np.sin(np.float32(x)).astype(float), [0.5, 1.0, 2.0],
     lambda x, u: u * np.cos(x), True),
    ("`relu` at 0, slope 2", lambda x: np.maximum(x, 0), [0.0, 1.0, -2.0],
     lambda x, u: u * np.where(x == 0, 2, x > 0), False),
    ("`10⁻⁶ sin x`, gradient 0", lambda x: 1e-6 * np.sin(x), [0.5, 1.0, 2.0],
     lambda x, u: 0 * x, False),
    ("`sin`, slope 1.0005 cos", np.sin, [0.5, 1.0, 2.0],
     lambda x, u: 1.0005 * u * np.cos(x), False),
    ("`x²` of 10⁻³, 1 and 10³, the first doubled", np.square, [1e-3, 1.0, 1e3],
     lambda x, u: 2 * u * x * [2, 1, 1], False),
    ("`sum(x²)`, upstream ignored", lambda x: np.sum(x * x), [0.5, 1.0, 2.0],
     lambda x, u: 2 * x, False),
)  # fmt: skip


def table() -> int:
    """Print what everyone says of a few gradients, as rows of Markdown."""
    names = ["tinygrad_bp", *PEERS]
    print("| gradient | right? | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 2) + "|")
    for title, function, point, rule, right in SHOWN:
        at = (np.array(point),)

        def vjp(x: Any, u: Any, rule: Any = rule) -> Any:
            return (np.asarray(rule(x, u), float),)

        said = [tg.gradcheck(function, at, vjp=vjp, raise_exception=False).verdict]
        said += ["pass" if p(function, vjp, at) else "fail" for p in PEERS.values()]
        print(f"| {title} | {'yes' if right else 'no'} | " + " | ".join(said) + " |")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer runs and bugs")
    parser.add_argument("--half", choices=("odd", "even"), default="odd")
    parser.add_argument("--edition", type=int, choices=(0, 1), default=1)
    parser.add_argument("--table", action="store_true", help="the table of the documents")
    options = parser.parse_args()
    if options.table:
        return table()
    every = cases(options.edition)
    half = every[options.half == "odd" :: 2]
    packages = " ".join(f"{p} {version(p)}" for p in ("torch", "jax", "autograd", "scipy", "numpy"))
    print(f"The {options.half} half of {len(every)} cases, edition {options.edition}. {packages}")
    start = perf_counter()
    right_functions(half, RUNS // 20 if options.quick else RUNS)
    planted = planted_bugs(half, 7 if options.quick else 1)
    caught(planted)
    elements(planted)
    blamed(half, 7 if options.quick else 1)
    cost()
    print(f"\n{perf_counter() - start:.0f} s. Bars missed: {len(MISSED)}")
    return bool(MISSED)


if __name__ == "__main__":
    sys.exit(main())
