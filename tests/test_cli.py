"""The command line: tables in, models, answers and pictures out, and one line for a mistake."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinygrad_bp as tg
from tinygrad_bp import nn
from tinygrad_bp.__main__ import main
from tinygrad_bp.store import files
from tinygrad_bp.store.container import load_arrays, save_arrays

GENERATOR = np.random.default_rng(0)
SIZES = GENERATOR.uniform(0, 10, 80).round(2)
HEADER = "size,colour,price,kind"
ROWS = [f"{s},{'red' if s % 2 > 1 else 'blue'},{3 * s + 1:.2f},{'big' if s > 5 else 'small'}"
        for s in SIZES]  # fmt: skip
PROGRAM = """
import tinygrad_bp as tg

def smooth(x):
    return tg.tanh(x).sum()

def wrong(x):
    return (tg.Tensor(x.data, requires_grad=False) * x).sum()

def graph():
    w = tg.Tensor(3.0, name="w")
    return w * w

def broken():
    raise KeyError("lost")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a table and a module, in which commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "program_of_mine", raising=False)
    Path("things.csv").write_text("\n".join([HEADER, *ROWS, ""]))
    Path("program_of_mine.py").write_text(PROGRAM)
    return tmp_path


def run(*arguments):
    try:
        return main(arguments)
    except SystemExit as error:
        return error.code


def train(*more, data="things.csv", target="kind", out="m.safetensors"):
    quick = ("--epochs", "3", "--layers", "8")
    return run("train", data, "--target", target, "--out", out, *quick, *more)


def mistake(capsys, status):
    """Return the one line that a mistake is worth."""
    assert status == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.endswith("\n")
    return line


# ---------------------------------------------------------------------------------- train, predict


def test_a_table_is_learned_kept_and_asked(capsys):
    command = ("train", "things.csv", "--target", "kind", "--out", "m.safetensors")
    assert run(*command, "--ignore", "price") == 0
    shown = capsys.readouterr().out
    assert "[INFO] 80 rows, 3 inputs, kind: 2 classes" in shown
    assert float(shown.split("held out: ")[1].split()[0]) > 0.9
    Path("new.csv").write_text("colour;size\nred;1\nblue;9.5\n")
    assert run("predict", "m.safetensors", "new.csv", "--probabilities") == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == "kind,p(big),p(small)"
    assert [row.split(",")[0] for row in rows] == ["small", "big"]
    assert all(abs(sum(map(float, row.split(",")[1:])) - 1) < 1e-5 for row in rows)


def test_numbers_are_predicted_in_their_own_units(capsys):
    assert run("train", "things.csv", "--target", "price", "--out", "m.safetensors") == 0
    assert "price: regression" in capsys.readouterr().out
    assert run("predict", "m.safetensors", "things.csv", "--out", "answers.csv") == 0
    name, *answers = Path("answers.csv").read_text().split()
    assert name == "price"
    np.testing.assert_allclose(np.array(answers, float), 3 * SIZES + 1, atol=3)


def test_the_same_table_gives_the_same_bytes():
    assert train(out="a.safetensors") == train(out="b.safetensors") == 0
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_texts_in_unicode_are_known_by_their_beginning(encoding, capsys):
    Path("names.csv").write_text("größe\tart\n1\tgut\n2\tübel\n3\tgut\n", encoding=encoding)
    assert train(data="names.csv", target="art") == 0
    assert run("predict", "m.safetensors", "names.csv") == 0
    assert capsys.readouterr().out.split()[-1] in ("gut", "übel")


def test_other_texts_are_read_as_told(capsys):
    Path("names.csv").write_bytes("größe,art\n1,gut\n2,übel\n".encode("latin-1"))
    line = mistake(capsys, train(data="names.csv", target="art"))
    assert "names.csv: got byte 0xf6 in line 1; expected text in utf-8" in line
    assert train("--encoding", "latin-1", data="names.csv", target="art") == 0


