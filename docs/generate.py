"""Write the parts of the documents that follow from the library itself.

Run from the project root: ``python docs/generate.py [folder]``. The folder (docs/ itself, unless
named) gets the table of NumPy functions and the pictures: that of the README's first program, that
of the demo, and every drawing to which a program of drawing.md or explaining.md gives a name.
"""

import contextlib
import io
import re
import sys
from pathlib import Path

import numpy as np

import tinygrad_bp as tg
from tinygrad_bp.demo import train_xor, xor_drawing
from tinygrad_bp.facts import OPS
from tinygrad_bp.numpy_protocol import PLAIN_ANSWERS, REDUCTIONS, supported
from tinygrad_bp.render.drawing import Drawing

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"


def main(folder=DOCS):
    """Write the page and the pictures into `folder`."""
    (folder / "images").mkdir(exist_ok=True)
    (folder / "numpy_functions.md").write_text(numpy_functions(), encoding="utf-8")
    first = run(programs(README)[0])
    drawings = {}
    for page in ("drawing.md", "explaining.md"):
        drawings |= drawn(run("\n".join(programs(DOCS / page))))
    drawings["first_program"] = tg.draw(first["error"], names=first)
    drawings["xor"] = xor_drawing(trained_on_xor())
    for name, drawing in drawings.items():  # not placed by Graphviz, whose versions differ
        path = folder / f"images/{name}.svg"
        path.write_text(drawing.svg(engine="own"), encoding="utf-8")


# ---------------------------------------------------------------------------------- the table

PAGE = """\
<!-- Written by docs/generate.py from the registry of ops. -->
# NumPy functions that accept a Tensor

{count} functions of NumPy record when they are called with a Tensor: `np.exp(t)` is `tg.exp(t)`.
Any other raises a `TypeError` that names the nearest of these. Where NumPy has arguments that the
op in the second column does not have (`out`, `dtype`, `where`, …), they are refused.

| NumPy | op | what it does |
|---|---|---|
{rows}

The ufunc methods {reductions} record as well.

These answer from the value alone, with plain arrays and numbers, and record nothing:
{plain}.
"""


def numpy_functions():
    """Return the page about NumPy's functions."""
    table = sorted((public_name(function), name) for function, name in supported().items())
    return PAGE.format(
        count=len(table),
        rows="\n".join(f"| `{numpy}` | `tg.{name}` | {summary(name)} |" for numpy, name in table),
        reductions=listed(f"np.{ufunc.__name__}.reduce" for ufunc in REDUCTIONS),
        plain=listed(sorted(public_name(function) for function in PLAIN_ANSWERS)),
    )


def public_name(function):
    """Return the name under which users find a NumPy function: ``np.linalg.norm``."""
    module = np.linalg if function.__module__.startswith("numpy.linalg") else np
    assert getattr(module, function.__name__) is function, function
    return f"np.{'linalg.' * (module is np.linalg)}{function.__name__}"


def summary(name):
    """Return the first sentence that an op says about itself, safe inside a table."""
    return OPS[name].facts.doc.splitlines()[0].replace("|", "\\|")


def listed(names):
    """Return code names in one sentence."""
    return ", ".join(f"`{name}`" for name in names)


# ---------------------------------------------------------------------------------- the pictures


def programs(page):
    """Return the programs of a page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


def run(program):
    """Run a program silently and return its names."""
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(program, names)
    return names


def trained_on_xor():
    """Return the network of the demo after a quarter of its training."""
    with contextlib.redirect_stdout(io.StringIO()):
        return train_xor(epochs=5000)[0]


def drawn(names):
    """Return the drawings among the names of a program."""
    return {name: thing for name, thing in names.items() if isinstance(thing, Drawing)}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
