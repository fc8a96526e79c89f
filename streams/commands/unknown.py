"""Fields of records in files that nothing reads."""

import click

from state.unknown_fields import UnknownFields


def warn_of_unknown(unknown: UnknownFields, own: str) -> None:
    """One line, where there are any. `own`: the field that takes the sender's own ones."""
    if told := unknown.told():
        click.echo(f"warning: fields that nothing reads: {told}; those of your own belong in {own}", err=True)
