"""Faults on demand: a process that ends or stops at a numbered step of the commit."""

import os
import random
import re
import signal
from collections.abc import Callable, Mapping

from streams.errors import SettingsError

VARIABLE = "PENCHANT_FAULT"

Fault = Callable[[int], None]

_FORM = re.compile(r"(?:(kill|stop) )?(?:([1-6])(?:x(\d+))?|(0?\.\d+))")


def no_fault(step: int) -> None:
    """What runs in operation."""


def fault_from(environment: Mapping[str, str]) -> Fault:
    """Read PENCHANT_FAULT: `4` kills this process at step 4, `4x20` when it comes there the 20th time,
    `.01` at any step with that probability; `stop 4` stops it (SIGSTOP) instead.

    Raises SettingsError where the variable says something else.
    """
    text = environment.get(VARIABLE, "")
    if not text:
        return no_fault
    match = _FORM.fullmatch(text)
    if match is None:
        raise SettingsError(f"{VARIABLE}: {text!r} is neither a step, a step and a count, nor a probability")
    action, step, count, probability = match.groups()
    number = signal.SIGSTOP if action == "stop" else signal.SIGKILL
    if probability is not None:
        return _by_chance(number, float(probability))
    return _at_step(number, int(step), int(count or 1))


def _at_step(number: signal.Signals, wanted: int, count: int) -> Fault:
    left = count

    def fault(step: int) -> None:
        nonlocal left
        if step == wanted:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), number)

    return fault


def _by_chance(number: signal.Signals, probability: float) -> Fault:
    def fault(step: int) -> None:
        if random.random() < probability:
            os.kill(os.getpid(), number)

    return fault
