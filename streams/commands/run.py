"""`penchant run`: all workers in one process, for a laptop."""

import click

from streams.commands.encode import encode_workers
from streams.commands.interests import interests_workers
from streams.commands.serving import serve
from streams.settings import Settings


@click.command()
@click.pass_obj
def run(settings: Settings) -> None:
    """Run the encode worker and the interests worker in this process, until SIGTERM or Ctrl-C."""
    serve({**encode_workers(settings), **interests_workers(settings)}, settings)
