"""`penchant models`: which model serves, and putting another one in its place while everything goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from streams.settings import Settings

if TYPE_CHECKING:
    from streams.models.promotion import Promoted, Promotion, Tell


@click.group()
def models() -> None:
    """List models, promote one, and go back."""


@models.command(name="list")
@click.pass_obj
def list_models(settings: Settings) -> None:
    """Show the models: version, fingerprint, what training noted, which serves, and how far a new one is."""
    from streams.models.survey import survey

    for model in survey(settings):
        click.echo(f"{model.version}  {model.code}  {model.role}")
        click.echo(f"    added {_moment(model.added_ms)}" if model.added_ms else "    of the settings")
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


def _moment(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
