"""The demo shows what it does, on a terminal and off it, and leaves cleanly."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import tinygrad_bp
from tinygrad_bp.__main__ import main

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-u", "-m", "tinygrad_bp"]
WITHOUT = "import sys; sys.modules[{!r}] = None; from tinygrad_bp.__main__ import main; "
QUICK = "sys.exit(main(['demo', '--quick']))"
SLOW = (  # minutes, so that there is time to interrupt it however busy the machine is
    "import functools, signal, sys; from tinygrad_bp import NeuralNetwork as N; "
    "signal.signal(signal.SIGINT, signal.default_int_handler); "  # a shell's `&` turns it off
    "N.fit = functools.partialmethod(N.fit, engine='eager'); "
    "from tinygrad_bp.__main__ import main; sys.exit(main(['demo']))"
)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module", autouse=True)
def here(tmp_path_factory):
    """An empty folder in which everything runs, since the demo writes where it is started."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setenv("PYTHONPATH", str(ROOT))
        yield folder


@pytest.fixture(scope="module")
def plain(here):
    return run(*COMMAND, "demo", "--quick")


def on_a_terminal(*command, until=b""):
    """Run a command on a new terminal, press Ctrl-C once it shows `until`, if that is given.

    Returns its status and all that it showed.
    """
    ours, theirs = os.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen(command, **streams) as process:
        os.close(theirs)
        shown = b""
        while chunk := read(ours):
            shown += chunk
            if until and until in shown:
                process.send_signal(signal.SIGINT)
                until = b""
    os.close(ours)
    return process.returncode, shown.decode()


def read(terminal):
    try:
        return os.read(terminal, 4096)
    except OSError:  # what Linux says when the other end has closed
        return b""


def losses(text):
    return re.findall(r"\[INFO\] epoch=(\d+), loss=\d+\.\d{7}", text)


# ---------------------------------------------------------------------------------- what it shows


def test_off_a_terminal_it_prints_plain_documented_lines_and_nothing_else(plain):
    assert plain.returncode == 0
    assert plain.stderr == ""
    assert "\r" not in plain.stdout
    xor, digits = plain.stdout.split("[INFO] loading MNIST (sample) dataset...\n")
    assert losses(xor) == ["1", *map(str, range(20, 201, 20))]
    assert losses(digits) == list("12345")
    for line in ("samples: 1797, dim: 64", "training network...", "evaluating network..."):
        assert f"[INFO] {line}\n" in digits


def test_it_ends_with_the_predictions_and_the_report(plain):
    table, report = plain.stdout.split("XOR:\n")[1].split("The digits")
    rows = re.findall(r"\[(\d) (\d)\] +(\d) +(\d\.\d{4}) +(\d)\n", table)
    assert [a + b + target for a, b, target, *_ in rows] == ["000", "011", "101", "110"]
    assert all(int(step) == (float(prediction) > 0.5) for *_, prediction, step in rows)
    assert re.search(r"precision +recall +f1-score +support", report)
    assert re.search(r"accuracy +0\.\d\d +450", report)
    assert report.rstrip().splitlines()[-1].startswith("weighted avg")


def test_it_shows_the_same_in_every_run(plain):
    assert run(*COMMAND, "demo", "--quick").stdout == plain.stdout


def test_on_a_terminal_there_is_a_progress_bar_for_each_network(plain):
    status, shown = on_a_terminal(*COMMAND, "demo", "--quick")
    assert status == 0
    assert re.search(r"XOR: 100%\S* 200/200 ", shown)
    assert re.search(r"digits: 100%\S* 5/5 ", shown)
    for line in plain.stdout.splitlines():  # each on a line of its own, whatever the bar does
        assert re.search(rf"^(?:.*\r)?{re.escape(line)}\r*$", shown, flags=re.MULTILINE), line


def test_without_tqdm_a_terminal_gets_the_plain_lines(plain):
    code = WITHOUT.format("tqdm") + QUICK
    status, shown = on_a_terminal(sys.executable, "-c", code)
    assert status == 0
    assert shown.replace("\r\n", "\n") == plain.stdout


