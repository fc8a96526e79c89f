"""`penchant train`: what can be fitted to one's own catalogue."""

from pathlib import Path

import click

from streams.errors import InputError
from streams.item_sources import Bad, Found, open_source
from streams.progress import progress
from streams.settings import Settings


@click.group()
def train() -> None:
    """Fit what can be fitted to your own catalogue."""


@train.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the artifact.")
@click.pass_obj
def alignment(settings: Settings, path: Path, out: Path) -> None:
    """Fit the space that all modalities share to the items of PATH, without labels.

    PATH is JSON lines, a table or a folder of media, as for `penchant items load`. Eight items or more
    need both a text and a picture. Vectors of different alignments do not mix: set encoders.alignment
    before the first worker starts, and load the items again when it changes.
    """
    from streams.training import fit_alignment

    items = []
    for entry in open_source(path):
        match entry:
            case Found():
                items.append(entry.item)
            case Bad():
                click.echo(f"{entry.where}: {entry.problem}", err=True)
    if not items:
        raise InputError(f"{path}: no item to fit on")
    with progress("encoding", len(items)) as tell:
        made = fit_alignment(items, settings, out, tell)
    click.echo(
        f"{out}: {made.version}, fitted on {len(items):,} items; set encoders.alignment to this folder"
    )
