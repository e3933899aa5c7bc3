"""What a check has found, as data and as text."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tinygrad_bp.errors import GradientError
from tinygrad_bp.summary import number

Verdict = Literal["PASS", "FAIL", "IMPRECISE", "INCONCLUSIVE"]
ORDER: tuple[Verdict, ...] = ("FAIL", "INCONCLUSIVE", "IMPRECISE", "PASS")  # the worst first


class Finding(NamedTuple):
    """One comparison: the slope that a gradient claims, and the slope that was measured."""

    verdict: Verdict
    what: str  # "all inputs", "w[2, 1]"
    analytic: float
    numeric: float
    bound: float  # how far off the numeric side, and the rounding of the analytic one, may be
    scale: float  # the size of the gradient along this direction
    reason: str = ""
    kinked: bool = False
    zero: bool = False  # the gradient is zero to within the rounding of the function
    bend: int = 0
    far: bool = False  # were the finest steps not asked, or not believed?
    step: float = 0.0  # how far one element moved, if only one did

    @property
    def suspicious(self) -> bool:
        """Whether both sides differ by more than can be explained, however little that is."""
        return self.verdict == "FAIL" or (self.verdict == "IMPRECISE" and self.differs)

    @property
    def differs(self) -> bool:
        """Whether both sides differ by more than the bound."""
        return not abs(self.analytic - self.numeric) <= self.bound

    @property
    def agreement(self) -> float:
        """How far apart both sides are, relative to the size of the gradient."""
        return abs(self.analytic - self.numeric) / self.scale if self.scale else 0.0

    @property
    def resolution(self) -> float:
        """The least relative error that would have been seen."""
        return self.bound / self.scale if self.scale else 0.0


@dataclass(frozen=True)
class Mismatch:
    """The element at which a gradient was found to be wrong."""

    argument: int
    label: str
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    bound: float
    other: str = "numeric"  # or what else the gradient is compared with

    def __str__(self) -> str:
        where = f"index {self.index}: " if self.index else ": " if self.index is None else ""
        analytic, numeric = told_apart(self.analytic, self.numeric)
        return (
            f"argument {self.argument} '{self.label}' {where}analytic {analytic}, "
            f"{self.other} {numeric} ± {number(self.bound, 2)}"
        )


@dataclass(frozen=True)
class Culprit:
    """The node of a recorded graph at which a gradient goes wrong."""

    node: str  # "multiply#12"
    op: str
    argument: int | None  # None: the accumulation of what its consumers passed back
    line: str  # "net.py:41", if known
    mismatch: Mismatch | None
    diagnosis: str
    checked: int  # how many other nodes were checked and are right

    def __str__(self) -> str:
        place = f" ({self.line})" if self.line else ""
        if self.argument is None:
            text = f"accumulation at {self.node}{place}"
        else:
            text = f"{self.node}{place}, derivative of input {self.argument}"
        return f"{text}; {self.checked} other nodes pass"


@dataclass
class Report:
    """The outcome of a gradient check. It is true when the gradient passed.

    ``verdict``: PASS (with a `certificate`), FAIL, IMPRECISE (right to the precision of a lower
    dtype) or INCONCLUSIVE (with the `reason`). ``worst``: the element that is wrong;
    ``culprit``: the node of the graph that is to blame. `table()` lists what was compared.

    >>> report = tg.gradcheck(lambda x: (x * x).sum(), np.array([1.0, 2.0]))
    >>> bool(report), report.verdict
    (True, 'PASS')
    """

    name: str
    verdict: Verdict
    reason: str = ""
    findings: list[Finding] = field(default_factory=list)
    worst: Mismatch | None = None
    culprit: Culprit | None = None
    diagnosis: str = ""
    notes: list[str] = field(default_factory=list)
    nodes: list[Finding] = field(default_factory=list)  # of a recorded graph, each on its own
    evaluations: int = 0
    gradient_calls: int = 0
    seed: int = 0

    def __bool__(self) -> bool:
        return self.verdict == "PASS"

    @property
    def certificate(self) -> str:
        """How well both sides agree, and what error would have been caught; "" unless passed."""
        if self.verdict != "PASS":
            return ""
        told = [f for f in self.findings if not f.zero and f.scale]
        if not told:
            zero = any(f.zero for f in self.findings)
            return "the gradient is zero to rounding" if zero else "there is nothing to compare"
        smooth = [f for f in told if not f.kinked] or told
        agreement = max(f.agreement for f in smooth)
        caught = max(f.resolution for f in told)
        return f"agrees to {number(agreement, 1)}, would have caught {number(caught, 1)}"

    def table(self) -> str:
        """Return one line for each comparison, and for each node that was checked."""
        head = ("what", "analytic", "numeric", "±", "relative", "verdict")
        return aligned([head, *map(row, self.findings), *map(row, self.nodes)])

    def __str__(self) -> str:
        cost = f"{self.evaluations} evaluations, {self.gradient_calls} gradients"
        lines = [f"{self.verdict}  {self.name}  (seed {self.seed}, {cost})"]
        told = [self.certificate or self.reason, self.worst and str(self.worst)]
        told.append(f"at fault: {self.culprit}" if self.culprit else "")
        if self.culprit and self.culprit.mismatch:
            told.append(f"there: {self.culprit.mismatch}")
        told.append(f"looks like: {self.diagnosis}" if self.diagnosis not in self.reason else "")
        return "\n  ".join(lines + [text for text in [*told, *self.notes] if text])

    __repr__ = __str__

    def error(self) -> GradientError:
        """Return the exception that tells this report."""
        error = GradientError(str(self))
        error.add_note(self.table())
        return error


def told_apart(a: float, b: float) -> tuple[str, str]:
    """Write two numbers, with more digits if the usual ones do not show that they differ.

    >>> told_apart(1.5, 2.0), told_apart(1 + 3e-7, 1.0)
    (('1.500000', '2.000000'), ('1.000000300', '1.000000000'))
    """
    digits = 10 if a != b and number(a, 7) == number(b, 7) else 7
    return number(a, digits), number(b, digits)


def row(finding: Finding) -> tuple[str, ...]:
    """Write a finding as the cells of a table."""
    numbers = (finding.analytic, finding.numeric, finding.bound)
    return (
        finding.what,
        *(number(x, d) for x, d in zip(numbers, (7, 7, 2), strict=True)),
        number(finding.agreement, 2),
        finding.verdict + (f" ({finding.reason})" if finding.reason else ""),
    )


def aligned(rows: list[tuple[str, ...]]) -> str:
    """Write rows of cells in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in rows
    ]
    return "\n".join(lines)


def worst_of(findings: list[Finding]) -> Verdict:
    """Return the verdict on everything from the verdicts on parts."""
    verdicts = {finding.verdict for finding in findings}
    return next((verdict for verdict in ORDER if verdict in verdicts), "PASS")
