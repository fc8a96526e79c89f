"""`penchant interests`: the interests worker."""

import click

from streams.commands.serving import serve
from streams.processes import Factories, Worker
from streams.settings import Settings


@click.command()
@click.pass_obj
def interests(settings: Settings) -> None:
    """Run the interests worker: encoded events to interests and slates. Stops on SIGTERM or Ctrl-C.

    With interests.item_vectors it publishes the catalogue's vectors, too.
    """
    serve(interests_workers(settings), settings)


def interests_workers(settings: Settings) -> Factories:
    """The interests worker and, with interests.item_vectors, the one that publishes items' vectors."""
    if settings.interests.item_vectors:
        return {"interests": interests_worker, "item-vectors": item_vectors_worker}
    return {"interests": interests_worker}


def interests_worker(settings: Settings) -> Worker:
    """Imported here, so that the process answers /healthz while the state is still restored."""
    from streams.interests.worker import InterestsWorker

    return InterestsWorker(settings)


def item_vectors_worker(settings: Settings) -> Worker:
    from streams.item_vectors.worker import ItemVectorsWorker

    return ItemVectorsWorker(settings)
