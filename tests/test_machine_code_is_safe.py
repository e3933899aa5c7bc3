"""Machine code touches only its own memory, and is made and run only from what was checked."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import require
from programs import EXACT, EXTREME, MOVING, SMOOTH, draw

import tinygrad_bp as tg
from tinygrad_bp.compiler import cache
from tinygrad_bp.compiler.engines import plan
from tinygrad_bp.compiler.loops import CompiledLoop
from tinygrad_bp.compiler.machine import Machine
from tinygrad_bp.compiler.primitives import Value, evaluate
from tinygrad_bp.compiler.program import program
from tinygrad_bp.compiler.trace import Argument, trace
from tinygrad_bp.compiler.verify import verify

HERE = Path(__file__).parent
X = np.arange(6.0).reshape(2, 3)
engines = pytest.mark.parametrize("engine", ["native", "numpy"])


def compiled(function, engine="native"):
    if engine == "native":
        require("llvmlite", "fast")
    return tg.compile(function, engine)


def squares(x):
    return (x * x).sum()


def run(*arguments, **environment):
    """Run Python with the package, in a process of its own."""
    path = os.pathsep.join([str(HERE.parent), str(HERE)])
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path} | environment,
    )


# ------------------------------------------------------------------------------ guard pages


def guarded(*arguments):
    require("llvmlite", "fast")
    if not sys.platform.startswith("linux"):
        pytest.skip("guard pages are tested on Linux")
    return run(HERE / "guarded.py", *arguments)


def test_no_element_outside_of_an_array_is_touched():
    """Inputs, outputs, intermediate results, constants, tables of indices, pointers, rows."""
    done = guarded(30)
    assert "nothing outside of them touched" in done.stdout, done.stderr
    assert int(done.stdout.split()[0]) > 2000


def test_the_guards_see_a_loop_that_goes_one_element_too_far():
    done = guarded(3, "planted")
    assert done.returncode != 0
    assert "touched" not in done.stdout


# ------------------------------------------------------------------------------ what is passed


def misaligned(x):
    """Return the same numbers at an odd address."""
    raw = np.zeros(x.nbytes + 1, np.uint8)
    y = raw[1:].view(x.dtype).reshape(x.shape)
    y[...] = x
    assert not y.flags.aligned or x.nbytes == 0
    return y


@engines
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_misaligned_overlapping_and_repeated_arguments_are_right(engine, dtype):
    fast = compiled(lambda a, b: (a + b, (a * b).sum(1)), engine)
    line = np.arange(40, dtype=dtype)
    windows = np.lib.stride_tricks.as_strided(line, (5, 7), (2 * line.itemsize, line.itemsize))
    repeated = np.broadcast_to(line[:7], (5, 7))
    whole = line[:35].reshape(5, 7)
    for a in (windows, repeated, misaligned(whole), np.asfortranarray(whole), whole[::-1, ::-1]):
        for b in (a, misaligned(a), whole):
            before = line.copy()
            total, products = fast(a, b)
            np.testing.assert_array_equal(total, a + b)
            np.testing.assert_allclose(products, (a * b).sum(1), rtol=1e-6)
            np.testing.assert_array_equal(line, before)


@pytest.mark.parametrize(
    ("rows", "first", "last"),
    [
        (np.zeros((4, 3), ">f8"), 0, 4),
        (misaligned(np.zeros((4, 3))), 0, 4),
        (np.asfortranarray(np.zeros((4, 3))), 0, 4),
        (np.broadcast_to(np.zeros(3), (4, 3)), 0, 4),
        (np.zeros((4, 3))[::-1], 0, 4),
        (np.zeros((4, 3, 1)), 0, 4),
        (np.zeros((4, 3), np.int64), 0, 4),
        (np.zeros((4, 3)), -1, 4),
        (np.zeros((4, 3)), 0, 5),
        (np.zeros((4, 3)), 3, 2),
        (np.zeros(()), 0, 0),
    ],
)
def test_rows_that_machine_code_cannot_read_are_refused(rows, first, last):
    require("llvmlite", "fast")
    loop = CompiledLoop(lambda s, x: [s[0] + x + 1], [np.zeros(3)], [np.zeros(3)], "native")
    with pytest.raises(tg.CompileError, match="contiguous rows of float64 and shape"):
        loop.run([rows], first, last)
    np.testing.assert_array_equal(loop.state, [np.zeros(3)])


def test_read_only_and_shared_rows_are_read_in_place():
    require("llvmlite", "fast")
    rows = np.arange(12.0).reshape(4, 3)
    rows.flags.writeable = False
    loop = CompiledLoop(lambda s, x, y: [s[0] + x * y], [np.zeros(3)], [rows[0], rows[0]], "native")
    loop.run([rows, rows], 1, 4, 2)
    np.testing.assert_array_equal(loop.state, [2 * (rows[1:] ** 2).sum(0)])


def test_after_a_loop_nothing_points_to_the_rows():
    require("llvmlite", "fast")
    loop = CompiledLoop(lambda s, x: [s[0] + x], [np.zeros(3)], [np.zeros(3)], "native")
    before = list(loop.plan.table)
    loop.run([np.ones((4, 3))], 0, 4)
    assert list(loop.plan.table) == before
    np.testing.assert_array_equal(loop.state, [np.full(3, 4.0)])


def test_a_leaf_from_outside_that_changed_its_dtype_never_reaches_machine_code():
    w = tg.Tensor(np.ones(3))
    with tg.no_grad():
        fast = compiled(lambda x: x * w)
        fast(np.ones(3))
        w._restore(np.ones(3, np.float32), True, None)
        with pytest.raises(tg.CompileError, match="expected float64 of shape"):
            fast(np.ones(3))


# ------------------------------------------------------------------------------ the checker


def programs(count):
    """Yield recorded programs: random ones, and one with every kind of move and reduction."""
    for seed in range(count):
        function, inputs = draw(seed, EXACT + EXTREME + MOVING + SMOOTH)
        yield recorded(function, inputs)

    def moves(a, b):
        table = np.array([1, 0, 1])
        slope = tg.grad(lambda a: (a[table] * a[table]).sum() + (a[:, ::2] ** 2).sum())(a)
        reduced = (a.max(1), a.min(0), a.prod(1), tg.argmax(a, 1), tg.cumsum(a, 1), (a > 0).sum())
        return slope, *reduced, a @ b, tg.concatenate([a, a], 1), a[:, 1:], tg.softmax(a @ b)

    yield recorded(moves, [np.ones((2, 3)), np.ones((3, 4))])


def recorded(function, inputs):
    arguments = [Argument(x.shape, x.dtype) for x in inputs]
    with np.errstate(all="ignore"):
        return trace(function, arguments, lambda tensors: (tuple(tensors), {})).program


def corruptions(value, other, rng):
    """Yield the value with one thing wrong, or different."""
    shape, dtype, inputs, params = value.shape, value.dtype, value.inputs, value.params
    longer = [n + (i == rng.integers(len(shape))) for i, n in enumerate(shape)]
    yield inputs, tuple(longer), dtype, params
    yield inputs, (*shape, 2), dtype, params
    yield inputs, shape[1:], dtype, params
    yield inputs, shape, np.dtype(np.float32), params
    yield inputs, shape, np.dtype(np.int64), params
    yield inputs[1:], shape, dtype, params
    yield (*inputs[:-1], other), shape, dtype, params
    for i, part in enumerate(params):
        if isinstance(part, tuple) and part and all(isinstance(p, int) for p in part):
            for change in (-1, 1, 7):
                at = int(rng.integers(len(part)))
                wrong = tuple(p + change * (k == at) for k, p in enumerate(part))
                yield inputs, shape, dtype, (*params[:i], wrong, *params[i + 1 :])
        elif isinstance(part, int):
            for wrong in (part + 1, -1, 9):
                yield inputs, shape, dtype, (*params[:i], wrong, *params[i + 1 :])
        elif isinstance(part, np.ndarray) and part.size:
            for wrong in (part - 1, part + 1, part[..., :-1]):
                yield inputs, shape, dtype, (*params[:i], wrong, *params[i + 1 :])


def test_what_passes_the_checker_is_what_numpy_makes_of_it():
    """Values with one thing wrong are refused, or are another program that is right in itself."""
    rng, refused, passed = np.random.default_rng(0), 0, 0
    for whole in programs(60):
        verify(whole, "a test")
        for value in whole.values:
            if value.primitive in ("input", "constant", "call"):
                continue
            other = whole.values[rng.integers(len(whole.values))]
            for inputs, shape, dtype, params in corruptions(value, other, rng):
                bad = Value(value.primitive, inputs, shape, dtype, params)
                try:
                    verify(program([], [bad]), "a test")
                except tg.CompileError:
                    refused += 1
                    continue
                passed += 1
                arrays = [np.zeros(x.shape, x.dtype) for x in inputs]
                with np.errstate(all="ignore"):
                    found = np.asarray(evaluate(bad, *arrays))
                assert (found.shape, found.dtype) == (shape, dtype), bad
    assert refused > 4 * passed > 0


A, F = np.dtype(float), np.dtype(np.float32)
INPUT = Value("input", (), (2, 3), A)


@pytest.mark.parametrize(
    ("primitive", "shape", "dtype", "params"),
    [  # NumPy takes all of these, counting from the end, or they are too large to try
        ("slice", (2, 2), A, ((0, -3), (1, 1))),
        ("slice", (2, 2), A, ((0, 2), (1, 1))),
        ("slice", (2, 3), A, ((0, 0), (1, 0))),
        ("place", (4, 9), A, ((-3, 0), (1, 1), 0.0)),
        ("place", (1 << 20, 9), A, ((1 << 20, 0), (1, 1), 0.0)),
        ("gather", (2,), A, (np.array([0, -1]),)),
        ("gather", (2,), A, (np.array([0, 6]),)),
        ("gather", (1 << 17,), A, (np.full(1 << 17, 6),)),
        ("scatter", (5,), A, (np.full((2, 3), -1),)),
        ("transpose", (3, 2), A, ((-1, 0),)),
        ("sum", (2,), A, ((-1,),)),
        ("sum", (2,), F, ((1,),)),
        ("argmax", (2,), np.dtype(np.int64), (-1,)),
        ("cumsum", (2, 3), A, (-1,)),
        ("reshape", (3, 2), F, ()),
        ("reshape", (1 << 20, 2), A, ()),
        ("broadcast", (1 << 20, 2, 4), A, ()),
        ("broadcast", (4, 2, 3), F, ()),
        ("join", (2, 3), A, (-2,)),
    ],
)
def test_a_step_out_of_an_array_is_refused_even_where_numpy_would_take_it(
    primitive, shape, dtype, params
):
    with pytest.raises(tg.CompileError, match="the program after a test"):
        verify(program([], [Value(primitive, (INPUT,), shape, dtype, params)]), "a test")


@engines
def test_no_engine_is_given_a_corrupted_program(engine):
    if engine == "native":
        require("llvmlite", "fast")
    bad = Value("slice", (INPUT,), (2, 2), A, ((0, -3), (1, 1)))
    with pytest.raises(tg.CompileError, match="the program after recording"):
        plan(program([INPUT], [bad]), engine)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("fmul", "mul", 1),
        lambda text: text.replace("ret void", "ret i64 0", 1),
        lambda text: text.replace("%v4", "%nowhere", 1),
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("icmp", "cmp", 1),
        lambda text: text.replace("fadd double", "fadd float", 1),
    ],
)
def test_corrupted_text_is_refused_by_llvm_and_never_stored(damage, place):
    fast = compiled(squares)
    fast(X)
    stored = set(place.iterdir())
    wrong = damage(fast.ir)
    assert wrong != fast.ir
    with pytest.raises(tg.CompileError, match="code that LLVM refuses"):
        Machine.get().compile(wrong, ["run0"])
    assert set(place.iterdir()) == stored


# ------------------------------------------------------------------------------ threads and forks


def test_threads_compile_run_and_drop_at_once():
    require("llvmlite", "fast")
    wrong = []

    def work(seed):
        for n in range(25):
            number = seed + n / 32
            if compiled(lambda x, k=number: x.sum() * k)(X) != X.sum() * number:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


FORKS = """
import os, signal, sys, threading
import numpy as np, tinygrad_bp as tg
engine, stop, entered = sys.argv[1], threading.Event(), threading.Event()
shared = tg.compile(lambda x: tg.tanh(x).sum(), engine)

