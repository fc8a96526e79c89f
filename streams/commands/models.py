"""`penchant models`: which model serves, and putting another one in its place while everything goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from streams.commands.moments import moment
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.models.promotion import Promoted, Promotion, Tell
    from streams.models.removal import Goods


@click.group()
def models() -> None:
    """List models, promote one, go back, and remove what is not needed."""


@models.command(name="list")
@click.pass_obj
def list_models(settings: Settings) -> None:
    """Show the models: version, fingerprint, what training noted, which serves, and how far a new one is."""
    from streams.models.survey import survey

    for model in survey(settings):
        click.echo(f"{model.version}  {model.code}  {model.role}")
        click.echo(f"    added {moment(model.added_ms)}" if model.added_ms else "    of the settings")
        for name, note in sorted(model.notes.items()):
            click.echo(f"    {name}: {note}")


@models.command()
@click.argument("version", metavar="VERSION|FOLDER")
@click.pass_obj
def promote(settings: Settings, version: str) -> None:
    """Let another model serve: one of `penchant models list`, or an artifact in a folder.

    Builds the states of all users under it from what interactions.encoded holds, waits until all interests
    workers have it at hand, and lets them go over, each partition at one offset. Until then nothing changes
    for anybody. Run again, it goes on where it was cut off.
    """
    with _promotion(settings) as promotion, _told() as tell:
        made = promotion.promote(version, tell)
    _report(made)


@models.command()
@click.pass_obj
def rollback(settings: Settings) -> None:
    """Go back to the model that served before, whose states are brought up to now first."""
    with _promotion(settings) as promotion, _told() as tell:
        made = promotion.rollback(tell)
    _report(made)


@models.command()
@click.pass_obj
def cancel(settings: Settings) -> None:
    """Do not promote the model that is being built. What was built stays for another time."""
    with _promotion(settings) as promotion:
        entry = promotion.cancel()
    click.echo("nothing is being built" if entry is None else f"{entry.version} is not built any more")


@models.command()
@click.argument("version")
@click.option("--force", is_flag=True, help="Even the model that `penchant models rollback` goes back to.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(settings: Settings, version: str, force: bool, yes: bool) -> None:
    """Delete a model that does not serve: the states of all users under it, and its weights.

    VERSION is a version of `penchant models list`, or the code beside it. Tells what goes, and asks first.
    To promote the model again later, its states are built from the start.
    """
    from streams.models.removal import Removal

    removal = Removal(settings, version, force)
    goods = removal.goods()
    _tell_of(goods)
    if not yes:
        click.confirm("Delete all of this?", abort=True)
    for folder in removal.run(goods):
        click.echo(f"{folder}: a worker has it open; its next start deletes it", err=True)
    click.echo(f"{goods.entry.version} ({goods.entry.code}) is removed")


def _tell_of(goods: "Goods") -> None:
    from streams.models.local import size_of

    click.echo(f"{goods.entry.version} ({goods.entry.code})")
    if goods.changelog:
        click.echo(
            f"    topic {goods.changelog}: {goods.partitions} partitions, {goods.records:,} records at most"
        )
    if goods.entry.chunks:
        click.echo(f"    its weights, {goods.entry.chunks} records")
    for folder in goods.folders:
        click.echo(f"    {folder}: {size_of(folder) / 1e6:,.1f} MB")


@contextmanager
def _promotion(settings: Settings) -> Iterator["Promotion"]:
    from streams.models.promotion import Promotion

    made = Promotion(settings)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def _told() -> "Iterator[Tell]":
    """One bar for each thing that is done."""
    from streams.progress import stages

    with stages() as tell:
        yield tell


def _report(made: "Promoted") -> None:
    raised = f"; the versions of {made.raised} users were raised" if made.raised else ""
    serves = "serves now" if made.served else "will serve: no interests worker runs"
    click.echo(f"{made.entry.version} ({made.entry.code}) {serves}{raised}")
