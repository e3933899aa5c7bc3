"""Depth is no limit: a graph a million nodes deep costs a hundred times one of ten thousand.

Every test runs in a fresh process whose recursion limit is 200, so anything that recurses along
the graph, in Python or in the interpreter, ends it.
"""

import json
import subprocess
import sys
import textwrap

import pytest

LIMIT = 200
DEEP, MILLION = 10**5, 10**6

PRELUDE = f"""
import copy, gc, json, pickle, sys, tracemalloc, weakref
import numpy as np
import tinygrad_bp as tg

def chain(y, length):
    for _ in range(length // 4):
        y = -((y + 1.0) * -1.0 + 1.0)
    return y

repr(tg.Tensor(1.0).backward())  # what is imported or cached once is there
sys.setrecursionlimit({LIMIT})
"""


def in_a_child(body, **values):
    """Run a program at the low recursion limit; return what it leaves in `result`."""
    given = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    program = PRELUDE + given + textwrap.dedent(body) + "\nprint(json.dumps(result))"
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-2000:]
    return json.loads(child.stdout)


def test_the_child_process_refuses_what_recurses():
    with pytest.raises(AssertionError, match="RecursionError"):
        in_a_child(f"def f(n): return n and f(n - 1)\nresult = f({LIMIT})")


# ---------------------------------------------------------------------------------- a million

LIFE = """
calls = 0
most = 0

@tg.elementwise("i", method=False)
def instrumented(x):
    return -x

@instrumented.derivative
def _(y, x):
    global calls, most
    calls += 1
    if calls % (length // 16) == 0:
        most = max(most, sys.getallocatedblocks())
    return -1

x = tg.Tensor(3.0)
before = sys.getallocatedblocks()
y = x
for i in range(length // 2):
    y = instrumented(y) + 1.0
    if i == length // 4:
        middle = weakref.ref(y)
blocks = sys.getallocatedblocks() - before
shown = repr(y)
y.backward()
gradient, interior = float(x.grad), float(middle().grad)
gc.disable()
del y
gone = middle() is None
result = dict(calls=calls, blocks=blocks, most=most - before,
              gradient=gradient, interior=interior, shown=shown, gone=gone,
              left=sys.getallocatedblocks() - before, garbage=gc.collect())
"""


@pytest.fixture(scope="module")
def lives():
    """The same life of a chain, at a length of 10^5 and of 10^6."""
    return [in_a_child(LIFE, length=length) for length in (DEEP, MILLION)]


def test_a_million_nodes_are_recorded_differentiated_and_read(lives):
    # 500,000 changes of sign; the value counts 1 − x, x, 1 − x, … and ends where it began
    assert (lives[1]["gradient"], lives[1]["shown"]) == (1.0, "Tensor(3.)")
    assert abs(lives[1]["interior"]) == 1.0


def test_a_million_nodes_are_freed_at_once_by_reference_counting(lives):
    for life in lives:
        assert life["gone"]
        assert life["garbage"] == 0
    few = DEEP // 10  # what the interpreter keeps for itself does not grow with the graph
    assert lives[1]["left"] < few


