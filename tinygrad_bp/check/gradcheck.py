"""gradcheck: is a gradient right? The door."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_bp.check.adapters import Ours, Plain, PlainPullback, flat_call
from tinygrad_bp.check.blame import (
    check_nodes,
    culprit_of,
    faulty_rule,
    faulty_sum,
    finding_of,
    infinite_slope,
    second,
)
from tinygrad_bp.check.diagnosis import diagnose
from tinygrad_bp.check.engine import Outcome
from tinygrad_bp.check.foreign import FOREIGN, array_of, library_of, tell_inputs
from tinygrad_bp.check.precision import check_in_all_precisions
from tinygrad_bp.check.recorded import Recorded, recorded
from tinygrad_bp.check.report import Culprit, Report, worst_of
from tinygrad_bp.check.second_opinion import confirms
from tinygrad_bp.check.subject import Subject
from tinygrad_bp.errors import describe
from tinygrad_bp.flow import Flow
from tinygrad_bp.listeners import RECORDING, recording
from tinygrad_bp.nested import flatten
from tinygrad_bp.origin import listening, note_line
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.tracing import dot_all, name_of
from tinygrad_bp.validate import as_array, as_count, as_number, refuse


def gradcheck(
    f: Callable[..., Any],
    inputs: Any,
    *,
    grad: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    order: int = 1,
    resolution: float = 1e-6,
    seed: int = 0,
    strict: bool = False,
    raise_exception: bool = True,
    coordinates: bool = False,
) -> Report:
    """Check the gradient of a function against slopes measured from its values alone.

    ``inputs``: one array or a tuple of them, floats of any shape; f is called with as many
    arguments. f may be a function of Tensors, of torch, jax, MyGrad or HIPS autograd values (told
    by the inputs), or a plain function with its gradient ``grad(*inputs)`` or its backward pass
    ``vjp(*inputs, cotangent)`` written by hand. What ``grad`` returns is the gradient of a number;
    for an array it is the Jacobian, or, if it has the shape that value and input share, the
    derivative of each element (for the gradient of a sum check the sum). Results that are whole
    numbers or bools count as floats, so that their gradient is zero.

    ``order=2`` also checks the gradient of the gradient; ``resolution``: the relative error that
    must be visible for a PASS; ``strict``: anything but a PASS raises; ``coordinates``: every
    element is also checked on its own. Gradients are recorded also inside no_grad().

    Raises `GradientError` if the gradient is wrong, unless ``raise_exception=False``; `InputError`
    for inputs that have no gradient.

    >>> bool(gradcheck(lambda x: tg.tanh(x).sum(), np.array([0.5, -2.0])))
    True
    >>> gradcheck(np.sin, 0.5, grad=np.sin, raise_exception=False).verdict
    'FAIL'
    """
    subject = subject_of(f, inputs, grad, vjp)
    check_options(order, resolution, seed)
    with anyway(), helped(f, subject):
        outcome = check_in_all_precisions(subject, resolution, seed, coordinates=coordinates)
        if order == 2 and outcome.verdict == "PASS" and outcome.findings:
            outcome = second_order(outcome, resolution, seed, coordinates=coordinates)
        report = report_of(outcome, resolution, seed)
    return told(report, strict, raise_exception)


def gradcheck_graph(
    root: Any,
    *,
    resolution: float = 1e-6,
    seed: int = 0,
    strict: bool = False,
    raise_exception: bool = True,
) -> Report:
    """Check the gradient of a recorded graph, and the rule of each of its nodes on its own.

    ``root``: the Tensor at its end. The graph is computed again from other values of its leaves;
    `Report.nodes` has a line for every node. Other arguments and errors are those of `gradcheck`,
    and `GraphError` for a tensor without a graph.

    >>> w = tg.Tensor([0.5, -1.0], name="w")
    >>> report = gradcheck_graph(tg.tanh(w * w).sum())
    >>> report.verdict, len(report.nodes)
    ('PASS', 3)
    """
    subject = recorded(root)
    check_options(1, resolution, seed)
    flow = Flow(root)
    with anyway():
        outcome = check_in_all_precisions(subject, resolution, seed)
        report = report_of(outcome, resolution, seed)
        nodes = [(n, o) for n, o in check_nodes(flow, resolution, seed)]
    report.nodes = [finding_of(flow.label(n), o) for n, o in nodes]
    report.verdict = worst_of([*report.findings, *report.nodes]) if report else report.verdict
    if not (report or report.reason):
        worst = next(line for line in report.nodes if line.verdict == report.verdict)
        report.reason = f"{worst.what}: {worst.reason}"
    if report.verdict == "FAIL" and report.culprit is None:
        report.culprit = next((culprit_of(flow, n, o, len(nodes) - 1) for n, o in nodes
                               if o.verdict == "FAIL"), None)  # fmt: skip
    return told(report, strict, raise_exception)


def anyway() -> recording:
    """Record also where the caller records nothing: whoever checks gradients asks for them."""
    return recording(RECORDING.get() or True)


@contextmanager
def helped(f: Callable[..., Any], subject: Subject) -> Iterator[None]:
    """Note with an error if the inputs should have been those of another library."""
    try:
        yield
    except Exception as error:
        if type(subject) is Ours:
            tell_inputs(f, error)
        raise


def told(report: Report, strict: bool, raise_exception: bool) -> Report:
    """Return a report, or raise what it says."""
    if raise_exception and not report and (strict or report.verdict == "FAIL"):
        raise report.error()
    return report


def second_order(first: Outcome, resolution: float, seed: int, *, coordinates: bool) -> Outcome:
    """Check the gradient of the gradient; return an outcome that has both."""
    assert first.probe is not None
    subject = second(first)
    outcome = check_in_all_precisions(subject, resolution, seed, coordinates=coordinates)
    assert outcome.probe is not None
    found = [f._replace(what=f"second order, {f.what}") for f in outcome.findings]
    outcome.first, outcome.findings = first, [*first.findings, *found]
    outcome.notes = [*first.notes, *outcome.notes]
    outcome.probe.evaluations += first.probe.evaluations
    outcome.probe.gradient_calls += first.probe.gradient_calls
    return outcome


def check_options(order: int, resolution: float, seed: int) -> None:
    """Raise `InputError` for options that mean nothing."""
    where = "gradcheck, argument"
    if as_count(order, f"{where} order") > 2:
        refuse(f"{where} order", str(order), "1 or 2", "Check the gradient as a function instead.")
    as_number(resolution, f"{where} resolution", positive=True)
    as_count(seed, f"{where} seed", least=0)


def subject_of(
    f: Callable[..., Any],
    inputs: Any,
    grad: Callable[..., Any] | None,
    vjp: Callable[..., Any] | None,
) -> Subject:
    """Find out whose gradient is to be checked."""
    for name, given in {"f": f, "grad": grad, "vjp": vjp}.items():
        if not callable(given) and (name == "f" or given is not None):
            where, repair = f"gradcheck, argument {name}", f"Pass {name} itself, not {name}(x)."
            refuse(where, describe(given), "a function", repair)
    if grad is not None and vjp is not None:
        refuse("gradcheck, arguments grad and vjp", "both", "one of them", "Check one at a time.")
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    leaves, rebuild = flatten(arguments)
    name, labels = name_of(f), labels_of(f, arguments)
    arrays = [as_point(leaf, label) for leaf, label in zip(leaves, labels, strict=True)]
    if not arrays:
        refuse("gradcheck, argument inputs", "no array", "at least one", "Pass a tuple of arrays.")
    call = flat_call(f, rebuild)
    if vjp is not None:
        by_hand = vjp
        return PlainPullback(call, arrays, labels, name, lambda xs: as_list(
            by_hand(*rebuild(iter(xs[: len(arrays)])), *xs[len(arrays) :])))  # fmt: skip
    if grad is not None:
        written = grad
        return Plain(call, arrays, labels, name, lambda xs: as_list(written(*rebuild(iter(xs)))))
    kind = FOREIGN.get(library_of(f, leaves), Ours)
    return kind(call, arrays, labels, name)


def as_list(result: Any) -> list[Any]:
    """Return what a hand-written gradient returned as a list, one entry for each input."""
    if result is None:
        refuse("the hand-written gradient", "None", "an array", "End the function with return.")
    return flatten(result)[0] if isinstance(result, tuple | dict) else [result]


def labels_of(f: Callable[..., Any], arguments: Sequence[Any]) -> list[str]:
    """Name the inputs as the function does, where it says so."""
    names = parameters_of(f)
    labels: list[str] = []
    for i, argument in enumerate(arguments):
        name = names[i] if i < len(names) else f"input {i}" if len(arguments) > 1 else "input"
        count = len(flatten(argument)[0])
        single = not isinstance(argument, list | tuple | dict)
        labels += [name] if single else [f"{name}, leaf {k}" for k in range(count)]
    return labels


def parameters_of(f: Callable[..., Any]) -> list[str]:
    """Name the parameters that a function takes by position; none if it does not tell."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (ValueError, TypeError):  # of a function that is not written in Python
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def as_point(leaf: Any, label: str) -> np.ndarray:
    """Return an input as a float array, or say why it has no gradient."""
    where = f"gradcheck, input '{label}'"
    value = leaf.value if isinstance(leaf, Tensor) else array_of(leaf, where)
    array = as_array(value, where)
    if array.dtype.kind != "f":
        refuse(
            where,
            f"{array.dtype} of shape {array.shape}",
            "floats, since whole numbers have no gradient",
            "Convert it with .astype(float), or hold it fixed: gradcheck(lambda x: f(x, k), x).",
        )
    if not np.isfinite(array).all():
        refuse(
            where,
            f"{np.count_nonzero(~np.isfinite(array))} values that are NaN or infinite",
            "finite numbers",
            "Check at a point where the function is defined.",
        )
    return array


