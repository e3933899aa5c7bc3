"""The documents are true: their programs run and print what is shown, and what follows from the
library itself is as the library has it."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import tinygrad_bp as tg

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
GENERATED = ["numpy_functions.md", *sorted(f"images/{p.name}" for p in ROOT.glob("docs/images/*"))]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def python(*arguments, cwd=ROOT):
    """Run Python with the package that stands in a folder."""
    environment = os.environ | {"PYTHONPATH": str(cwd)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def text_of(page):
    return page.read_text(encoding="utf-8")


def blocks(page):
    """List the programs of a page, each with the output that is shown below it."""
    return BLOCK.findall(text_of(page))


def ids(pages):
    return [str(page.relative_to(ROOT)) for page in pages]


WITH_PROGRAMS = [page for page in PAGES if blocks(page)]


# ---------------------------------------------------------------------------------- programs


@pytest.mark.parametrize("page", WITH_PROGRAMS, ids=ids(WITH_PROGRAMS))
def test_the_programs_of_a_page_print_what_it_shows(page):
    """In a process of its own, since programs may declare ops."""
    result = python("-W", "error", __file__, page)
    assert result.returncode == 0, result.stdout + result.stderr


def run_page(page):
    """Run the programs of a page one after the other, as parts of one program."""
    names = {}
    for number, (program, shown) in enumerate(blocks(page), 1):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(program, f"{page.name}, program {number}", "exec"), names)
        assert output.getvalue() == shown, (
            f"program {number} prints\n{output.getvalue()}\nand the page shows\n{shown}"
        )


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_every_fence_is_closed_and_every_output_belongs_to_a_program(page):
    fences = re.findall(r"^```(.*)$", text_of(page), re.MULTILINE)
    assert all(fences[::2])
    assert not any(fences[1::2])
    assert set(fences[::2]) <= {"python", "text", "sh"}
    assert fences.count("text") == sum(shown != "" for _, shown in blocks(page))


# ---------------------------------------------------------------------------------- an op, by name


@pytest.fixture
def with_op(tmp_path):
    """A function that makes a copy of the project with a block added to a file of ops."""
    for name in ("tinygrad_bp", "tests", "docs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "setup.cfg"):
        shutil.copy(ROOT / name, tmp_path)

    def add(file, block):
        path = tmp_path / "tinygrad_bp/ops" / file
        path.write_text(text_of(path) + "\n\n" + block, encoding="utf-8")
        return tmp_path

    return add


def passed_and_failed(result):
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error)", result.stdout)}
    assert counts.keys() <= {"passed", "failed"}, result.stdout
    return counts.get("passed", 0), counts.get("failed", 0)


def in_the_library(block):
    """Return a block as it stands in a file of ops: a rule names its neighbours without `tg.`."""
    return re.sub(r"^(?! *>>>)(.*?)tg\.", r"\1", block, flags=re.MULTILINE)


def test_the_block_of_a_new_op_is_all_it_takes_to_be_tested_by_name(with_op):
    programs = blocks(ROOT / "docs/adding_an_op.md")
    added = {
        "elementwise.py": in_the_library(programs[1][0]),
        "shape.py": in_the_library(programs[3][0]),
    }
    names = [re.search(r"^def (\w+)", block, re.MULTILINE)[1] for block in added.values()]
    folder = [with_op(file, block) for file, block in added.items()][0]
    result = python("-m", "pytest", "-v", "-k", " or ".join(names), cwd=folder)
    assert passed_and_failed(result)[1] == 0, result.stdout
    for name in names:
        assert len(re.findall(rf"{name}.* PASSED", result.stdout)) >= 10, result.stdout


def test_a_new_op_with_a_wrong_derivative_fails_its_tests(with_op):
    block = in_the_library(blocks(ROOT / "docs/adding_an_op.md")[1][0])
    wrong = block.replace("sqrt(1 + x * x)\n", "sqrt(1 - x * x)\n")
    assert wrong != block
    folder = with_op("elementwise.py", wrong)
    result = python("-m", "pytest", "-q", "--maxfail=4", "-k", "arcsinh", cwd=folder)
    assert passed_and_failed(result)[1] == 4


# ---------------------------------------------------------------------------------- statements


def rows_after(page, header):
    """Return the cells of the table whose header begins as given."""
    table = text_of(page).split(header)[1].split("\n\n")[0]
    return [
        [cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()[2:]
    ]


SUBGRADIENTS = rows_after(ROOT / "docs/conventions.md", "| function of `x` |")


@pytest.mark.parametrize(
    ("function", "point", "gradient"),
    [[cell.strip("`| ") for cell in row[:3]] for row in SUBGRADIENTS],
    ids=[row[0].strip("`| ") for row in SUBGRADIENTS],
)
def test_the_table_of_subgradients_is_true(function, point, gradient):
    names = {"tg": tg, "np": np}
    x = tg.Tensor(eval(point))
    with np.errstate(all="ignore"):
        y = eval(function, names | {"x": x})
    if y.requires_grad:
        y.backward()
    found = x.grad if y.requires_grad else np.zeros(x.shape)
    np.testing.assert_allclose(found, eval(gradient, names), rtol=1e-15)


def test_the_table_of_errors_is_complete_and_true():
    rows = rows_after(ROOT / "docs/conventions.md", "| error |")
    stated = {row[0].strip("`| "): row[1].strip("`| ") for row in rows}
    kinds = tg.TinygradError.__subclasses__()
    assert stated == {kind.__name__: kind.__bases__[1].__name__ for kind in kinds}


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#:]+)\)", text_of(page))
    for target in targets:
        assert (page.parent / target).exists(), target


def test_the_readme_has_the_two_commands_each_in_a_block_of_its_own():
    sh = re.findall(r"^```sh\n(.*?)^```", text_of(ROOT / "README.md"), re.MULTILINE | re.DOTALL)
    assert sh == [
        'pip install ".[all]" && python -m tinygrad_bp demo\n',
        'pip install ".[test]" && python -m pytest\n',
    ]


# ---------------------------------------------------------------------------------- generated


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """A folder with everything that docs/generate.py writes, from ops that no test has added."""
    folder = tmp_path_factory.mktemp("docs")
    python("docs/generate.py", folder).check_returncode()
    return folder


def labels(svg):
    """Count the texts in a picture."""
    texts = ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")
    return Counter(text.text for text in texts)


def test_generated_documents_are_up_to_date(generated):
    files = [path for path in generated.rglob("*") if path.is_file()]
    assert sorted(ids_in(generated, files)) == sorted(GENERATED)
    for name in GENERATED:
        assert text_of(generated / name) == text_of(ROOT / "docs" / name), "run docs/generate.py"


def ids_in(folder, files):
    return [path.relative_to(folder).as_posix() for path in files]


def test_the_picture_in_the_readme_shows_the_graph_that_its_program_recorded():
    svg = "images/first_program.svg"
    assert f"(docs/{svg})" in text_of(ROOT / "README.md")
    assert labels(ROOT / "docs" / svg)["grad [0, -0.00908, -0.00908]"] == 1


def test_every_picture_is_shown_on_some_page():
    shown = "".join(text_of(page) for page in PAGES)
    for picture in ROOT.glob("docs/images/*"):
        assert f"images/{picture.name})" in shown


if __name__ == "__main__":
    run_page(Path(sys.argv[1]))
