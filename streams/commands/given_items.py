"""The items that a command is given as a path."""

from pathlib import Path

import click

from streams.commands.unknown import warn_of_unknown
from streams.errors import InputError
from streams.item_sources import Bad, Found, open_source
from streams.records import Item


def given_items(path: Path) -> list[Item]:
    """The good items of a file or folder; the others are told. Raises InputError where there is none."""
    items = []
    source = open_source(path)
    for entry in source:
        match entry:
            case Found():
                items.append(entry.item)
            case Bad():
                click.echo(f"{entry.where}: {entry.problem}", err=True)
    warn_of_unknown(source.unknown, "attributes")
    if not items:
        raise InputError(f"{path}: no item to fit on")
    return items