def report_of(outcome: Outcome, resolution: float, seed: int) -> Report:
    """Write a report of an outcome, and find out what is to blame for a failure."""
    probe = outcome.probe
    assert probe is not None
    culprit = None
    if outcome.verdict == "FAIL" and isinstance(probe.subject, Ours):
        culprit = blame(outcome, probe.subject, resolution, seed)
    diagnosis = culprit.diagnosis if culprit else ""
    if outcome.verdict == "FAIL" and not diagnosis:
        diagnosis = diagnose(outcome)
    hints = [probe.subject.hint] if outcome.verdict == "FAIL" and probe.subject.hint else []
    return Report(
        name=probe.subject.name, verdict=outcome.verdict, reason=outcome.problem,
        findings=outcome.findings, worst=outcome.worst, culprit=culprit,
        diagnosis=diagnosis,
        notes=list(dict.fromkeys(outcome.notes + hints)), evaluations=probe.evaluations,
        gradient_calls=probe.gradient_calls, seed=seed,
    )  # fmt: skip


def blame(outcome: Outcome, subject: Ours, resolution: float, seed: int) -> Culprit | None:
    """Find the node to blame. If the graph is right, there is none: then nothing has failed."""
    root, leaves = graph_of(outcome, subject)
    culprit, kinked = faulty_rule(root, resolution, seed)
    if culprit is None and outcome.first is not None and outcome.first.probe is not None:
        first, _ = graph_of(outcome.first, outcome.first.probe.subject)
        culprit, bent = faulty_rule(first, resolution, seed, order=2)
        kinked |= bent
    failed = [f for f in outcome.findings if f.verdict == "FAIL"]
    if culprit is not None:
        return culprit
    measured = failed and not outcome.diagnosis  # a precision, or a structure, has no kinks
    if measured and (kinked or any(f.kinked for f in failed)):
        withdraw(outcome, "kinks meet at the point; every node on its own is right")
    elif measured and is_confirmed(outcome, root, leaves):
        withdraw(outcome, "digits are lost between the nodes, each of which is right on its own")
    elif not kinked:
        return infinite_slope(root) or faulty_sum(root, resolution, seed)
    return None