def test_missing_values_are_refused_dropped_or_filled(capsys):
    Path("holes.csv").write_text("a,b,y\n1,x,0\nNA,x,1\n3,,1\n4,z,1\n")
    line = mistake(capsys, train(data="holes.csv", target="y"))
    assert "got nothing in line 3, column 'a'; expected a value in every line" in line
    assert train("--missing", "drop", data="holes.csv", target="y") == 0
    assert "[INFO] 2 rows" in capsys.readouterr().out
    assert train("--missing", "fill", data="holes.csv", target="y") == 0
    assert "[INFO] 4 rows, 4 inputs" in capsys.readouterr().out
    assert run("predict", "m.safetensors", "holes.csv") == 0
    assert len(capsys.readouterr().out.split()) == 5


def test_a_table_without_a_header_has_numbered_columns(capsys):
    Path("bare.csv").write_text("1,2,0\n3,4,1\n5,6,1\n")
    line = mistake(capsys, train(data="bare.csv", target="column3"))
    assert "got a first line of numbers only" in line
    assert train("--no-header", data="bare.csv", target="column3") == 0
    assert "[INFO] 3 rows, 2 inputs" in capsys.readouterr().out


def test_whole_numbers_are_classes_unless_told_otherwise(capsys):
    Path("bare.csv").write_text("a,y\n1,0\n2,1\n3,2\n")
    assert train(data="bare.csv", target="y") == 0
    assert "y: 3 classes" in capsys.readouterr().out
    assert train("--task", "regression", data="bare.csv", target="y") == 0
    assert "y: regression" in capsys.readouterr().out


