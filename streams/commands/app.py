"""`penchant app`: the name of a deployment."""

import click

from streams.errors import InputError
from streams.settings import Settings


@click.group()
def app() -> None:
    """Rename this deployment, and remove what an old name left."""


@app.command()
@click.argument("old")
@click.argument("new")
@click.pass_obj
def rename(settings: Settings, old: str, new: str) -> None:
    """Copy all that the name OLD is part of to the name NEW: states, places and group offsets.

    All workers must be stopped. Afterwards set app.name to NEW, and start them. The old stays as it is.
    It may be run again after an interruption.
    """
    from streams.progress import progress
    from streams.rename import Rename

    renaming = Rename(settings, old, new)
    with progress("copying", renaming.partitions()) as tell:
        copied = renaming.run(tell)
    for each in copied:
        click.echo(
            f"{each.old} -> {each.new}: {each.records:,} records in {each.partitions} partitions, compared"
        )
    model = renaming.live.entry
    if model is not None and not model.first:
        click.echo(f"The states are those of model {model.version}: set model.artifact to its folder.")
    click.echo(f'Now set app.name = "{new}" everywhere and start the workers.')
    click.echo(f"{old} is still there; once all is well, `penchant app remove {old}` deletes it.")


@app.command()
@click.argument("name")
@click.pass_obj
def remove(settings: Settings, name: str) -> None:
    """Delete the changelogs and consumer groups of NAME: its states are gone then.

    NAME must not be this deployment's own app.name, and no worker of it may live.
    """
    from streams.rename import remove as remove_names

    if name == settings.app.name:
        raise InputError(f"{name} is this deployment's own app.name; its states are in use")
    removed = remove_names(settings, name)
    for each in removed:
        click.echo(f"deleted {each}")
    if not removed:
        click.echo(f"nothing of {name} is there")
