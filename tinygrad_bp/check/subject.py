"""What is checked: a function and its gradient, whoever computes them, seen as plain arrays.

A `Subject` says how to compute the value and how to pull a cotangent back. A `Probe` asks it: all
inputs are one long vector, all outputs another, and every call is counted.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from tinygrad_bp.check.directions import LEAST, scales
from tinygrad_bp.errors import describe
from tinygrad_bp.validate import refuse

Arrays = list[np.ndarray]
Pull = Callable[[Arrays], Sequence[Any]]


Call = Callable[[Sequence[Any]], list[Any]]  # from flat lists of values to flat lists of outputs


INSIDE = 2.0**-8  # of a step: closer walls are found by the ladder
WHOLE = np.dtype(np.float64)  # of whole numbers: as a result they are constant, piece by piece
REPAIRS = {"c": "Return y.real and y.imag.", "V": "Convert it to float32 or float64."}


class Subject(ABC):
    """A function of arrays, and its gradient."""

    by_hand = False  # the gradient is a number written by hand, not an array of a framework
    remedy = "Let it work on a copy: x = x.copy()."  # for one that changes its arguments
    hint = ""  # told where it fails: how the gradient was understood

    def __init__(self, call: Call, inputs: Arrays, labels: list[str], name: str) -> None:
        self.call = call
        self.inputs = inputs  # the point at which it is checked
        self.labels, self.name = labels, name

    @abstractmethod
    def value(self, inputs: Arrays) -> Arrays:
        """Return the outputs."""

    @abstractmethod
    def linearize(self, inputs: Arrays) -> tuple[Arrays, Pull]:
        """Return the outputs, and the function from their cotangents to those of the inputs."""

    @abstractmethod
    def derivative(self, cotangents: Arrays) -> "Subject":
        """Return the subject whose outputs are the gradients of this one."""

    def again(self, call: Call) -> "Subject":
        """Return a subject of the same kind for another function at the same point."""
        return type(self)(call, self.inputs, self.labels, f"the gradient of {self.name}")


class Probe:
    """A subject at its point: the function on one long vector, with its calls counted."""

    def __init__(self, subject: Subject, *, lifted: bool = False) -> None:
        self.subject = subject
        self.shapes = [x.shape for x in subject.inputs]
        self.dtypes = [np.dtype(np.float64) if lifted else x.dtype for x in subject.inputs]
        ends = np.cumsum([x.size for x in subject.inputs], dtype=int).tolist()
        self.parts = [slice(end - x.size, end) for x, end in zip(subject.inputs, ends, strict=True)]
        self.epsilon = max((float(np.finfo(d).eps) for d in self.dtypes), default=0.0)
        self.point = flat(subject.inputs)
        self.steps = scales(subject.inputs)  # how far each element moves
        self.floor = LEAST  # of the largest, where small elements are to count
        self.evaluations = self.gradient_calls = 0
        self.output_shapes: list[tuple[int, ...]] = []
        self.output_dtypes: list[np.dtype] = []
        self.failure: Exception | None = None  # the last one that the function raised nearby

    def arrays(self, vector: np.ndarray) -> Arrays:
        """Take a vector apart into the inputs, each in its shape and dtype."""
        return [
            vector[part].reshape(shape).astype(dtype, copy=False)
            for part, shape, dtype in zip(self.parts, self.shapes, self.dtypes, strict=True)
        ]

    def start(self) -> np.ndarray:
        """Evaluate at the point, once for all: learn the shapes of the outputs."""
        inputs = self.arrays(self.point.copy())
        before = [x.copy() for x in inputs]
        self.evaluations += 1
        try:
            with np.errstate(all="ignore"):
                outputs = self.subject.value(inputs)
        except Exception as error:
            error.add_note(f"raised by {self.subject.name} at the point where gradcheck looks")
            raise
        self.refuse_changed(inputs, before)
        self.output_shapes = [y.shape for y in outputs]
        self.output_dtypes = [y.dtype if y.dtype.kind == "f" else WHOLE for y in outputs]
        return flat([as_real(y, self.subject.name) for y in outputs])

    def refuse_changed(
        self,
        inputs: Arrays,
        before: Arrays,
        who: str = "",
        labels: Sequence[str] | None = None,
    ) -> None:
        """Raise `InputError` if a call has changed its arguments."""
        for label, x, old in zip(labels or self.subject.labels, inputs, before, strict=True):
            if not np.array_equal(x, old, equal_nan=True):
                refuse_change(self.subject, f"its {label}", who)

    def values(self, vector: np.ndarray) -> np.ndarray:
        """Return the outputs as one vector, or one NaN where the function fails."""
        with np.errstate(all="ignore"):
            return self.evaluated(vector)

    def evaluated(self, vector: np.ndarray) -> np.ndarray:
        """Do what `values` does where floating-point warnings are off already."""
        self.evaluations += 1
        try:
            outputs = self.subject.value(self.arrays(vector))
        except (ArithmeticError, ValueError) as error:  # beyond the domain of the function
            self.failure = error
            return np.full(1, np.nan)
        except Exception as error:
            error.add_note(f"raised by {self.subject.name} beside the point, in gradcheck")
            raise
        if [y.shape for y in outputs] != self.output_shapes:
            return np.full(1, np.nan)
        return flat(outputs)

    def stay_inside(self) -> None:
        """Move small elements by less while the usual steps leave the domain of the function."""
        inside = False
        while not inside:
            moved = (self.point + side * INSIDE * self.steps for side in (1, -1))
            inside = all(np.isfinite(self.values(x)).all() for x in moved) or not self.shorten()

    def shorten(self) -> bool:
        """Let small elements move by less, if that is still possible."""
        before = self.steps
        for self.floor in (LEAST, 0.0):
            self.steps = np.minimum(before, scales(self.subject.inputs, self.floor))
            if (self.steps < before).any():
                return True
        return False

    def along(
        self, direction: np.ndarray, cotangent: np.ndarray, origin: np.ndarray | None = None
    ) -> Callable[[float], float]:
        """Return t ↦ <cotangent, f(point + t · direction)>."""
        point = self.point if origin is None else origin

        def value(t: float) -> float:
            with np.errstate(all="ignore"):
                outputs = self.evaluated(point + t * direction)
                return float(cotangent @ outputs) if outputs.size == cotangent.size else np.nan

        return value

    def representable(self, cotangent: np.ndarray) -> np.ndarray:
        """Round a cotangent to the precision of the inputs, which may be lower than the probe's.

        Where terms of a gradient cancel, its rounding would be all that two precisions differ by.
        """
        lowest = min((x.dtype for x in self.subject.inputs), key=lambda d: d.itemsize, default=None)
        return cotangent.astype(lowest).astype(np.float64)

    def cotangents(self, vector: np.ndarray) -> Arrays:
        """Take a vector apart into one cotangent for every output."""
        sizes = [int(np.prod(shape)) for shape in self.output_shapes]
        parts = np.split(vector, np.cumsum(sizes)[:-1])
        return [
            part.reshape(shape).astype(dtype)
            for part, shape, dtype in zip(
                parts, self.output_shapes, self.output_dtypes, strict=True
            )
        ]

    def linearize(self, vector: np.ndarray) -> Callable[[np.ndarray], Sequence[Any]]:
        """Record at a vector; return the function from a cotangent to the gradients as given."""
        with np.errstate(all="ignore"):
            _, pull = self.subject.linearize(self.arrays(vector))

        def pulled(cotangent: np.ndarray) -> Sequence[Any]:
            self.gradient_calls += 1
            with np.errstate(all="ignore"):
                return pull(self.cotangents(cotangent))

        return pulled

    def gradient(self, vector: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """Return the gradient of <cotangent, f> as one vector."""
        return self.joined(self.linearize(vector)(cotangent))

    def contributions(
        self, vector: np.ndarray, cotangent: np.ndarray, direction: np.ndarray
    ) -> np.ndarray:
        """Return what each input adds to the slope that the gradient claims; NaN if it fails."""
        try:
            found = self.gradient(vector, cotangent)
        except (ArithmeticError, ValueError):  # beyond the domain of the function
            return np.full(direction.size, np.nan)
        right = found.size == direction.size
        return found * direction if right else np.full(direction.size, np.nan)

    def joined(self, gradients: Sequence[Any]) -> np.ndarray:
        """Make one vector of gradients that have the shapes of the inputs."""
        return flat([np.asarray(g, dtype=np.float64) for g in gradients])

    def place(self, position: int) -> tuple[int, tuple[int, ...]]:
        """Return the argument, and the index in it, of a position in the vector of inputs."""
        return place(position, self.shapes)


def as_real(y: np.ndarray, name: str, given: Any = None) -> np.ndarray:
    """Return an output as it is; raise `InputError` unless it consists of real numbers."""
    if y.dtype.kind not in "fiub":
        expected = "a number or an array, of real numbers"
        given, repair = y[()] if given is None else given, REPAIRS.get(y.dtype.kind, "Return that.")
        refuse(f"the result of {name}", describe(given), expected, repair)
    return y


def refuse_change(subject: Subject, what: str, who: str = "") -> NoReturn:
    """Raise the error for a function, or another, that changes what it was given."""
    refuse(
        f"gradcheck of {subject.name}",
        f"{who or subject.name}, which changes {what} in place",
        "a function that leaves its arguments as they are",
        subject.remedy,
    )


def place(position: int, shapes: Sequence[tuple[int, ...]]) -> tuple[int, tuple[int, ...]]:
    """Return the array, and the index in it, of a position in the joined vector of arrays."""
    for argument, shape in enumerate(shapes):
        size = int(np.prod(shape))
        if position < size:
            return argument, tuple(int(i) for i in np.unravel_index(position, shape))
        position -= size
    raise IndexError(position)


def flat(arrays: Sequence[Any]) -> np.ndarray:
    """Join arrays into one new vector of float64."""
    if len(arrays) == 1:  # by far the most common case
        return np.array(arrays[0], dtype=np.float64, order="C").reshape(-1)
    parts = [np.ravel(x) for x in arrays]
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)
