"""The interactions that a command is given as a path."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def events_option(required: bool) -> Callable[[CommandT], CommandT]:
    """`--from`, which `state.learning.reading` reads."""
    where = click.Path(path_type=Path)
    told = "RecBole folder, or a .parquet or .jsonl file."
    return click.option("--from", "source", type=where, required=required, help=told)