def test_without_scikit_learn_it_trains_xor_says_how_to_get_the_digits_and_fails(plain):
    result = run(sys.executable, "-c", WITHOUT.format("sklearn") + QUICK)
    assert result.returncode == 1
    assert result.stdout.splitlines()[:12] == plain.stdout.splitlines()[:12]
    assert "XOR:\n" in result.stdout
    assert result.stderr == (
        "The digits need scikit-learn, which is not installed. To train them too:\n"
        "    pip install 'tinygrad_bp[examples]'\n"
    )


# ---------------------------------------------------------------------------------- its picture


def test_it_writes_a_picture_and_a_page_of_the_xor_network_and_says_where(plain, here):
    assert "\n  xor.svg\n  xor.html\n" in plain.stdout
    svg = (here / "xor.svg").read_text("utf-8")
    shown = {element.text for element in ElementTree.fromstring(svg).iter()}
    assert {"W0[0, 0]", "W0[2, 2]", "W1[2, 0]", "output", "error"} <= shown
    assert "44 nodes: 12 leaves, 5 constants, 27 ops." in shown
    assert "<title>error</title>" in (here / "xor.html").read_text("utf-8")


def test_it_overwrites_nothing_but_what_it_has_written_itself(plain, tmp_path):
    (tmp_path / "xor.html").write_text("mine")
    for _ in range(2):
        result = run(*COMMAND, "demo", "--quick", "--folder", tmp_path)
        assert f"\n  {tmp_path}/xor-2.svg\n  {tmp_path}/xor-2.html\n" in result.stdout
    assert sorted(os.listdir(tmp_path)) == ["xor-2.html", "xor-2.svg", "xor.html"]
    assert (tmp_path / "xor.html").read_text() == "mine"


def test_a_folder_that_is_not_there_is_told_at_once():
    result = run(*COMMAND, "demo", "--quick", "--folder", "nowhere")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "There is no folder 'nowhere' for the picture of the network.\n"


def test_a_picture_that_cannot_be_written_is_told_after_what_was_learned(tmp_path):
    code = WITHOUT.format("nothing") + (
        "import tinygrad_bp.render.save as save; from pathlib import Path\n"
        "def full(*_): raise OSError(28, 'No space left on device')\n"
        "Path.replace = full\n" + QUICK
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 1
    assert "XOR:\n" in result.stdout
    assert result.stderr == (
        "The picture of the network was not written. demo: got the path 'xor.svg'; expected a file "
        "that can be written. The system says: No space left on device.\n"
    )
    assert os.listdir(tmp_path) == []


# ---------------------------------------------------------------------------------- how it leaves


def test_ctrl_c_leaves_with_one_line_and_status_130():
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", SLOW],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while "epoch=1," not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate()
    assert process.returncode == 130
    assert complaint == "Interrupted.\n"


def test_ctrl_c_on_a_terminal_leaves_the_bar_on_a_line_of_its_own():
    status, shown = on_a_terminal(sys.executable, "-c", SLOW, until=b"epoch=1,")
    assert status == 130
    assert "Traceback" not in shown
    assert shown.endswith("\r\nInterrupted.\r\n")


@pytest.mark.parametrize("buffering", [[], ["-u"]])
def test_a_reader_that_has_seen_enough_is_no_error(buffering):
    command = [sys.executable, *buffering, "-m", "tinygrad_bp", "demo", "--quick"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()


@pytest.mark.parametrize(
    ("arguments", "mentioned"),
    [
        (["dmeo"], "'dmeo'"),
        ([], "command"),
        (["demo", "--quikc"], "--quikc"),
    ],
)
def test_a_wrong_command_line_gets_one_line_and_status_2(arguments, mentioned, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    shown, complaint = capsys.readouterr()
    assert shown == ""
    assert complaint.count("\n") == 1
    assert complaint.startswith("python -m tinygrad_bp")
    assert mentioned in complaint
    assert "--help" in complaint


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--version"], f"tinygrad_bp {tinygrad_bp.__version__}"),
        (["--help"], "demo"),
        (["demo", "--help"], "--quick"),
    ],
)
def test_questions_are_answered(arguments, expected, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 0
    assert expected in capsys.readouterr().out
