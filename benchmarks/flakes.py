"""Is a check of the ops ever wrong by chance? Every op, over many seeds.

Run from the project root, after `pip install ".[test]"`:

    python -m benchmarks.flakes [--seeds 200] [--programs 5]
    python -m benchmarks.flakes --suite [--seeds 200] [--first 0]

The first form draws for every seed one sample of every op that has a gradient (case, shape, values,
memory layout) and some random programs, and asks `tg.gradcheck`, which also takes the seed. All
are right, so a FAIL is a false alarm. Leaves with status 1 at one, or when more than 3 % of the
checks could say nothing.

The second form runs the tests of the ops: all of them with the first seed, which is timed, and
those that hypothesis drives with every other seed. Leaves with status 1 at a failure, or when the
full run takes more than 90 s. A share of the seeds for each of two cores:

    taskset -c 0 python -m benchmarks.flakes --suite --seeds 100 &
    taskset -c 1 python -m benchmarks.flakes --suite --seeds 100 --first 100
"""

import os

for library in ("OMP", "OPENBLAS", "MKL"):  # read once, while NumPy is imported
    os.environ[f"{library}_NUM_THREADS"] = "1"

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np

import tinygrad_bp as tg
from tinygrad_bp.check.programs import random_program
from tinygrad_bp.check.samples import LAYOUTS, SHAPES, Entry, Sample, cases_of, differentiable, make

INCONCLUSIVE_BAR = 0.03


def random_sample(entry: Entry, rng: np.random.Generator) -> Sample:
    shape = SHAPES[rng.integers(len(SHAPES))]
    cases = cases_of(entry, shape) or cases_of(entry, (2, 3))
    shapes, params = cases[rng.integers(len(cases))]
    layouts = [LAYOUTS[i] for i in rng.integers(len(LAYOUTS), size=len(shapes))]
    return make(entry, shapes, params, rng).with_layouts(layouts)


def functions(seed: int, programs: int) -> Iterator[tuple[str, Callable[..., Any], list[Any]]]:
    rng = np.random.default_rng(seed)
    for entry in differentiable():
        sample = random_sample(entry, rng)
        yield entry.facts.name, sample, sample.varied
    for _ in range(programs):
        program = random_program(rng)
        yield "a program", program, program.inputs


def check_ops(first: int, seeds: int, programs: int) -> bool:
    found: Counter[str] = Counter()
    start = perf_counter()
    for seed in range(first, first + seeds):
        for name, function, inputs in functions(seed, programs):
            report = tg.gradcheck(function, tuple(inputs), seed=seed, raise_exception=False)
            found[report.verdict] += 1
            if not report:
                print(f"\nseed {seed}, {name}: {function!r}\n{report}")
    seconds = perf_counter() - start
    total = sum(found.values())
    counts = ", ".join(f"{found[v]} {v}" for v in ("PASS", "IMPRECISE", "INCONCLUSIVE", "FAIL"))
    print(f"{total} checks over {seeds} seeds: {counts}")
    print(f"{seconds:.0f} s, {1e3 * seconds / total:.1f} ms for a check")
    return found["FAIL"] == 0 and found["INCONCLUSIVE"] <= INCONCLUSIVE_BAR * total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--programs", type=int, default=5)
    parser.add_argument("--suite", action="store_true")
    given = parser.parse_args()
    if given.suite:
        from benchmarks.suite import run_suite  # needs pytest and hypothesis

        held = run_suite(given.first, given.seeds)
    else:
        held = check_ops(given.first, given.seeds, given.programs)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
