"""The house stays the house: imports, sizes and declarations, read from the files themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_bp as tg
from tinygrad_bp.facts import OPS
from tinygrad_bp.op import Elementwise

PACKAGE = Path(tg.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in FILES}

# Each file may import files of earlier layers only.
LAYERS = [
    {"errors.py", "selected.py", "nested.py"},
    {"graph.py"},
    {"validate.py", "listeners.py"},
    {"origin.py"},
    {"tensor.py"},
    {"facts.py", "record.py"},
    {"cotangents.py", "arguments.py", "summary.py"},
    {"op.py"},
    {"declare.py"},
    {name for name in TREES if name.startswith("ops/")},
    {"numpy_protocol.py", "tracing.py"},
    {"transforms.py", "checkpoint.py", "flow.py"},
    {name for name in TREES if name.startswith("diagnosing/")},
    {name for name in TREES if name.startswith("compiler/")},
    {name for name in TREES if name.startswith("store/")},
    {name for name in TREES if name.startswith("nn/")},
    {name for name in TREES if name.startswith("tables/")},
    {"keeping.py"},
    {name for name in TREES if name.startswith("sklearn/")},
    {name for name in TREES if name.startswith("scalar/")},
    {name for name in TREES if name.startswith("render/")},
    {name for name in TREES if name.startswith("explaining/")},
    {name for name in TREES if name.startswith("check/")},
    {name for name in TREES if name.startswith("plot/")},
    {"__init__.py"},
    {"demo.py"},
    {name for name in TREES if name.startswith("cli/")},
    {"__main__.py"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imported(tree):
    """Name the files of the package that a module imports when it runs."""
    typing_only = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in typing_only:
            module = (node.module or "").split(".")
            if module[0] != "tinygrad_bp":
                continue
            path = "/".join(module[1:])
            for alias in node.names:
                nested = f"{path}/{alias.name}.py".lstrip("/")
                yield nested if nested in TREES else f"{path}.py" if path else "__init__.py"


def functions(tree):
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_every_file_has_its_place_in_the_order_of_imports():
    assert set(LEVEL) == set(TREES)


@pytest.mark.parametrize("name", TREES)
def test_imports_point_one_way(name):
    for other in imported(TREES[name]):
        other = other if other in TREES else other.replace(".py", "/__init__.py")
        same_room = name.split("/")[0] == other.split("/")[0] and "/" in name
        assert LEVEL[other] < LEVEL[name] or same_room, f"{name} imports {other}"


def test_the_modules_of_ops_import_each_other_without_a_cycle():
    below = {n: {o for o in imported(t) if o in TREES} for n, t in TREES.items() if "ops/" in n}
    del below["ops/__init__.py"]
    while below:
        free = {n for n, others in below.items() if not others & set(below)}
        assert free, f"a cycle among {sorted(below)}"
        below = {n: others for n, others in below.items() if n not in free}


def test_the_engine_knows_no_numpy_and_no_floats():
    tree = TREES["graph.py"]
    names = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    assert "numpy" not in names
    constants = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    assert not any(isinstance(value, float) for value in constants)


def test_nothing_in_the_engine_calls_itself():
    for function in functions(TREES["graph.py"]):
        calls = [n.func for n in ast.walk(function) if isinstance(n, ast.Call)]
        assert function.name not in {c.id for c in calls if isinstance(c, ast.Name)}


@pytest.mark.parametrize("name", TREES)
def test_functions_fit_on_a_screen_and_files_in_a_sitting(name):
    assert len((PACKAGE / name).read_text().splitlines()) <= 400
    for function in functions(TREES[name]):
        docstring = ast.get_docstring(function) or ""
        lines = function.end_lineno - function.lineno + 1 - len(docstring.splitlines())
        assert lines <= 40, f"{name}: {function.name} has {lines} lines"


@pytest.mark.parametrize("op", [op for op in OPS.values() if isinstance(op, Elementwise)], ids=repr)
def test_an_elementwise_op_is_declared_in_one_file(op):
    """Declared: a function of that name, or an assignment to it, at the top level of a file."""
    places = [
        path
        for path, tree in TREES.items()
        for node in tree.body
        if (isinstance(node, ast.FunctionDef) and node.name == op.name)
        or (isinstance(node, ast.Assign) and op.name in {ast.unparse(t) for t in node.targets})
    ]
    assert len(places) == 1
    assert places[0].startswith("ops/")


def test_nothing_is_executed_from_text_or_unpickled():
    banned = {"exec", "eval", "compile", "pickle.loads", "pickle.load", "np.load", "marshal.loads"}
    for tree in TREES.values():
        called = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
        assert not called & banned


def test_importing_the_library_loads_nothing_but_numpy():
    program = "import sys, tinygrad_bp; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    extras = "sklearn scipy pandas graphviz tqdm matplotlib llvmlite jax torch pytest hypothesis"
    extras += " mlxtend joblib safetensors playwright autograd mygrad micrograd"
    assert not set(extras.split()) & set(loaded)
    assert np.__name__ in loaded


@pytest.mark.parametrize("name", tg.__all__)
def test_every_public_name_exists_and_says_what_it_is(name):
    thing = getattr(tg, name)
    assert (thing.__doc__ or "").strip().split("\n")[0].endswith((".", "?", ":")), name
