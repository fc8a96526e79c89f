"""`penchant interests`: the interests worker."""

import click

from streams.commands.serving import serve
from streams.processes import Worker
from streams.settings import Settings


@click.command()
@click.pass_obj
def interests(settings: Settings) -> None:
    """Run the interests worker: encoded events to interests and slates. Stops on SIGTERM or Ctrl-C."""
    serve({"interests": interests_worker}, settings)


def interests_worker(settings: Settings) -> Worker:
    """Imported here, so that the process answers /healthz while the state is still restored."""
    from streams.interests.worker import InterestsWorker

    return InterestsWorker(settings)
