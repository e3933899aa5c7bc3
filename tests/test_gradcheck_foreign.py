"""Functions of other libraries' values are recognised, and their gradients checked the same way."""

import subprocess
import sys

import numpy as np
import pytest

import tinygrad_bp as tg
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


@pytest.mark.parametrize("name", ["input", "result"])
def test_bfloat16_is_refused_with_a_dtype_that_is_not(require, name):
    torch = require("torch", "bench")
    low = torch.tensor(X, dtype=torch.bfloat16)
    with pytest.raises(tg.InputError, match=rf"{name}.*got torch.bfloat16.*float32 or float64"):
        gradcheck(lambda a: a * a, low) if name == "input" else gradcheck(
            lambda a: a.to(torch.bfloat16), torch.tensor(X)
        )


def test_bfloat16_of_jax_is_refused_alike(require):
    numpy = require("jax.numpy", "bench")
    low = numpy.asarray(X, "bfloat16")
    with pytest.raises(tg.InputError, match=r"input 'a'.*got bfloat16.*float32 or float64"):
        gradcheck(lambda a: a * a, low)
    with pytest.raises(tg.InputError, match=r"result of.*got bfloat16.*float32 or float64"):
        gradcheck(lambda a: a.astype("bfloat16"), numpy.asarray(X, "float32"))


def doubled(x):
    x *= 2
    return (x * x).sum()


def cleared(x):
    x[0] = 0
    return (x * x).sum()


@pytest.mark.parametrize("change", [doubled, cleared])
@pytest.mark.parametrize(
    ("library", "dtype"), [("torch", "float64"), ("torch", "float32"), ("mygrad", "float64")]
)
def test_a_function_that_changes_its_input_in_place_is_refused(require, change, library, dtype):
    library = require(library, "bench")
    x = library.tensor(X.astype(dtype))
    with pytest.raises(tg.InputError, match=f"got {change.__name__}, which changes its x in place"):
        gradcheck(change, x)
    assert [float(number) for row in x for number in row] == list(X.flat)


def test_torch_records_also_where_the_caller_has_switched_it_off(require):
    torch = require("torch", "bench")
    for off in (torch.no_grad(), torch.set_grad_enabled(False), torch.inference_mode()):
        with off:
            assert gradcheck(lambda a: torch.tanh(a).sum(), torch.tensor(X), order=2)
            assert not torch.is_grad_enabled()
        torch.set_grad_enabled(True)


def test_a_result_of_torch_that_is_no_tensor_is_refused(require):
    torch = require("torch", "bench")
    with pytest.raises(tg.InputError, match=r"got float 3\.0; expected a torch tensor"):
        gradcheck(lambda a: 3.0, torch.tensor(X))


@pytest.mark.parametrize(
    ("module", "make"), [("torch", "tensor"), ("jax.numpy", "asarray"), ("mygrad", "tensor")]
)
def test_whole_numbers_as_a_result_have_the_gradient_zero(require, module, make):
    x = getattr(require(module, "bench"), make)(X.astype("float32"))
    for f in (lambda a: a > 0, lambda a: a.argmax()):
        assert gradcheck(f, x).certificate == "the gradient is zero to rounding"


@pytest.mark.parametrize(
    ("library", "module", "remedy"),
    [
        ("torch", "torch", "torch.tensor"),
        ("jax", "jax.numpy", "jax.numpy.asarray"),
        ("mygrad", "mygrad", "mygrad.tensor"),
    ],
)
def test_arrays_for_a_function_of_another_library_are_answered_with_a_hint(
    require, library, module, remedy
):
    namespace = {"np": require(module, "bench")}
    exec(
        "def f(x): return np.tanh(x).sum()\nclass Model:\n def loss(self, x): return f(x)",
        namespace,
    )
    for function in (namespace["f"], namespace["Model"]().loss, lambda x: namespace["f"](x)):
        with pytest.raises((TypeError, tg.GraphError)) as caught:
            gradcheck(function, X)
        if library != "mygrad" or function is namespace["f"]:  # which leaves no trace of a call
            assert (
                f"of {library} values write gradcheck(f, {remedy}(x))" in caught.value.__notes__[-1]
            )


def test_an_error_of_a_function_of_tensors_gets_no_such_hint():
    def broken(x):
        raise TypeError("mine")

    with pytest.raises(TypeError) as caught:
        gradcheck(broken, X)
    assert caught.value.__notes__ == ["raised by broken at the point where gradcheck looks"]


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
