"""What all tests share: how hypothesis searches, and what a missing optional part means.

TINYGRAD_BP_CI names the extras that are installed: there a missing part is a failure.
"""

import importlib
import os
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

from tinygrad_bp.facts import OPS

pytest_plugins = ["tinygrad_bp.check.plugin"]  # if it is installed, this is the same plugin

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("search", max_examples=20, **_COMMON)
settings.register_profile("ci", max_examples=20, derandomize=True, database=None, **_COMMON)
settings.load_profile(
    "ci" if os.environ.get("TINYGRAD_BP_CI") or os.environ.get("CI") else "search"
)


def require(module: str, extra: str = "test") -> ModuleType:
    """Import an optional part, or skip with the reason; where its extra is installed, fail."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        reason = f"{module} is missing ({error}): pip install 'tinygrad_bp[{extra}]'"
    if extra in os.environ.get("TINYGRAD_BP_CI", "").split():
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(name="require")
def require_fixture():
    """`require` for tests that do not import it."""
    return require


@pytest.fixture(autouse=True, scope="session")
def _machine_code_is_cached_for_this_run_only(tmp_path_factory):
    os.environ["TINYGRAD_BP_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ.pop("PYTEST_ADDOPTS", None)  # not for the runs of pytest that tests start


@pytest.fixture(autouse=True)
def _ops_that_a_test_declares_end_with_it():
    """They would meet the tests that draw from all ops."""
    before = dict(OPS)
    yield
    OPS.clear()
    OPS.update(before)
