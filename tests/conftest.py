"""What holds for all tests."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from streams.logs import CLIENT, HANDLER_NAME, TALKATIVE

# A machine that is busy must not fail a test: neither for one slow example nor for slow drawing. Examples are
# drawn alike each time; `make explore` draws others, and more of them.
settings.register_profile(
    "penchant", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile(
    "exploring", deadline=None, suppress_health_check=list(HealthCheck), max_examples=1_000
)
settings.load_profile("penchant")

_LOGGERS = [None, "encoders", "state", "streams", *TALKATIVE, CLIENT]
_LEVELS = {name: logging.getLogger(name).level for name in _LOGGERS}


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Commands run in this process set logging up: no test finds what another test, or a fixture, did."""
    _restore_logging()
    yield
    _restore_logging()


def _restore_logging() -> None:
    root = logging.getLogger()
    root.handlers[:] = [each for each in root.handlers if each.get_name() != HANDLER_NAME]
    logging.captureWarnings(False)
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
