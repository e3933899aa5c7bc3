"""What Python tells an audit hook: no pickle, no eval, no network, no write but where you said."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import require

import tinygrad_bp as tg

PROGRAM = Path(__file__).parent / "audited.py"
PACKAGE = Path(tg.__file__).parent


def audited(folder, cache, engines="eager,numpy", *more):
    """Return what was heard the first and the second time, as (event, about, places, by)."""
    environment = os.environ | {
        "PYTHONPATH": str(PACKAGE.parent),
        "PYTHONDONTWRITEBYTECODE": "1",  # else Python writes what it has compiled of any program
        "TINYGRAD_BP_CACHE": cache,
        "MPLCONFIGDIR": str(folder),
    }
    command = [sys.executable, PROGRAM, folder, engines, *more]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def check(first, second, *folders):
    """Hold what was heard against what is promised."""
    for event, about, places, by in [*first, *second]:
        assert all(_is_in(place, folders) for place in places), (event, places, by)
        assert not event.startswith(("socket.", "urllib.", "http.", "ftplib.", "smtplib.")), about
        assert not event.startswith("pickle."), (about, by)
        if event.startswith(("subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn")):
            assert (event, about[0]) == ("subprocess.Popen", "dot"), about  # it places a drawing
        if event in ("exec", "compile", "marshal.loads"):  # by Python to import, by dataclasses, …
            assert not Path(by).is_relative_to(PACKAGE), (event, about, by)
    assert {event for event, *_ in second} <= {"open", "os.rename", "os.remove", "subprocess.Popen"}


def _is_in(place, folders):
    return any(Path(place).is_relative_to(folder) for folder in folders)


def written(heard):
    return {Path(place).name for event, _, places, _ in heard for place in places}


OUTPUTS = {"m", "n", "log.csv", "x.svg", "table", "answers.csv", "table.html", "numpy.run"}


def test_with_numpy_alone_all_that_is_written_is_where_it_was_said(tmp_path):
    first, second = audited(tmp_path, "")
    check(first, second, tmp_path)
    for heard in (first, second):
        assert written(heard) >= OUTPUTS  # so the hook does hear


def test_estimators_do_nothing_else(tmp_path):
    require("sklearn", "sklearn")
    check(*audited(tmp_path, "", "numpy", "sklearn"), tmp_path)


@pytest.mark.parametrize("cached", [False, True])
def test_machine_code_is_written_to_its_cache_which_can_be_turned_off(tmp_path, cached):
    require("llvmlite", "fast")
    (tmp_path / "given").mkdir()
    cache = tmp_path / "cache"
    first, second = audited(tmp_path / "given", str(cache) if cached else "", "native")
    check(first, second, tmp_path / "given", *[cache] * cached)
    assert any(name.endswith(".o") for name in written(first)) == cached
    assert not any(name.endswith(".o") for name in written(second))
    assert cache.exists() == cached


DEEDS = {
    "eval": ("compile", "eval('1 + 1')"),
    "exec": ("exec", "exec('1 + 1')"),
    "pickle": ("pickle.find_class", "import pickle; pickle.loads(pickle.dumps(print))"),
    "connect": ("socket.connect", "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"),
    "run": ("subprocess.Popen", "import subprocess; subprocess.run([sys.executable, '-c', ''])"),
    "shell": ("os.system", "os.system('')"),
    "write": ("open", "open(os.devnull, 'w')"),
    "low": ("open", "os.open(os.devnull, os.O_WRONLY)"),
    "path": ("open", "import pathlib; pathlib.Path(os.devnull).write_text('')"),
    "folder": ("os.mkdir", "import tempfile; os.rmdir(tempfile.mkdtemp())"),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_the_hook_hears(deed):
    event, what = DEEDS[deed]
    program = (
        "import os, sys, audited; sys.addaudithook(audited.hear)\n"
        f"{what}\nprint(*(event for event, *_ in audited.heard))"
    )
    environment = os.environ | {"PYTHONPATH": str(PROGRAM.parent)}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert event in result.stdout.split(), result.stderr
