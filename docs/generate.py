"""Write the parts of the documents that follow from the library itself.

Run from the project root: ``python docs/generate.py [folder]``. The folder (docs/ itself, unless
named) gets the table of NumPy functions and the picture of the README's first program.
"""

import contextlib
import io
import re
import sys
from pathlib import Path

import graphviz
import numpy as np

from tinygrad_bp.facts import OPS
from tinygrad_bp.graph import walk
from tinygrad_bp.numpy_protocol import PLAIN_ANSWERS, REDUCTIONS, supported

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"


def main(folder=DOCS):
    """Write the page and the picture into `folder`."""
    (folder / "images").mkdir(exist_ok=True)
    (folder / "numpy_functions.md").write_text(numpy_functions(), encoding="utf-8")
    graph = picture(run(first_program())["error"])
    graph.save(folder / "images/first_program.dot")
    (folder / "images/first_program.svg").write_bytes(graph.pipe("svg"))


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


# ---------------------------------------------------------------------------------- the picture


def first_program():
    """Return the first program of the README."""
    return re.search(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)[1]


def run(program):
    """Run a program silently and return its names."""
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(program, names)
    return names


def picture(root):
    """Draw a recorded graph: for every tensor what made it, its value and its gradient."""
    graph = graphviz.Digraph(
        graph_attr={"rankdir": "LR", "bgcolor": "white"},
        node_attr={"fontname": "Helvetica", "fontsize": "11", "style": "filled"},
    )
    number = {node: f"n{i}" for i, node in enumerate(walk(root))}
    for node, key in number.items():
        leaf, constant = node.op is None, node.grad is None
        lines = [node.name or ("constant" if leaf else node.op.facts.symbol)]
        lines.append(short(node.data))
        lines += [] if constant else [f"gradient {short(node.grad)}"]
        color = "#eeeeee" if constant else "#cfe8ff" if leaf else "#fff3c4"
        graph.node(key, "\n".join(lines), shape="box" if leaf else "ellipse", fillcolor=color)
        for x in node.inputs:
            graph.edge(number[x], key)
    return graph


def short(array):
    """Return an array with four significant digits."""
    return np.array2string(np.asarray(array), separator=", ", formatter={"float": "{:.4g}".format})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
