"""`penchant encode`: the encode worker, and a close look at one's own media."""

from pathlib import Path

import click

from streams.commands.serving import serve
from streams.exits import EXIT_FAILED
from streams.processes import Factories, Worker
from streams.settings import Settings


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--text", "texts", multiple=True, metavar="WORDS", help="Look at a text; may be given again.")
@click.option(
    "--catalogue",
    type=click.Path(exists=True, path_type=Path),
    help="Compare with the items of this folder, table or JSON lines, in place of the broker's.",
)
@click.option(
    "--nearest",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Items to show of each medium.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def encode(
    settings: Settings,
    /,
    files: tuple[str, ...],
    texts: tuple[str, ...],
    catalogue: Path | None,
    nearest: int,
    as_json: bool,
) -> None:
    """Run the encode worker: media of events and items to vectors. Stops on SIGTERM or Ctrl-C.

    With topics.repartition it first writes each event again under its user's id.

    With FILE (a path or a URI) or --text it runs no worker, but shows what becomes of these media: the
    lengths of their vectors, labels and other words, the nearest items, and the time that each took.
    """
    if not files and not texts:
        serve(encode_workers(settings), settings)
        return
    from streams.commands.encode_files import Wishes, show_files

    if not show_files(settings, Wishes(files, texts, catalogue, nearest, as_json)):
        raise click.exceptions.Exit(EXIT_FAILED)


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
