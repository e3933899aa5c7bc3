"""All that an op has to stand: its gradient, small or at kinks, in reuse, in a second pass.

A trial is a list of probes of one op, each on a few small inputs. An op that is right passes every
one; a planted bug is caught by the first probe that fails.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.check.directions import mixed
from tinygrad_bp.check.gradcheck import gradcheck, subject_of
from tinygrad_bp.check.precision import check_in_all_precisions
from tinygrad_bp.check.samples import (
    Sample,
    cases_of,
    domain_of,
    is_linear_algebra,
    make,
)
from tinygrad_bp.errors import GradientError, TinygradError
from tinygrad_bp.facts import OPS, Shape
from tinygrad_bp.graph import walk
from tinygrad_bp.nested import flatten, transform
from tinygrad_bp.op import Elementwise, Op
from tinygrad_bp.tensor import Tensor

TELLING: tuple[Shape, ...] = ((3, 3), (), (2, 3))  # square: a transposed gradient has its shape
SMALL = 1e-9  # times the values, so that a gradient is small but not zero
BESIDE = 1e-9  # a continuous function does not jump that near to a kink


class Probe(NamedTuple):
    """One thing to try: what it looks for, and a function that raises if it finds it."""

    kind: str
    function: Callable[..., None]
    arguments: tuple[Any, ...] = ()

    def run(self) -> None:
        """Raise if there is something wrong."""
        self.function(*self.arguments)


def trial(op: Op, first: str = "") -> None:
    """Raise `GradientError` (or whatever a faulty op raises) unless `op` passes all probes.

    ``first``: the kind of probe to begin with.

    >>> trial(tg.tanh)
    """
    with np.errstate(all="ignore"):  # a faulty op may well overflow
        for probe in sorted(probes(op), key=lambda probe: probe.kind != first):
            probe.run()


def probes(op: Op) -> list[Probe]:
    """List what an op is tried on."""
    samples = telling_samples(op)
    main = samples[0]
    found = [Probe("gradient", agrees, (s, s.varied)) for s in samples]
    found.append(Probe("small", agrees, (scaled(main), main.varied)))
    found += [Probe("passes", keeps_its_values, (s,)) for s in samples[:2]]
    found += [Probe("ties", agrees_at_kinks, case) for case in at_ties(samples)]
    found += [Probe("reuse", agrees, case) for case in with_reuse(samples)]
    if isinstance(op, Elementwise) or op.routes:
        found.append(Probe("masks", passes_masks, (main,)))
    return found


def telling_samples(op: Op) -> list[Sample]:
    """Return a sample of each case that a few telling shapes give, each case once."""
    rng = np.random.default_rng(7)
    cases = {repr(case): case for shape in TELLING for case in cases_of(op, shape)}
    samples = [make(op, *case, rng) for case in cases.values()]
    return sorted(samples, key=lambda sample: -most_square(sample))


def most_square(sample: Sample) -> int:
    """Count the inputs that are square matrices: the most telling sample comes first."""
    return sum(x.ndim >= 2 and x.shape[-1] == x.shape[-2] > 1 for x in sample.inputs)


# ---------------------------------------------------------------------------------- probes


def agrees(function: Callable[..., Any], inputs: Sequence[Any]) -> None:
    """Raise unless the gradient passes the numeric check; who is to blame is not asked."""
    outcome = check_in_all_precisions(subject_of(function, tuple(inputs), None, None), 1e-6, 0)
    if outcome.verdict != "PASS":
        raise GradientError(
            f"{outcome.verdict} for {function!r}: {outcome.problem or 'the numbers differ'}",
            where="the numeric check",
            expected="PASS",
            repair="Ask tg.gradcheck for the element and the node at fault.",
        )


def agrees_at_kinks(function: Callable[..., Any], inputs: Sequence[Any]) -> None:
    """Raise if the gradient is outside of what the kinks of its nodes leave open."""
    report = gradcheck(function, tuple(inputs), raise_exception=False)
    if report.verdict in ("FAIL", "IMPRECISE"):
        raise report.error()


def scaled(sample: Sample) -> Callable[..., Any]:
    """Return the function times a small number."""
    return lambda *xs: transform(lambda y: SMALL * y, sample(*xs))


def at_ties(samples: Sequence[Sample]) -> Iterator[tuple[Sample, list[np.ndarray]]]:
    """Yield samples with inputs at kinks, and with elements that equal each other."""
    for sample in samples:
        tied = [with_ties(x, is_linear_algebra(sample.entry)) for x in sample.varied]
        for x in tied[1:]:
            if x.shape == tied[0].shape and x.size > 2:
                x.reshape(-1)[2] = tied[0].reshape(-1)[2]
        at_kink = [x.copy() for x in tied]
        for i, x in enumerate(at_kink):
            kinks = domain_of(sample.entry, i).kinks
            x.reshape(-1)[:1] = kinks[0] if kinks else x.reshape(-1)[:1]
        for inputs in (tied, at_kink):
            if is_continuous(sample, inputs):
                yield sample, inputs


def with_ties(x: np.ndarray, inside: bool) -> np.ndarray:
    """Let two elements share the largest value and two the smallest (or two one in the middle)."""
    x = x.copy()
    flat, order = x.reshape(-1), np.argsort(x, axis=None)
    if inside and x.size > 1:
        flat[order[x.size // 2]] = flat[order[x.size // 2 - 1]]
    elif x.size > 3:
        flat[order[-2]], flat[order[1]] = flat[order[-1]], flat[order[0]]
    return x


def is_continuous(sample: Sample, inputs: Sequence[np.ndarray]) -> bool:
    """Ask whether the values are finite and nearly the same beside the inputs."""

    def values(step: float) -> np.ndarray:
        outputs = flatten(sample(*(x + step for x in inputs)))[0]
        return np.concatenate([np.ravel(y) for y in outputs])

    try:
        with np.errstate(all="ignore"):
            before, at, after = map(values, (-BESIDE, 0, BESIDE))
    except TinygradError:  # no longer defined there
        return False
    jump = np.max(np.abs(np.stack([before - at, after - at])), initial=0)
    return bool(np.isfinite(at).all() and jump < 1e-5)


def with_reuse(samples: Sequence[Sample]) -> Iterator[tuple[Callable[..., Any], list[np.ndarray]]]:
    """Yield a function of one input that uses it for all of its own, if they can be the same."""
    for sample in samples:
        if len(sample.varied) > 1 and len({x.shape for x in sample.varied}) == 1:
            yield reusing(sample), sample.varied[:1]
            return


def reusing(sample: Sample) -> Callable[..., Any]:
    """Return x ↦ Σ op(x, x) · Σ x, whose gradient is not zero where op(x, x) is constant."""
    count = len(sample.varied)
    return lambda x: OPS["sum"](sample(*[x] * count)) * OPS["sum"](x)


def keeps_its_values(sample: Sample) -> None:
    """Raise if a backward pass changes a value, another gradient, or what the next pass gives."""
    leaves = [Tensor(x) for x in sample.varied]
    inputs = [x * 1.0 for x in leaves]  # leaves are read-only, what is computed is not
    for y in flatten(sample(*inputs))[0]:
        beside = Tensor(np.zeros(y.shape))
        total = 2 * (y + beside)
        u = mixed(y.size, np.random.default_rng(3)).reshape(y.shape)
        nodes = list(walk(total))
        before = [np.array(node.value) for node in nodes]
        runs = [total.gradient(y, beside, *leaves, cotangent=u) for _ in range(3)]
        same = [np.array_equal(a, b) for run in runs[1:] for a, b in zip(run, runs[0], strict=True)]
        untouched = [np.array_equal(n.value, v) for n, v in zip(nodes, before, strict=True)]
        arrived = [np.array_equal(g, 2 * u) for g in runs[0][:2]]
        if not all(same + untouched + arrived):
            raise GradientError(
                f"a backward pass of {sample} that changes values or the next pass",
                expected="the same numbers in every pass, and recorded values as they were",
                repair="Never write into an array that a rule was given, and keep no state.",
            )


def passes_masks(sample: Sample) -> None:
    """Raise if a branch that was not taken leaks NaN: where(no, op(√x), 0) at x = 0."""
    leaves = [Tensor(np.zeros_like(x)) for x in sample.varied]
    with np.errstate(all="ignore"):
        y = sample(*map(OPS["sqrt"], leaves))
        kept = OPS["where"](np.zeros(y.shape, bool), y, 0.0)
        gradients = kept.sum().gradient(*leaves)
    for g in gradients if len(leaves) > 1 else [gradients]:
        if np.any(g != 0):
            raise GradientError(
                f"{g} behind a mask that took nothing of {sample}",
                expected="a gradient of 0",
                repair="Let the op pass on which elements were taken.",
            )
