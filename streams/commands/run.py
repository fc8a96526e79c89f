"""`penchant run`: all workers in one process, for a laptop."""

import click

from streams.commands.describe import describe_workers
from streams.commands.encode import encode_workers
from streams.commands.interests import interests_workers
from streams.commands.serving import serve
from streams.settings import Settings


@click.command()
@click.pass_obj
def run(settings: Settings) -> None:
    """Run the encode, interests and describe workers in this process, until SIGTERM or Ctrl-C."""
    workers = {**encode_workers(settings), **interests_workers(settings), **describe_workers(settings)}
    serve(workers, settings)