def withdraw(outcome: Outcome, reason: str) -> None:
    """Turn a failure into INCONCLUSIVE."""
    outcome.stop("INCONCLUSIVE", reason)
    outcome.worst = None
    outcome.findings = [
        f._replace(verdict="INCONCLUSIVE", reason=reason) if f.verdict == "FAIL" else f
        for f in outcome.findings
    ]


def is_confirmed(outcome: Outcome, root: Tensor, leaves: Sequence[Tensor]) -> bool:
    """Ask for a second opinion on a gradient that differs from measured slopes."""
    if outcome.cotangent is None or outcome.origin is None:
        return False
    assert outcome.probe is not None
    return confirms(root, leaves, outcome.probe, outcome.origin, outcome.cotangent)


def graph_of(outcome: Outcome, subject: Subject) -> tuple[Tensor, Sequence[Tensor]]:
    """Record the function, with source lines, down to one tensor; return that and the leaves."""
    assert isinstance(subject, Ours)
    assert outcome.probe is not None
    assert outcome.origin is not None
    if isinstance(subject, Recorded):
        return subject.root, subject.leaves
    leaves = [Tensor(x) for x in outcome.probe.arrays(outcome.origin)]
    with listening(note_line):
        outputs = subject.outputs(leaves)
    if len(outputs) == 1 or outcome.cotangent is None:
        return outputs[0], leaves
    return dot_all(outputs, outcome.probe.cotangents(outcome.cotangent)), leaves
