"""Every example in every docstring runs and prints what it shows; nothing public lacks one."""

import doctest
import pkgutil

import numpy as np
import pytest
from conftest import require

import tinygrad_bp as tg
from tinygrad_bp.facts import OPS

MODULES = [
    module.name
    for module in pkgutil.walk_packages(tg.__path__, "tinygrad_bp.")
    if not module.name.endswith("__main__")
]


def run(test):
    output = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=output.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(output)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name):
    module = require(name)
    names = {"tg": tg, "np": np, **vars(module)}
    for test in doctest.DocTestFinder().find(module, extraglobs=names):
        run(test)


@pytest.mark.parametrize("name", OPS)
def test_every_op_has_an_example_that_runs(name):
    names = {"tg": tg, "np": np, name: OPS[name]}
    test = doctest.DocTestParser().get_doctest(OPS[name].facts.doc, names, name, None, None)
    assert test.examples, f"{name} has no example"
    run(test)


@pytest.mark.parametrize("name", [n for n in tg.__all__ if n not in OPS])
def test_every_public_name_has_an_example(name):
    thing = getattr(tg, name)
    is_error = isinstance(thing, type) and issubclass(thing, tg.TinygradError)
    assert ">>>" in thing.__doc__ or (is_error and thing is not tg.TinygradError)
