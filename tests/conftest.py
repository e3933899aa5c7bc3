"""What all tests share: how hypothesis searches, and what a missing optional part means."""

import importlib
import os
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("search", max_examples=20, **_COMMON)
settings.register_profile("ci", max_examples=20, derandomize=True, database=None, **_COMMON)
settings.load_profile(
    "ci" if os.environ.get("TINYGRAD_BP_CI") or os.environ.get("CI") else "search"
)


def require(module: str, extra: str = "test") -> ModuleType:
    """Import an optional part, or skip with the reason; where everything must be there, fail."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        reason = f"{module} is missing ({error}): pip install 'tinygrad_bp[{extra}]'"
    if os.environ.get("TINYGRAD_BP_CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(name="require")
def require_fixture():
    """`require` for tests that do not import it."""
    return require
