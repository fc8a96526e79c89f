"""What the worker commands share."""

import click

from streams.logs import let_client_speak
from streams.processes import Factories, leave, run_workers
from streams.settings import Settings


def serve(factories: Factories, settings: Settings) -> None:
    """Run workers to their end, and end the process with their exit code."""
    let_client_speak()
    code = run_workers(factories, settings, lambda address: click.echo(f"health server: {address}"))
    leave(code)
