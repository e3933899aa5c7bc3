"""Who names the line at which NaN begins: tg.debug(), tg.diagnose() or torch's detect_anomaly?

Run from the project root, after `pip install ".[bench]"`:

    python -m benchmarks.debugging

Ten programs, each written once and run by both libraries on the same float numbers. In each the
comment `guilty` marks the line to be found: the first that makes NaN or infinity out of finite
numbers, in its value or in the gradient that it passes on. A point is for naming that line; an
answer in words is not asked for. Leaves with status 1 if tg.debug() or tg.diagnose() miss one.
"""

import contextlib
import inspect
import re
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tinygrad_bp as tg
from tinygrad_bp.origin import listening, note_line

Program = Callable[[Any, Callable[..., Any]], Any]  # (library, make a leaf) -> the loss
FILE = "debugging.py"
PROGRAMS: list[Program] = []


def program(function: Program) -> Program:
    PROGRAMS.append(function)
    return function


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


# ---------------------------------------------------------------------------------- ten programs


@program
def the_inner_root_of_two(lib: Any, leaf: Any) -> Any:
    x = leaf(np.array([1.0, 3.0, 6.0])) - 2.0
    inner = lib.sqrt(x)  # guilty
    outer = lib.sqrt(inner)
    return outer.sum()


@program
def the_loss_itself_is_nan(lib: Any, leaf: Any) -> Any:
    w, x = leaf(numbers(3, 1)), leaf(numbers(4, 3, seed=1))
    output = x @ w - 10.0
    surprise = lib.log(output)  # guilty
    return surprise.mean()


@program
def softmax_by_hand_overflows(lib: Any, leaf: Any) -> Any:
    w, x = leaf(numbers(4, 3)), leaf(numbers(5, 4, seed=1))
    scores = x @ w * 3000.0
    e = lib.exp(scores)  # guilty
    total = e.sum(1)
    probability = e[:, 0] / total
    return lib.log(probability).mean()


@program
def sigmoid_by_hand_overflows(lib: Any, leaf: Any) -> Any:
    x = leaf(np.array([0.5, -1000.0]))
    minus = -x
    e = lib.exp(minus)  # guilty
    y = 1.0 / (1.0 + e)
    return ((y - 1.0) ** 2).mean()


@program
def the_slope_of_a_norm_at_zero(lib: Any, leaf: Any) -> Any:
    a = leaf(np.array([[3.0, 4.0], [0.0, 0.0]]))
    squares = a * a
    total = squares.sum(1)
    length = lib.sqrt(total)  # guilty
    return length.sum()


@program
def a_branch_that_where_does_not_take_behind_a_product(lib: Any, leaf: Any) -> Any:
    x, ones = leaf(np.array([[4.0, 0.0], [1.0, 9.0]])), leaf(np.ones((2, 1)))
    root = lib.sqrt(x)  # guilty
    rows = root @ ones
    return lib.where(rows > 3.0, rows, 0.0 * ones).sum()


@program
def a_mask_as_a_factor(lib: Any, leaf: Any) -> Any:
    x, mask = leaf(np.array([0.0, 4.0])), leaf(np.array([0.0, 1.0]))
    root = lib.sqrt(x)  # guilty
    return (root * mask).sum()


@program
def a_normalisation_by_a_spread_of_zero(lib: Any, leaf: Any) -> Any:
    x, w = leaf(numbers(6, 3, seed=1)), leaf(numbers(3) * 0.0)
    h = x @ w
    centred = h - h.mean()
    spread = (centred**2).mean() ** 0.5
    normal = centred / spread  # guilty
    return lib.tanh(normal).mean()


@program
def a_negative_base(lib: Any, leaf: Any) -> Any:
    x, w = leaf(numbers(5, 3, seed=1)), leaf(numbers(3, 2))
    h = x @ w
    power = h**1.5  # guilty
    return power.mean()


@program
def float32_overflows_in_a_deep_network(lib: Any, leaf: Any) -> Any:
    h = leaf(numbers(4, 16), dtype="float32")
    w = leaf(8 * numbers(16, 16, seed=1), dtype="float32")
    for _ in range(40):
        net = h @ w  # guilty
        h = lib.relu(net)
    return h.mean()


# ---------------------------------------------------------------------------------- three answers


def ours(array: np.ndarray, dtype: str = "float64") -> tg.Tensor:
    return tg.Tensor(array, dtype=dtype)


def guilty_line(program: Program) -> int:
    lines, start = inspect.getsourcelines(program)
    return start + next(i for i, line in enumerate(lines) if line.endswith("# guilty\n"))


def in_this_file(text: str) -> int | None:
    """Return the last line of this file that a text names."""
    found = re.findall(rf"{FILE}(?::|\", line )(\d+)", text)
    return int(found[-1]) if found else None


def asked_debug(program: Program) -> int | None:
    try:
        with tg.debug():
            program(tg, ours).backward()
    except tg.InputError as error:
        return in_this_file(str(error))
    return None


def asked_diagnose(program: Program) -> int | None:
    with np.errstate(all="ignore"), listening(note_line):
        found = tg.diagnose(program(tg, ours))
    return in_this_file(str(found).splitlines()[0])


def asked_torch(program: Program) -> int | None:
    """Return the line of the forward pass that detect_anomaly shows, the last one of it."""
    import torch

    def theirs(array: np.ndarray, dtype: str = "float64") -> Any:
        return torch.tensor(array, dtype=getattr(torch, dtype), requires_grad=True)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with torch.autograd.detect_anomaly():
                program(torch, theirs).backward()
        except RuntimeError:
            texts = [str(warning.message) for warning in caught]
            shown = [text for text in texts if "Traceback of forward call" in text]
            return in_this_file(shown[-1]) if shown else in_this_file(traceback.format_exc())
    return None


class Contestant(NamedTuple):
    name: str
    ask: Callable[[Program], int | None]


CONTESTANTS = (
    Contestant("tg.debug", asked_debug),
    Contestant("tg.diagnose", asked_diagnose),
    Contestant("detect_anomaly", asked_torch),
)


def verdict(named: int | None, guilty: int) -> str:
    return "named" if named == guilty else "silent" if named is None else f"line {named}"


def main() -> int:
    contestants = list(CONTESTANTS)
    with contextlib.suppress(ModuleNotFoundError):
        import torch

        print(f"torch {torch.__version__}, NumPy {np.__version__}")
    if "torch" not in sys.modules:
        contestants.pop()
        print("torch is not installed: pip install '.[bench]'")
    print(f"{'':52}{'line':>6}" + "".join(f"{c.name:>16}" for c in contestants))
    score = dict.fromkeys(contestants, 0)
    for each in PROGRAMS:
        guilty = guilty_line(each)
        verdicts = [verdict(c.ask(each), guilty) for c in contestants]
        for contestant, text in zip(contestants, verdicts, strict=True):
            score[contestant] += text == "named"
        name = getattr(each, "__name__", "").replace("_", " ")
        print(f"{name:52}{guilty:6}" + "".join(f"{text:>16}" for text in verdicts))
    print(f"{'score':52}{'':6}" + "".join(f"{n:>13}/{len(PROGRAMS)}" for n in score.values()))
    return 0 if all(score[c] == len(PROGRAMS) for c in CONTESTANTS[:2]) else 1


if __name__ == "__main__":
    sys.exit(main())