def test_every_node_is_visited_exactly_once(lives):
    assert [life["calls"] for life in lives] == [DEEP // 2, MILLION // 2]


@pytest.mark.parametrize("count", ["blocks", "most"])
def test_allocations_are_linear_in_the_number_of_nodes(lives, count):
    small, large = (life[count] for life in lives)
    assert small > DEEP
    assert 8.5 < large / small < 11.5


def test_the_bytes_of_a_graph_and_the_peak_of_a_backward_pass_are_linear():
    program = """
    result = []
    for length in (10**4, 10**5):
        tracemalloc.start()
        y = chain(tg.Tensor(1.0), length)
        recorded, _ = tracemalloc.get_traced_memory()
        y.backward()
        result.append([recorded, tracemalloc.get_traced_memory()[1]])
        del y
        tracemalloc.stop()
    """
    for small, large in zip(*in_a_child(program), strict=True):
        assert 8.5 < large / small < 11.5


def test_the_number_of_function_calls_is_linear():
    program = """
    def calls_of(action):
        count = 0
        def on_event(frame, event, argument):
            nonlocal count
            count += event in ("call", "c_call")
        sys.setprofile(on_event)
        action()
        sys.setprofile(None)
        return count

    result = []
    for length in (10**2, 10**3, 10**4):
        graph = []
        result.append([
            calls_of(lambda: graph.append(chain(tg.Tensor(1.0), length))),
            calls_of(lambda: graph[0].backward()),
            calls_of(lambda: graph[0].gradient(graph[0].inputs[0], differentiable=True)),
            calls_of(lambda: copy.deepcopy(graph[0])),
            calls_of(graph.clear),
        ])
    """
    small, middle, large = in_a_child(program)
    for a, b, c in zip(small, middle, large, strict=True):
        fixed = (10 * a - b) / 9  # what one call costs, however long the chain is
        assert c - fixed == pytest.approx(10 * (b - fixed), rel=0.01)


def test_a_shallow_copy_of_a_deep_graph_is_one_node():
    program = """
    x = tg.Tensor(3.0)
    y = chain(x, length)
    before = sys.getallocatedblocks()
    twin = copy.copy(y)
    blocks = sys.getallocatedblocks() - before
    del y
    twin.backward()
    result = blocks, float(x.grad)
    """
    blocks, gradient = in_a_child(program, length=DEEP)
    assert blocks < 100
    assert gradient == 1.0


# ---------------------------------------------------------------------------------- copies


@pytest.mark.parametrize("duplicate", ["copy.deepcopy(y)", "pickle.loads(pickle.dumps(y))"])
def test_a_deep_graph_is_copied_whole_and_apart(duplicate):
    program = f"""
    def leaf_of(node):
        while node.inputs:
            node = node.inputs[0]
        return node

    x = tg.Tensor(3.0, name="x")
    y = chain(x * x, length)
    twin = {duplicate}
    del y
    twin.backward()
    leaf = leaf_of(twin)
    result = leaf is x, x.grad is None, leaf.name, twin.item(), float(leaf.grad)
    """
    assert in_a_child(program, length=DEEP) == [False, True, "x", 9.0, 6.0]


# ---------------------------------------------------------------------------------- other shapes


def test_a_gradient_that_is_a_graph_may_be_deep():
    program = """
    x = tg.Tensor(0.5)
    y = x * x
    for _ in range(length // 2):
        y = y * -1.0 + 0.0
    first = y.gradient(x, differentiable=True)
    second = first.gradient(x)
    result = float(first), float(second), float(tg.grad(lambda x: chain(x * x, length))(0.5))
    """
    assert in_a_child(program, length=DEEP) == [1.0, 2.0, 1.0]


def test_diamonds_have_a_path_for_every_subset_and_cost_their_nodes_only():
    program = """
    x = tg.Tensor([3.0, -1.0])
    y = x
    for _ in range(length // 3):  # two ways through each: 2^33333 paths
        y = y * 0.25 + y * 0.75
    y.backward([1.0, 2.0])
    result = y.data.tolist(), x.grad.tolist()
    """
    value, gradient = in_a_child(program, length=DEEP)
    assert value == pytest.approx([3.0, -1.0])
    assert gradient == [1.0, 2.0]


def test_a_deep_ladder_reuses_every_node_twice():
    program = """
    x = tg.Tensor(1.0)
    below, y = x, x
    for _ in range(length // 2):  # each node is used by the next two
        below, y = y, y - below
    y.backward()
    result = y.item(), float(x.grad)
    """
    # 1, 0, −1, −1, 0, 1, …: period 6, and the value is that multiple of x
    value, gradient = in_a_child(program, length=DEEP)
    assert value == gradient
    assert value in (-1.0, 0.0, 1.0)


def test_a_hundred_thousand_consumers_of_one_tensor_add_up():
    program = """
    x = tg.Tensor(1.5)
    uses = [x * float(i % 7) for i in range(length)]
    tg.stack(uses).sum().backward()
    one_op = tg.Tensor(1.5)
    tg.stack([one_op] * length).sum().backward()
    wide = tg.Tensor(1.5)
    level = [wide * 1.0 for _ in range(length)]
    while len(level) > 1:
        pairs = [a + b for a, b in zip(level[::2], level[1::2])]
        level = pairs + level[len(level) - len(level) % 2:]
    level[0].backward()
    result = float(x.grad), float(one_op.grad), float(wide.grad)
    """
    expected = [float(sum(i % 7 for i in range(DEEP))), float(DEEP), float(DEEP)]
    assert in_a_child(program, length=DEEP) == expected


def test_a_long_sum_over_a_leaf_is_deep_and_wide():
    program = """
    x = tg.Tensor([1.0, 2.0])
    total = 0.0
    for _ in range(length):
        total = total + x
    total.backward([1.0, -1.0])
    result = x.grad.tolist()
    """
    assert in_a_child(program, length=DEEP) == [float(DEEP), -float(DEEP)]


def test_checkpoints_may_be_chained_deeply():
    program = """
    double = tg.checkpoint(lambda x: x * 2.0 - x)
    x = tg.Tensor(3.0)
    y = x
    for _ in range(length):
        y = double(y)
    y.backward()
    result = y.item(), float(x.grad)
    """
    assert in_a_child(program, length=DEEP // 10) == [3.0, 1.0]
