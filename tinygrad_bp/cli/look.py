"""``draw``, ``check`` and ``info``: looking at models, functions and the installation."""

import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import platform
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import tinygrad_bp as tg
from tinygrad_bp.errors import TinygradError, describe
from tinygrad_bp.nn.network import forward, with_bias
from tinygrad_bp.tables.model import TableModel
from tinygrad_bp.validate import refuse

OPTIONAL = ("llvmlite", "scikit-learn", "matplotlib", "pandas", "tqdm")


def draw(options: Namespace) -> int:
    """Draw the graph of a model in a file, or of the Tensor that a function returns."""
    drawing = tg.draw(_root(options.subject), level=options.level)
    if options.out is None:
        print(drawing.text())
    else:
        drawing.save(options.out)
        print(f"[INFO] wrote {options.out}")
    return 0


def check(options: Namespace) -> int:
    """Check the gradient of a function; the status is 0 if it passed, else 1."""
    function = _function(options.function)
    generator = np.random.default_rng(options.seed)
    shapes = [_shape(text) for text in options.shape or ["3"] * _arity(function)]
    inputs = tuple(generator.normal(size=shape) for shape in shapes)
    with _in_words(options.function):
        report = tg.gradcheck(function, inputs, seed=options.seed, raise_exception=False)
    print(report.table())
    return 0 if report else 1


def info(options: Namespace) -> int:
    """Describe a model, or what is installed."""
    if options.model is not None:
        print(_described(tg.load(options.model)))
        return 0
    print(f"tinygrad_bp {tg.__version__}, Python {platform.python_version()}, {platform.machine()}")
    for name in ("numpy", *OPTIONAL):
        try:
            print(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"{name} is not installed")
    return 0


def _described(model: Any) -> str:
    if not isinstance(model, TableModel):
        return repr(model)
    lines = [f"{model.network!r}, trained for {model.network.state.epochs} epochs"]
    for column in (*model.columns, model.target):
        kind = "numbers" if column.categories is None else ", ".join(column.categories)
        text = f"{'target ' if column is model.target else ''}{column.name}: {kind}"
        lines.append(text if text.isprintable() else ascii(text)[1:-1])  # no orders to a terminal
    return "\n".join(lines)


# ---------------------------------------------------------------------------------- subjects


def _root(subject: str) -> Any:
    """Return the Tensor to draw."""
    if ":" in subject and not os.path.exists(subject):
        with _in_words(subject):
            root = _function(subject)()
        if not isinstance(root, tg.Tensor):
            refuse(subject, describe(root), "a Tensor as result", "Return the end of the graph.")
        return root
    model = tg.load(subject)
    if isinstance(model, tg.NeuralNetwork):
        weights = [tg.Tensor(w, name=f"W[{i}]") for i, w in enumerate(model.W)]
        return forward(tg.Tensor(with_bias(np.zeros((1, len(weights[0]) - 1))), name="x"), weights)
    network = model.network if isinstance(model, TableModel) else model
    return network(np.zeros((1, *(network.input_shape or ()))))


def _function(name: str) -> Callable[..., Any]:
    """Return the function that module:function names; the module may lie in this folder."""
    module_name, _, function_name = name.partition(":")
    if not function_name or not module_name:
        refuse("the function", describe(name), "module:function", "Write e.g. losses:huber.")
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.util.find_spec(module_name)
    except (ImportError, ValueError):
        found = None
    if found is None:
        refuse(
            name, f"no module {module_name!r}", "a module that Python finds", "Go to its folder."
        )
    with _in_words(name):
        module = importlib.import_module(module_name)
    function = getattr(module, function_name, None)
    if not callable(function):
        expected = f"a function {function_name!r} in {module_name}"
        refuse(name, describe(function), expected, "Check its name.")
    return function


@contextmanager
def _in_words(name: str) -> Iterator[None]:
    """Say in one line what a program of the user's own raised."""
    try:
        yield
    except TinygradError:
        raise
    except Exception as error:
        given = f"{type(error).__name__}: {error}"
        refuse(name, given, "a program that runs", "Run it in Python to see where.")


def _arity(function: Callable[..., Any]) -> int:
    """Return how many inputs a function needs."""
    try:
        parameters: Sequence[Any] = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return 1
    needed = [p for p in parameters if p.default is p.empty and p.kind in (0, 1)]
    return max(len(needed), 1)


def _shape(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        refuse("--shape", describe(text), "whole numbers", "Write e.g. 3,4.")
    return tuple(int(part) for part in parts)
