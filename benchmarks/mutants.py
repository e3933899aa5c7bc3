"""How many planted bugs does the check of the library catch, class by class, and at what size?

Run from the project root, after `pip install ".[test]"`:

    python -m benchmarks.mutants [--elements 100000]    (0: leave out the second part)

1. Every bug of the catalogue is planted in every rule and in the engine, and looked for by the
   trial that the tests use. What survives is listed, with whether it changes any gradient at all.
2. In every op that takes an array of any length, one of many elements gets twice its gradient;
   `tg.gradcheck` is asked once, at that length.

Leaves with status 1 if a bug that changes a gradient survives.
"""

import os

for library in ("OMP", "OPENBLAS", "MKL"):  # read once, while NumPy is imported
    os.environ[f"{library}_NUM_THREADS"] = "1"

import argparse
import sys
from collections import Counter
from time import perf_counter

import numpy as np

import tinygrad_bp as tg
from tinygrad_bp.check import mutants
from tinygrad_bp.check.samples import Sample, cases_of, differentiable, make
from tinygrad_bp.op import Op

RULES = [entry for entry in differentiable() if isinstance(entry, Op)]
ONE_ELEMENT = "one element twice"


def every_class() -> bool:
    """Plant every mutant and print how many of each class are caught."""
    start = perf_counter()
    planted = [*(m for op in RULES for m in mutants.of(op)), *mutants.engine()]
    alive = [mutant for mutant in planted if not mutants.is_killed(mutant)]
    silent = [mutant for mutant in alive if mutants.is_equivalent(mutant)]
    seconds = perf_counter() - start
    total, left, same = (Counter(m.number for m in some) for some in (planted, alive, silent))
    print(f"{'class':50}{'planted':>8}{'caught':>8}{'no bug':>8}{'alive':>8}")
    for number, description in mutants.CLASSES.items():
        caught, alive_here = total[number] - left[number], left[number] - same[number]
        row = (total[number], caught, same[number], alive_here)
        print(f"{number:>4}  {description:44}" + "".join(f"{n:8}" for n in row))
    score = 1 - (len(alive) - len(silent)) / (len(planted) - len(silent))
    print(f"{len(planted)} bugs in {seconds:.0f} s; {score:.1%} of those that change a gradient")
    for mutant in alive:
        if mutant.op is None or mutant.op.name not in ("sign", "heaviside"):
            print(f"  {'changes nothing' if mutant in silent else 'SURVIVES'}: {mutant}")
    return len(alive) == len(silent)


def one_of_many(elements: int) -> bool:
    """Plant one wrong element among many, in every op that takes so many."""
    held, tried, start = True, 0, perf_counter()
    for op in RULES:
        sample = of_length(op, elements)
        mutant = next((m for m in mutants.of(op) if m.name == ONE_ELEMENT), None)
        if sample is None or mutant is None or mutants.is_equivalent(mutant):
            continue
        tried += 1
        right = tg.gradcheck(sample, tuple(sample.varied), raise_exception=False).verdict
        with mutant.planted():
            wrong = tg.gradcheck(sample, tuple(sample.varied), raise_exception=False).verdict
        if (right, wrong) != ("PASS", "FAIL"):
            held = False
            print(f"  {op.name}: {right} without the bug, {wrong} with it")
    print(f"1 of {elements} elements wrong, {tried} ops: {perf_counter() - start:.0f} s, "
          f"{'all caught' if held else 'NOT all caught'}")  # fmt: skip
    return held


def of_length(op: Op, elements: int) -> Sample | None:
    """Return a sample of an op with one long axis, if it takes one."""
    cases = [case for case in cases_of(op, (elements,)) if (elements,) in case[0]]
    return make(op, *cases[0], np.random.default_rng(1)) if cases else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--elements", type=int, default=100_000)
    elements = parser.parse_args().elements
    held = [every_class(), elements == 0 or one_of_many(elements)]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
