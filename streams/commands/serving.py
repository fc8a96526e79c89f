"""What the worker commands share."""

import gc

import click

from streams.logs import let_client_speak
from streams.processes import Factories, leave, run_workers
from streams.settings import Settings

_NEW_OBJECTS = 20_000
"""How many make Python look for cycles. A batch makes thousands, none of which is in one."""


def collect_seldom() -> None:
    gc.set_threshold(_NEW_OBJECTS, 20, 20)


def serve(factories: Factories, settings: Settings) -> None:
    """Run workers to their end, and end the process with their exit code."""
    let_client_speak()
    collect_seldom()
    code = run_workers(factories, settings, lambda address: click.echo(f"health server: {address}"))
    leave(code)
