"""Recording is set for one block of one thread; errors, threads and tasks leave no trace of it."""

import asyncio
import threading

import numpy as np
import pytest

import tinygrad_bp as tg
from tinygrad_bp.listeners import RECORDING
from tinygrad_bp.tracing import DEPTH

X = np.array([0.5, -1.5])


def recording():
    return (tg.Tensor(1.0) * 2).requires_grad


def broken(x):
    raise KeyError("on purpose")


def inside_no_grad():
    with tg.no_grad():
        raise KeyError


def inside_an_op():
    tg.Tensor([1.0, 2.0]) * np.ones(3)


FAILURES = [
    inside_no_grad,
    inside_an_op,
    tg.no_grad()(lambda: broken(0)),
    lambda: tg.grad(broken)(X),
    lambda: tg.grad(tg.grad(broken))(X),
    lambda: tg.grad(lambda x: x)(X),  # not a single number
    lambda: tg.jacobian(broken)(X),
    lambda: tg.vjp(broken, X),
    lambda: tg.jvp(broken, (X,), (X,)),
    lambda: tg.hvp(broken, (X,), (X,)),
    lambda: tg.checkpoint(broken)(tg.Tensor(X)),
]


@pytest.mark.parametrize("fail", FAILURES)
def test_a_thousand_errors_leave_the_state_as_it_was(fail):
    for _ in range(1000):
        with pytest.raises((KeyError, tg.ShapeError)):
            fail()
    assert (RECORDING.get(), DEPTH.get()) == (True, 0)
    assert recording()
    assert isinstance(tg.grad(lambda x: (x * x).sum())(X), np.ndarray)


def test_blocks_nest_and_end_one_by_one():
    with tg.no_grad():
        with tg.no_grad():
            assert not recording()
        assert not recording()
    assert recording()


def test_a_decorated_function_records_nothing_and_may_call_itself():
    @tg.no_grad()
    def countdown(n):
        return [recording(), *(countdown(n - 1) if n else [])]

    assert countdown(3) == [False] * 4
    assert recording()


def test_a_transform_records_inside_no_grad_but_its_result_is_a_constant():
    x = tg.Tensor(3.0)
    with tg.no_grad():
        assert tg.grad(lambda z: z * z)(2.0) == 4.0
        slope = tg.grad(lambda z: z * z)(x)
    assert not getattr(slope, "requires_grad", False)
    assert float(slope) == 6.0


def test_threads_do_not_see_each_others_no_grad():
    inside, seen = threading.Barrier(2), {}

    def without():
        with tg.no_grad():
            inside.wait()
            seen["without"] = recording()
            inside.wait()

    def within():
        inside.wait()
        seen["within"] = recording()
        inside.wait()

    threads = [threading.Thread(target=without), threading.Thread(target=within)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert seen == {"without": False, "within": True}


def test_tasks_do_not_see_each_others_no_grad():
    async def without():
        with tg.no_grad():
            await asyncio.sleep(0)
            return recording()

    async def within():
        await asyncio.sleep(0)
        return recording()

    async def both():
        return await asyncio.gather(without(), within())

    assert asyncio.run(both()) == [False, True]


def trained(seed):
    inputs, targets = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    network = tg.NeuralNetwork([2, 3, 1], alpha=0.5, seed=seed)
    network.fit(inputs, targets, epochs=20, displayUpdate=20)
    return [w.tobytes() for w in network.W]


def test_sixteen_threads_train_as_one_after_the_other_would():
    found = {}

    def work(seed):
        found[seed] = trained(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert found == {seed: trained(seed) for seed in range(16)}


def test_threads_may_read_one_graph_at_once():
    x = tg.Tensor(X)
    y = tg.sigmoid(x * x + x).sum()
    found = []
    threads = [threading.Thread(target=lambda: found.append(y.gradient(x))) for _ in range(16)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(found) == 16
    assert {g.tobytes() for g in found} == {y.gradient(x).tobytes()}
