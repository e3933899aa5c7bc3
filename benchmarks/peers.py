"""The gradient checkers of other libraries, each asked about a function with a given backward pass.

Every peer gets the function as an operation of its own kind, with the backward pass as its rule,
and is run as it is shipped, with its default steps and tolerances, in float64.
"""

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.catalogue import Arrays, Vjp

Function = Callable[..., Any]
Check = Callable[[Function, Vjp, Arrays], bool]


def by_torch(function: Function, vjp: Vjp, point: Arrays, *, fast: bool = False) -> bool:
    import torch

    class Operation(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, *inputs: Any) -> Any:
            context.save_for_backward(*inputs)
            return torch.from_numpy(np.array(function(*(x.numpy()[()] for x in inputs)), float))

        @staticmethod
        def backward(context: Any, *cotangents: Any) -> Any:
            inputs = (x.detach().numpy()[()] for x in context.saved_tensors)
            found = vjp(*inputs, cotangents[0].detach().numpy()[()])
            return tuple(torch.from_numpy(np.array(g, float)) for g in found)

    inputs = [torch.from_numpy(np.array(x)).requires_grad_() for x in point]
    return bool(
        torch.autograd.gradcheck(Operation.apply, inputs, raise_exception=False, fast_mode=fast)
    )


def by_torch_fast(function: Function, vjp: Vjp, point: Arrays) -> bool:
    return by_torch(function, vjp, point, fast=True)


def by_jax(function: Function, vjp: Vjp, point: Arrays) -> bool:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    y = jax.ShapeDtypeStruct(np.shape(function(*point)), np.float64)
    xs = tuple(jax.ShapeDtypeStruct(np.shape(x), np.float64) for x in point)

    def numbers(*arrays: Any) -> list[Any]:
        return [np.asarray(a)[()] for a in arrays]

    def value(*inputs: Any) -> Any:
        return np.asarray(function(*numbers(*inputs)), float)

    def pulled(*arguments: Any) -> Any:
        return tuple(np.asarray(g, float) for g in vjp(*numbers(*arguments)))

    @jax.custom_vjp
    def operation(*inputs: Any) -> Any:
        return jax.pure_callback(value, y, *inputs)

    operation.defvjp(
        lambda *inputs: (operation(*inputs), inputs),
        lambda inputs, u: jax.pure_callback(pulled, xs, *inputs, u),
    )
    try:
        check_grads(operation, point, order=1, modes=["rev"])
    except AssertionError:
        return False
    return True


def by_autograd(function: Function, vjp: Vjp, point: Arrays) -> bool:
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    operation = primitive(lambda *inputs: np.asarray(function(*inputs), float)[()])

    def rule(position: int) -> Any:
        def make(answer: Any, *inputs: Any) -> Any:
            return lambda u: np.asarray(vjp(*inputs, u)[position], float)[()]

        return make

    defvjp(operation, *(rule(i) for i in range(len(point))))
    try:
        check_grads(operation, modes=["rev"], order=1)(*(x[()] for x in point))
    except AssertionError:
        return False
    return True


SCIPY_BAR = 1e-6  # scipy returns a number and leaves the verdict to the caller


def by_scipy(function: Function, vjp: Vjp, point: Arrays) -> bool:
    from scipy.optimize import check_grad

    u = np.random.default_rng(0).uniform(0.5, 1.5, np.shape(function(*point)))
    cuts = np.cumsum([x.size for x in point])[:-1]

    def parts(vector: np.ndarray) -> list[Any]:
        pieces = np.split(vector, cuts)
        return [p.reshape(x.shape)[()] for p, x in zip(pieces, point, strict=True)]

    def value(vector: np.ndarray) -> float:
        return float(np.sum(u * function(*parts(vector))))

    def gradient(vector: np.ndarray) -> np.ndarray:
        return np.concatenate([np.ravel(g) for g in vjp(*parts(vector), u[()])])

    start = np.concatenate([np.ravel(x) for x in point])
    return bool(check_grad(value, gradient, start) < SCIPY_BAR)


def quiet(check: Check) -> Check:
    """Return a check without its warnings; whatever else it raises counts as a failure."""

    def passes(function: Function, vjp: Vjp, point: Arrays) -> bool:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                return check(function, vjp, point)
            except Exception:  # a checker that breaks on a gradient has not passed it
                return False

    return passes


PEERS: dict[str, Check] = {
    "torch gradcheck": quiet(by_torch),
    "torch gradcheck, fast": quiet(by_torch_fast),
    "jax check_grads": quiet(by_jax),
    "autograd check_grads": quiet(by_autograd),
    "scipy check_grad": quiet(by_scipy),
}
