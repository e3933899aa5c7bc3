"""The demo shows what it does, on a terminal and off it, and leaves cleanly."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_bp
from tinygrad_bp.__main__ import main

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-u", "-m", "tinygrad_bp"]
WITHOUT = "import sys; sys.modules[{!r}] = None; from tinygrad_bp.__main__ import main; "
QUICK = "sys.exit(main(['demo', '--quick']))"


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def plain():
    return run(*COMMAND, "demo", "--quick")


def on_a_terminal(*command, until=b""):
    """Run a command on a new terminal, press Ctrl-C once it shows `until`, if that is given.

    Returns its status and all that it showed.
    """
    ours, theirs = os.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen(command, cwd=ROOT, **streams) as process:
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


# ---------------------------------------------------------------------------------- how it leaves


def test_ctrl_c_leaves_with_one_line_and_status_130():
    process = subprocess.Popen(
        [*COMMAND, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    while "epoch=1," not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate()
    assert process.returncode == 130
    assert complaint == "Interrupted.\n"


def test_ctrl_c_on_a_terminal_leaves_the_bar_on_a_line_of_its_own():
    status, shown = on_a_terminal(*COMMAND, "demo", until=b"epoch=1,")
    assert status == 130
    assert "Traceback" not in shown
    assert shown.endswith("\r\nInterrupted.\r\n")


@pytest.mark.parametrize("buffering", [[], ["-u"]])
def test_a_reader_that_has_seen_enough_is_no_error(buffering):
    command = [sys.executable, *buffering, "-m", "tinygrad_bp", "demo", "--quick"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
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
