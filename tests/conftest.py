"""What holds for all tests."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A machine that is busy must not fail a test: neither for one slow example nor for slow drawing.
settings.register_profile("penchant", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("penchant")


@pytest.fixture
def own_logging() -> Iterator[None]:
    """For tests that run commands in this process, which set logging up: afterwards it is as before."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