TABLES = {
    "empty": (b"", "got an empty file; expected a header and rows"),
    "header": (b"a,y\n", "got a header without rows; expected at least one row"),
    "ragged": (b"a,y\n1,2\n3\n", "got 1 values in line 3; expected 2, as in the header"),
    "twice": (b"a,a,y\n1,2,3\n", "got the name 'a' twice; expected a name of its own"),
    "unnamed": (b"a,,y\n1,2,3\n", "got column 2 without a name"),
    "quote": (b'a,y\n"1,2\n3,4\n', "got unexpected end of data, in line 3; expected"),
    "zero": (b"a,y\n1\0,2\n", "got a zero byte; expected text"),
    "target": (b"a,z\n1,2\n", "got no column 'y'; expected one of a, z"),
    "alone": (b"y\n1\n2\n", "got no column but the target; expected at least one"),
    "one": (b"a,y\n1,2\n", "got 1 complete rows; expected at least two"),
    "same": (b"a,y\n1,2\n3,2\n", "got 1 different values in column 'y'; expected 2 to 100"),
    "hollow": (b"a,y\n,1\n,2\n", "got no value in column 'a'; expected at least one"),
    "hole": (b"a,y\n1,1\n2,\n", "got nothing in line 3, column 'y'; expected a target"),
    "names": (b"a,y\n" + b"".join(b"n%d,%d\n" % (i, i % 2) for i in range(101)),
              "got 101 different texts in column 'a', such as 'n0'; expected numbers, or"),
    "infinite": (b"a,y\n1,1\n" + b"".join(b"%d%s,0\n" % (i, b"e999") for i in range(1, 101)),
                 "got 101 different texts in column 'a', such as '1e999'"),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_makes_no_sense_is_refused_in_a_line_and_nothing_is_written(name, capsys):
    content, text = TABLES[name]
    Path("t.csv").write_bytes(content)
    line = mistake(capsys, train(data="t.csv", target="y"))
    assert f"python -m tinygrad_bp: t.csv: {text}" in line
    assert not Path("m.safetensors").exists()


OPTIONS = [
    (["--layers", "8,x"], "--layers: got str '8,x'; expected numbers of units"),
    (["--layers", "0"], "--layers: got str '0'"),
    (["--epochs", "0"], "argument --epochs: got '0'; expected a whole number from 1"),
    (["--validation", "1"], "argument --validation: got '1'; expected a number from 0 to below 1"),
    (["--learning-rate", "-1"], "learning_rate: got float -1.0; expected a positive"),
    (["--encoding", "klingon"], "--encoding: got str 'klingon'; expected an encoding"),
    (["--delimiter", ";;"], "--delimiter: got str ';;'; expected a single character"),
    (["--ignore", "weight"], "things.csv: got no column 'weight'; expected one of size"),
    (["--out", "nowhere/m.safetensors"], "nowhere/m.safetensors: got no folder '"),
    (["--out", ""], "--out: got str ''; expected the path of a file"),
    (["--out", "."], ".: got a folder, a device or a pipe; expected a place for a file"),
    (["--ignore", "kind"], "--ignore: got the target; expected other columns"),
    (["--layers", "99999999999999"], "there is not enough memory. Take fewer units"),
    (["--out", "things.csv"], "--out: got str 'things.csv'; expected another file"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "text"), OPTIONS, ids=[" ".join(o) for o, _ in OPTIONS])
def test_an_option_that_makes_no_sense_is_refused_in_a_line(options, text, folder, capsys):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    command = ["train", "things.csv", "--target", "kind", "--out", "m.safetensors"]
    assert text in mistake(capsys, run(*command, *options))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_table_that_the_model_cannot_read_is_refused_in_a_line(capsys):
    assert train() == 0
    capsys.readouterr()
    Path("new.csv").write_text("size,colour,price\n1,green,2\n")
    line = mistake(capsys, run("predict", "m.safetensors", "new.csv", "--out", "answers.csv"))
    assert "new.csv: got 'green' in line 2, column 'colour'; expected one of blue, red" in line
    assert not Path("answers.csv").exists()
    Path("new.csv").write_text("size,colour\n1,red\n")
    assert "got no column 'price'" in mistake(capsys, run("predict", "m.safetensors", "new.csv"))
    Path("new.csv").write_text("size,colour,price\nbig,red,1\n")
    line = mistake(capsys, run("predict", "m.safetensors", "new.csv"))
    assert "got 'big' in line 2, column 'size'; expected a finite number" in line
    line = mistake(capsys, run("predict", "m.safetensors", "lost.csv"))
    assert "lost.csv: got No such file or directory" in line


def test_a_description_that_was_changed_is_refused_in_a_line(capsys):
    assert train() == 0
    arrays, description = load_arrays("m.safetensors")
    for change in ({"columns": []}, {"target": {"name": "kind"}}, {"model": 7}, {"columns": None}):
        save_arrays("bad.safetensors", arrays, description | change)
        line = mistake(capsys, run("info", "bad.safetensors"))
        assert line.startswith("python -m tinygrad_bp: bad.safetensors: got a description that")
    Path("bad.safetensors").write_bytes(Path("m.safetensors").read_bytes()[:-1])
    assert "bad.safetensors" in mistake(capsys, run("info", "bad.safetensors"))


def test_numbers_too_large_to_be_squared_are_refused_in_a_line(capsys):
    Path("t.csv").write_text("a,y\n1e308,1\n-1e308,0\n0,0\n")
    line = mistake(capsys, train(data="t.csv", target="y"))
    assert "standardizing: got numbers up to 1e+308; expected numbers whose squares" in line


def test_what_spreadsheets_write_is_read(capsys):
    content = '\ufeffname;size;kind\r\n"a;b";1;x\r\nc;2;y\r\nc;3;x\r\nc;4;once\r\n'
    Path("t.csv").write_bytes(content.encode())
    assert train(data="t.csv", target="kind") == 0  # the last class is there once, perhaps held out
    assert "[INFO] 4 rows, 3 inputs, kind: 3 classes" in capsys.readouterr().out
    Path("new.csv").write_text("kind,size,name\n?,1,c\n")  # another order, and a column too many
    assert run("predict", "m.safetensors", "new.csv") == 0
    Path("new.csv").write_text("size,name\n1,\n")
    line = mistake(capsys, run("predict", "m.safetensors", "new.csv"))
    assert "got nothing in line 2, column 'name'; expected one of a;b, c" in line


# ---------------------------------------------------------------------------------- the system


def python(*arguments, **how):
    """Run the command line in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(tg.__file__).parent.parent)}
    environment.pop("PYTHONUNBUFFERED", None)
    environment |= how.pop("env", {})
    command = [sys.executable, "-m", "tinygrad_bp", *arguments]
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | how
    return subprocess.run(command, env=environment, **how)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk that is full")
@pytest.mark.parametrize(
    "command", ["predict m.safetensors things.csv", "info", "info m.safetensors"]
)
def test_an_output_that_cannot_be_written_is_a_line_and_not_a_success(command):
    assert train() == 0
    with open("/dev/full", "w") as full:
        result = python(*command.split(), stdout=full)
    assert result.returncode == 2
    text = "the output cannot be written: No space left on device."
    assert result.stderr == f"python -m tinygrad_bp: {text}\n"


class FullDisk:
    """`os` for the module that writes files, on a disk without room."""

    def __getattr__(self, name):
        return getattr(os, name)

    def write(self, *_):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_a_line_and_leaves_what_was_there(folder, monkeypatch, capsys):
    assert train() == 0
    before = {path: path.read_bytes() for path in folder.iterdir()}
    capsys.readouterr()
    monkeypatch.setattr(files, "os", FullDisk())
    text = "got No space left on device; expected a file that can be written, and room for it."
    assert f"m.safetensors: {text} The file is as it was" in mistake(capsys, train("--seed", "1"))
    command = ("predict", "m.safetensors", "things.csv", "--out", "answers.csv")
    assert f"answers.csv: {text}" in mistake(capsys, run(*command))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot fork")
def test_an_output_that_is_closed_is_a_line():
    result = python("info", preexec_fn=lambda: os.close(1))
    assert result.returncode == 2
    assert result.stderr.endswith("the output cannot be written: it is closed.\n")


def test_an_output_that_has_no_such_letter_is_a_line():
    Path("names.csv").write_text("a,y\n1,gut\n2,\N{SNOWMAN}\n3,gut\n", encoding="utf-8")
    assert train(data="names.csv", target="y") == 0
    result = python("info", "m.safetensors", env={"PYTHONIOENCODING": "latin-1"})
    assert result.returncode == 2
    assert "the output: got '\\u2603'; expected text in latin-1" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_reader_that_has_seen_enough_ends_it_without_a_word():
    Path("long.csv").write_text("\n".join([HEADER, *ROWS * 200, ""]))
    assert train() == 0
    environment = os.environ | {"PYTHONPATH": str(Path(tg.__file__).parent.parent)}
    environment.pop("PYTHONUNBUFFERED", None)
    command = [sys.executable, "-m", "tinygrad_bp", "predict", "m.safetensors", "long.csv"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*command, "--probabilities"], env=environment, **pipes) as process:
        assert process.stdout.readline() == b"kind,p(big),p(small)\n"
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (141, b"")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_training_that_is_interrupted_ends_with_a_line_and_leaves_no_file(folder):
    before = sorted(folder.iterdir())
    environment = os.environ | {"PYTHONPATH": str(Path(tg.__file__).parent.parent)}
    command = [sys.executable, "-u", "-m", "tinygrad_bp", "train", "things.csv", "--target", "kind"]
    command += ["--out", "m.safetensors", "--epochs", "1000000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # if ours is not
    with subprocess.Popen(command, env=environment, **pipes, **heard) as process:
        assert process.stdout.readline().startswith(b"[INFO] 80 rows")  # it is about to train
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        try:
            assert (process.wait(60), process.stderr.read()) == (130, b"Interrupted.\n")
        finally:
            process.kill()
    assert sorted(folder.iterdir()) == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_folder_that_may_not_be_written_is_told_before_training(folder, capsys):
    (folder / "closed").mkdir(0o555)
    if os.access(folder / "closed", os.W_OK):
        pytest.skip("root may write everywhere")
    line = mistake(capsys, train(out="closed/m.safetensors"))
    assert "that is not yours to write; expected a place for a file. Choose another" in line


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with names")
def test_what_is_no_file_is_neither_read_nor_replaced(folder, capsys):
    assert train() == 0
    os.mkfifo("pipe")
    capsys.readouterr()
    for command in (
        ("train", "things.csv", "--target", "kind", "--out", "pipe"),
        ("predict", "m.safetensors", "things.csv", "--out", "pipe"),
        ("info", "pipe"),
    ):
        assert "a device or a pipe" in mistake(capsys, run(*command))
    assert (folder / "pipe").is_fifo()


# ---------------------------------------------------------------------------------- looking


def test_models_are_described_and_drawn(capsys):
    assert train() == 0
    tg.save(tg.NeuralNetwork([2, 2, 1], seed=0), "xor.safetensors")
    tg.save(nn.Sequential([nn.Dense(1)]).build((3,)), "line.safetensors")
    capsys.readouterr()
    assert run("info", "m.safetensors") == 0
    assert "colour: blue, red\nprice: numbers\ntarget kind: big, small" in capsys.readouterr().out
    for name, leaf in (("m", "layers.0.weight"), ("xor", "W[1]"), ("line", "layers.0.bias")):
        assert run("draw", f"{name}.safetensors") == 0
        assert leaf in capsys.readouterr().out
    assert run("draw", "xor.safetensors", "--out", "xor.svg") == 0
    assert Path("xor.svg").read_text().lstrip().startswith(("<svg", "<?xml"))
    line = mistake(capsys, run("predict", "line.safetensors", "things.csv"))
    assert "line.safetensors: got Sequential(Dense(units=1)); expected a model that was" in line


def test_the_name_of_a_column_gives_no_orders_to_a_terminal(capsys):
    Path("red.csv").write_text("\n".join(["size,\x1b[31mcolour,price,kind", *ROWS, ""]))
    assert train(data="red.csv") == 0
    capsys.readouterr()
    assert run("info", "m.safetensors") == 0
    shown = capsys.readouterr().out
    assert "\\x1b[31mcolour: blue, red" in shown
    assert "\x1b" not in shown


def test_functions_are_drawn_and_checked(capsys):
    assert run("draw", "program_of_mine:graph") == 0
    assert "w: scalar float64, value 3, grad 6" in capsys.readouterr().out
    assert run("check", "program_of_mine:smooth", "--shape", "2,3") == 0
    assert "PASS" in capsys.readouterr().out
    assert run("check", "program_of_mine:wrong") == 1
    assert "FAIL" in capsys.readouterr().out


SUBJECTS = [
    (["draw", "program_of_mine:lost"], "expected a function 'lost' in program_of_mine"),
    (["draw", "program_of_mine:broken"], "program_of_mine:broken: got KeyError: 'lost'"),
    (["draw", "lost.module:f"], "got no module 'lost.module'"),
    (["draw", "lost.safetensors"], "lost.safetensors: got No such file or directory"),
    (["draw", "program_of_mine:graph", "--out", "a.doc"], "a.doc"),
    (["check", "smooth"], "the function: got str 'smooth'; expected module:function"),
    (["check", "program_of_mine:smooth", "--shape", "2,x"], "--shape: got str '2,x'"),
    (["teach"], "invalid choice: 'teach'"),
    ([], "the following arguments are required: command"),
]


@pytest.mark.parametrize(("command", "text"), SUBJECTS, ids=[" ".join(c) for c, _ in SUBJECTS])
def test_a_subject_that_is_not_there_is_told_in_a_line(command, text, capsys):
    assert text in mistake(capsys, run(*command))


def test_the_installation_is_described_and_help_is_given(capsys):
    assert run("info") == 0
    assert f"tinygrad_bp {tg.__version__}" in capsys.readouterr().out
    assert run("--help") == 0
    shown = capsys.readouterr().out
    for command in ("demo", "train", "predict", "draw", "check", "info"):
        assert f"    {command} " in shown


def test_tables_need_numpy_alone():
    program = (
        "import sys\n"
        "for name in ('sklearn', 'pandas', 'scipy', 'llvmlite', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "from tinygrad_bp.__main__ import main\n"
        "sys.exit(main(['train', 'things.csv', '--target', 'kind', '--out', 'm', '--epochs', '2']))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(tg.__file__).parent.parent)}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr
    assert Path("m").exists()
