"""`penchant encode`: the encode worker."""

import click

from streams.commands.serving import serve
from streams.processes import Factories, Worker
from streams.settings import Settings


@click.command()
@click.pass_obj
def encode(settings: Settings) -> None:
    """Run the encode worker: media of events and items to vectors. Stops on SIGTERM or Ctrl-C.

    With topics.repartition it first writes each event again under its user's id.
    """
    serve(encode_workers(settings), settings)


def encode_workers(settings: Settings) -> Factories:
    """The encode worker and, with topics.repartition, the one that brings each event under its user's id."""
    if settings.topics.repartition:
        return {"repartition": repartition_worker, "encode": encode_worker}
    return {"encode": encode_worker}


def encode_worker(settings: Settings) -> Worker:
    """Imported here, so that the process answers /healthz while models are still loaded."""
    from streams.encode.worker import EncodeWorker

    return EncodeWorker(settings)


def repartition_worker(settings: Settings) -> Worker:
    from streams.repartition.worker import RepartitionWorker

    return RepartitionWorker(settings)
