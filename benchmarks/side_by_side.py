"""Racing programs against each other: one core, turns, medians, spreads, and bars to hold.

What is measured is the processor time of the process: what else runs on the machine does not count.
"""

import gc
import os
import sys
from collections.abc import Callable, Mapping
from statistics import median
from time import process_time
from typing import NamedTuple

THREADS = int(os.environ["BENCH_THREADS"])
Run = Callable[[], object]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))


class Bar(NamedTuple):
    """What the time of ours may be, as a multiple of another one's."""

    ours: str
    other: str
    most: float


def take_turns(runs: dict[str, Run], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Return the seconds of each in each round, after one round that nobody counts."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for lap in range(rounds + 1):
        for name, run in runs.items():
            gc.collect()  # nobody pays for what another one left
            start = process_time()
            run()
            if lap:
                seconds[name].append(process_time() - start)
    return seconds


def ratio(seconds: dict[str, list[float]], ours: str, other: str) -> float:
    """Return the median of the ratios in one round: what slows the machine slows both."""
    return median(a / b for a, b in zip(seconds[ours], seconds[other], strict=True))


def report(
    title: str, seconds: dict[str, list[float]], steps: dict[str, int], bars: list[Bar], unit: str
) -> None:
    """Print a table in Markdown; per step, in µs."""
    print(
        f"\n## {title}\n\n| program | µs per {unit} | spread | bar |\n| --- | ---: | ---: | --- |"
    )
    for name, times in seconds.items():
        each = sorted(t / steps[name] * 1e6 for t in times)
        held = "; ".join(_judge(bar, seconds, steps) for bar in bars if bar.other == name)
        print(f"| {name} | {median(each):.3g} | {each[0]:.3g} – {each[-1]:.3g} | {held} |")
    sys.stdout.flush()


def _judge(bar: Bar, seconds: dict[str, list[float]], steps: dict[str, int]) -> str:
    if bar.ours not in seconds:
        return ""
    measured = ratio(seconds, bar.ours, bar.other) * steps[bar.other] / steps[bar.ours]
    verdict = "holds" if measured <= bar.most else "**missed**"
    return f"{bar.ours}: {measured:.3g}× (at most {bar.most:g}×), {verdict}"


def installed(programs: Mapping[str, Callable[[], Run]]) -> dict[str, Run]:
    """Prepare the programs whose packages are there; say which are not."""
    ready = {}
    for name, prepare in programs.items():
        try:
            ready[name] = prepare()
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return ready
