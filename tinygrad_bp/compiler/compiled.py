"""`compile`: a function that is recorded once for each kind of arguments, and then runs fast."""

import functools
import inspect
import os
import threading
import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from tinygrad_bp.compiler.engines import Plan, best_plan, check_engine, plan
from tinygrad_bp.compiler.native import NativePlan
from tinygrad_bp.compiler.source import source_of
from tinygrad_bp.compiler.trace import Argument, Traced, trace
from tinygrad_bp.errors import CompileError, describe
from tinygrad_bp.listeners import CHANGING, RECORDING
from tinygrad_bp.nested import flatten
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.validate import refuse

STATIC = (int, bool, str, type(None))  # these are part of the program: each value has its own


def compile(function: Callable[..., Any], engine: str = "auto") -> "Compiled":
    """Return the same function, recorded once per shapes and dtypes and run as machine code.

    Arguments may be arrays, floats and Tensors, nested in lists, tuples and dicts; ints, texts and
    None are part of the program. Results are arrays and floats, or constant Tensors if an argument
    is a Tensor. Gradients are taken inside: ``compile(grad(f))``. A call with a Tensor that
    needs a gradient runs the function itself, so that it is recorded.

    ``engine``: "native" (llvmlite), "numpy", or "auto", the faster one that is there. Raises
    `CompileError` where the function asks for a number that is not known yet (``if x > 0``,
    ``float(x)``), changes something outside, or draws random numbers, with the remedy.

    >>> import numpy as np
    >>> fast = compile(lambda x: (x * x).sum(), engine="numpy")
    >>> fast(np.array([1.0, 2.0]))
    5.0
    """
    if not callable(function):
        refuse("compile", describe(function), "a function", "Pass f itself: compile(f).")
    return Compiled(function, check_engine(engine))


class Compiled:
    """A function with one program for each kind of arguments that it was called with.

    ``source``, ``ir`` and ``asm`` show the program of the last call: as loops with the names of
    the graph, in LLVM's language, and in that of the processor.
    """

    def __init__(self, function: Callable[..., Any], engine: str) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function, self.engine = function, engine
        self._variants: dict[Hashable, Variant] = {}
        self._last: Variant | None = None
        self._lock = threading.RLock()
        _COMPILED.add(self)

    def __call__(self, *args: Any, **options: Any) -> Any:
        leaves, rebuild = flatten((args, options))
        inside = CHANGING.get() is not None  # of another compilation, which has to see all of it
        if inside or any(isinstance(x, Tensor) and _is_recorded(x) for x in leaves):
            return self.function(*args, **options)
        given = [x if isinstance(x, STATIC) else _array(x) for x in leaves]
        key = (_structure((args, options)), *map(_kind, given, leaves))
        with self._lock:
            variant = self._variants.get(key)
            if variant is None:
                variant = self._variants[key] = self._record(given, leaves, rebuild)
            self._last = variant
            results = variant.call([x for x in given if not isinstance(x, STATIC)])
        tensors = any(isinstance(x, Tensor) for x in leaves)
        return variant.rebuild(iter([_result(y, tensors) for y in results]))

    def _record(self, given: Sequence[Any], leaves: Sequence[Any], rebuild: Any) -> "Variant":
        names = iter(_names(self.function, leaves))
        arguments = [
            Argument(x.shape, x.dtype, type(leaf) is float, name=name)
            for x, leaf, name in zip(given, leaves, names, strict=False)
            if not isinstance(x, STATIC)
        ]

        def put_together(tensors: Any) -> Any:
            return rebuild(iter([x if isinstance(x, STATIC) else next(tensors) for x in given]))

        return Variant(trace(self.function, arguments, put_together), self.engine)

    @property
    def source(self) -> str:
        """The program of the last call as readable loops."""
        return source_of(self._latest().traced.program)

    @property
    def ir(self) -> str:
        """The program of the last call in LLVM's language."""
        return self._native().ir

    @property
    def asm(self) -> str:
        """The program of the last call in the language of the processor."""
        return self._native().asm

    def _latest(self) -> "Variant":
        if self._last is None:
            raise CompileError(
                "a function that was not called yet",
                where=f"compile({getattr(self.function, '__name__', 'function')})",
                expected="one call, which tells shapes and dtypes",
                repair="Call it first.",
            )
        return self._last

    def _native(self) -> NativePlan:
        chosen = self._latest().plan
        if not isinstance(chosen, NativePlan):
            raise CompileError(
                "a program of NumPy calls",
                where="compile",
                expected="machine code",
                repair="Compile with engine=\"native\" (pip install 'tinygrad_bp[fast]').",
            )
        return chosen


_COMPILED: "weakref.WeakSet[Compiled]" = weakref.WeakSet()


def _unlock_all() -> None:
    """After a fork: threads that held a lock are not there to release it."""
    for compiled in _COMPILED:
        compiled._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_all)


class Variant:
    """One program of a compiled function."""

    def __init__(self, traced: Traced, engine: str) -> None:
        self.traced, self.rebuild = traced, traced.rebuild
        program = traced.program
        self.plan: Plan = best_plan(program) if engine == "auto" else plan(program, engine)

    def call(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Copy the arguments in, run, copy the results out: nothing is shared with the caller."""
        captured = [np.asarray(tensor.value) for tensor in self.traced.captured]
        for place, array in zip(self.plan.inputs, [*arrays, *captured], strict=True):
            if place.shape != array.shape or place.dtype != array.dtype:
                raise CompileError(
                    f"{array.dtype} of shape {array.shape}",
                    where="a compiled function",
                    expected=f"{place.dtype} of shape {place.shape}, as when it was recorded",
                    repair="Keep the dtype of the Tensors that the function finds outside.",
                )
            np.copyto(place, array)
        with np.errstate(all="ignore"):
            self.plan.run()
        return [y.copy() for y in self.plan.outputs]


def _is_recorded(x: Tensor) -> bool:
    """Tell whether a call has to be recorded, for a gradient."""
    return x.requires_grad and RECORDING.get() is not False


def _array(x: Any) -> np.ndarray:
    """Return an argument as an array in the byte order of the machine."""
    array = np.asarray(x.value if isinstance(x, Tensor) else x)
    if array.dtype.kind not in "fiub":
        refuse("a compiled function", describe(x), "real numbers", "Pass arrays and floats.")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _kind(x: Any, leaf: Any) -> Hashable:
    if isinstance(x, STATIC):
        return type(x), x
    return x.shape, x.dtype, type(leaf) is float


def _structure(tree: Any) -> Hashable:
    """Describe how containers are nested."""
    if isinstance(tree, dict):
        return dict, tuple((k, _structure(v)) for k, v in tree.items())
    if isinstance(tree, list | tuple):
        return type(tree), tuple(map(_structure, tree))
    return None


def _names(function: Callable[..., Any], leaves: Sequence[Any]) -> list[str]:
    """Name arguments as the function does, or as their Tensors are named."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        names = []
    single = names if len(names) == len(leaves) else [""] * len(leaves)
    return [getattr(x, "name", None) or name for x, name in zip(leaves, single, strict=True)]


def _result(y: np.ndarray, tensors: bool) -> Any:
    if tensors:
        return Tensor(y, dtype=y.dtype, requires_grad=False)
    return y if y.ndim else float(y) if y.dtype == np.float64 else y[()]
