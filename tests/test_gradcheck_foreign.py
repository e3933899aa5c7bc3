"""Functions of other libraries' values are recognised, and their gradients checked the same way."""

import subprocess
import sys

import numpy as np
import pytest

from tinygrad_bp.check import gradcheck

X = np.array([[0.5, -1.5, 2.0], [1.0, 0.25, -0.75]])


def test_torch_functions_are_checked(require):
    torch = require("torch", "bench")
    x = torch.tensor(X)
    assert gradcheck(lambda a: torch.tanh(a) @ a.T, x)
    assert gradcheck(lambda a: torch.tanh(a) @ a.T, x, order=2)
    assert gradcheck(lambda a: (a.sum(), a * a), x)
    assert gradcheck(torch.nn.Linear(3, 2).double(), x)


def test_a_wrong_torch_gradient_fails(require):
    torch = require("torch", "bench")

    class Sine(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return torch.sin(x)

        @staticmethod
        def backward(context, g):
            (x,) = context.saved_tensors
            return g * torch.cos(x) * torch.where(x == 2, 2, 1)

    report = gradcheck(lambda a: Sine.apply(a), torch.tensor(X), raise_exception=False)
    assert report.verdict == "FAIL"
    assert (report.worst.label, report.worst.index) == ("a", (0, 2))


def test_float32_torch_functions_are_compared_with_float64(require):
    torch = require("torch", "bench")
    report = gradcheck(lambda a: torch.tanh(a).sum(), torch.tensor(X, dtype=torch.float32))
    assert report
    assert "float32" in report.findings[-1].what


def test_a_torch_input_that_is_not_used_has_the_gradient_zero(require):
    torch = require("torch", "bench")
    assert gradcheck(lambda a, b: a * a, (torch.tensor(X), torch.tensor(X)))


def test_jax_functions_are_checked(require):
    numpy = require("jax.numpy", "bench")
    report = gradcheck(lambda a: numpy.tanh(a) @ a.T, numpy.asarray(X, "float32"))
    assert report
    assert gradcheck(lambda a: numpy.tanh(a) @ a.T, numpy.asarray(X, "float32"), order=2)


def test_a_wrong_jax_gradient_fails(require):
    jax = require("jax", "bench")

    @jax.custom_vjp
    def sine(x):
        return jax.numpy.sin(x)

    sine.defvjp(lambda x: (sine(x), x), lambda x, g: (g * jax.numpy.sin(x),))
    x = jax.numpy.asarray(X, "float32")
    assert gradcheck(sine, x, raise_exception=False).verdict == "FAIL"


def test_autograd_functions_are_told_by_the_names_they_use(require):
    numpy = require("autograd.numpy", "bench")
    namespace = {"np": numpy}
    exec("def f(x): return np.tanh(x) @ x.T", namespace)
    assert gradcheck(namespace["f"], X)
    assert gradcheck(namespace["f"], X, order=2)


def test_a_wrong_autograd_gradient_fails(require):
    extend = require("autograd.extend", "bench")
    sine = extend.primitive(np.sin)
    extend.defvjp(sine, lambda y, x: lambda g: g * np.sin(x))
    namespace = {"sine": sine, "np": require("autograd.numpy", "bench")}
    exec("def f(x): return np.exp(sine(x))", namespace)
    report = gradcheck(namespace["f"], X, raise_exception=False)
    assert report.verdict == "FAIL"


def test_mygrad_functions_are_checked(require):
    mygrad = require("mygrad", "bench")
    assert gradcheck(lambda a: mygrad.tanh(a) @ a.T, mygrad.tensor(X))
    assert gradcheck(lambda a, b: a * a, (mygrad.tensor(X), mygrad.tensor(X)))
    with pytest.raises(ValueError, match="MyGrad does not differentiate its gradients"):
        gradcheck(lambda a: a * a, mygrad.tensor(X), order=2)


def test_nothing_is_imported_that_the_caller_has_not():
    program = (
        "import sys, numpy as np, tinygrad_bp as tg; tg.gradcheck(tg.sin, np.ones(3));"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(found.stdout.split())
    assert not loaded & {"torch", "jax", "autograd", "mygrad", "scipy"}