def fresh(n):
    return tg.compile(lambda x: (x * n).sum(), engine)(np.ones(3)) == 3 * n

def compile_always():
    n = 1.0
    while not stop.is_set():
        n += 1
        fresh(n)
        entered.set()

def call_always():
    x = np.ones(100_000)
    while not stop.is_set():
        shared(x)
        entered.set()

thread = threading.Thread(target={"compile": compile_always, "call": call_always}[sys.argv[2]])
thread.start()
entered.wait()
codes = []
for i in range(12):
    child = os.fork()
    if not child:
        signal.alarm(60)  # a child that waits for ever is ended
        fine = fresh(0.5 + i) and abs(shared(np.ones(3)) - 3 * np.tanh(1)) < 1e-12
        os._exit(0 if fine else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
thread.join()
print(codes)
"""


@engines
@pytest.mark.parametrize("busy", ["compile", "call"])
def test_a_fork_while_another_thread_is_busy_leaves_the_child_free(engine, busy):
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork on this system")
    if engine == "native":
        require("llvmlite", "fast")
    done = run("-c", FORKS, engine, busy, TINYGRAD_BP_CACHE="")
    assert done.stdout.strip() == str([0] * 12), done.stderr


# ------------------------------------------------------------------------------ the cache


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGRAD_BP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def made(monkeypatch):
    """The texts that were made into machine code, rather than found."""
    require("llvmlite", "fast")
    texts, original = [], Machine.optimized

    def optimized(self, text):
        texts.append(text)
        return original(self, text)

    monkeypatch.setattr(Machine, "optimized", optimized)
    return texts


def entry(place):
    (path,) = place.glob("*.o")
    return path


def test_a_whole_entry_is_used(place, made):
    for _ in range(3):
        assert compiled(squares)(X) == 55.0
    assert len(made) == 1
    assert [path.suffix for path in place.iterdir()] == [".o"]


def other_bytes(path):
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for size in (0, 1, 20, 52, len(data) // 2, len(data) - 1):
        yield data[:size]
    for at in (0, 25, 60, *rng.integers(0, len(data), 8)):
        yield data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
    yield data + b"\0"
    yield data[52:]
    yield bytes(len(data))
    yield data[:53] + rng.bytes(len(data) - 53)


def test_every_damage_to_a_real_entry_is_mended(place, made):
    compiled(squares)(X)
    path = entry(place)
    whole = path.read_bytes()
    for number, damaged in enumerate(other_bytes(path), 2):
        path.write_bytes(damaged)
        assert compiled(squares)(X) == 55.0
        assert len(made) == number
        assert path.read_bytes() == whole


def test_real_code_of_another_program_under_this_name_is_not_executed(place, made):
    compiled(lambda x: (x * x).sum() + 1)(X)
    foreign = entry(place)
    data = foreign.read_bytes()
    foreign.unlink()
    compiled(squares)(X)
    entry(place).write_bytes(data)
    assert compiled(squares)(X) == 55.0
    assert len(made) == 3


@pytest.mark.parametrize("fact", ["cpu", "features", "version"])
def test_code_for_another_processor_or_made_by_another_version_is_not_used(
    place, made, monkeypatch, fact
):
    compiled(squares)(X)
    machine = Machine.get()
    monkeypatch.setattr(machine, fact, getattr(machine, fact) + "-other")
    assert compiled(squares)(X) == 55.0
    assert len(made) == 2
    assert len(list(place.glob("*.o"))) == 2


def as_folder(path, whole):
    path.mkdir()


def as_pipe(path, whole):
    os.mkfifo(path, 0o600)  # reading it would wait for ever


def as_link(path, whole):
    other = path.with_suffix(".elsewhere")
    other.write_bytes(whole)
    path.symlink_to(other)


def as_dead_link(path, whole):
    path.symlink_to(path.with_suffix(".nowhere"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no such files")
@pytest.mark.parametrize("replace", [as_folder, as_pipe, as_link, as_dead_link])
def test_an_entry_that_is_not_a_file_is_not_read(place, made, replace):
    compiled(squares)(X)
    path = entry(place)
    whole = path.read_bytes()
    path.unlink()
    replace(path, whole)
    assert compiled(squares)(X) == 55.0
    assert len(made) == 2
    assert not list(place.glob("tmp*"))


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="the system has no such permissions")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_real_entry_that_others_can_write_is_made_again(place, made, mode):
    compiled(squares)(X)
    entry(place).chmod(mode)
    assert compiled(squares)(X) == 55.0
    assert len(made) == 2
    assert stat.S_IMODE(entry(place).stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="the system has no owners")
def test_an_entry_of_another_person_is_not_used(place, made, monkeypatch):
    compiled(squares)(X)
    monkeypatch.setattr(os, "getuid", lambda: entry(place).stat().st_uid + 1)
    assert compiled(squares)(X) == 55.0
    assert len(made) == 2


@pytest.mark.parametrize("broken", ["mkstemp", "fdopen", "replace"])
def test_a_disk_that_takes_nothing_is_no_error_and_nothing_is_left_on_it(
    place, made, monkeypatch, broken
):
    def refuse(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(cache.tempfile if broken == "mkstemp" else cache.os, broken, refuse)
    assert compiled(squares)(X) == 55.0
    assert list(place.iterdir()) == []


def test_processes_that_fill_the_cache_at_once_do_not_disturb_each_other(place):
    require("llvmlite", "fast")
    program = (
        "import sys, numpy as np, tinygrad_bp as tg\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for n in range(12):\n"
        "    assert tg.compile(lambda x: (x * n).sum() + n, 'native')(np.ones(3)) == 4 * n\n"
        "print('fine')\n"
    )
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    several = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, **pipes)
        for _ in range(3)
    ]
    for process in several:
        assert process.stdout.readline() == "ready\n"
    for process in several:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in several:
        assert process.communicate()[0] == "fine\n"
        assert process.returncode == 0
    names = [path.name for path in place.iterdir()]
    assert len(names) == 12
    assert all(name.endswith(".o") for name in names)
