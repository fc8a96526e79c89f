"""`penchant encode`: the encode worker."""

import click

from streams.commands.serving import serve
from streams.processes import Worker
from streams.settings import Settings


@click.command()
@click.pass_obj
def encode(settings: Settings) -> None:
    """Run the encode worker: media of events and items to vectors. Stops on SIGTERM or Ctrl-C."""
    serve({"encode": encode_worker}, settings)


def encode_worker(settings: Settings) -> Worker:
    """Imported here, so that the process answers /healthz while models are still loaded."""
    from streams.encode.worker import EncodeWorker

    return EncodeWorker(settings)
