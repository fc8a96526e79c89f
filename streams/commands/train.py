"""`penchant train`: what can be fitted to one's own catalogue and users."""

from pathlib import Path

import click

from streams.commands.given_items import given_items
from streams.commands.train_adapter import text_adapter
from streams.commands.train_blend import blend
from streams.commands.train_model import model
from streams.progress import progress
from streams.settings import Settings

KINDS = ("concatenation", "weighted-sum", "gated", "late", "self-attention", "cross-attention")
"""Of `state.fusions`, which is not loaded for every command."""


@click.group()
def train() -> None:
    """Fit what can be fitted to your own catalogue and users."""


train.add_command(model)
train.add_command(blend)
train.add_command(text_adapter)


@train.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the artifact.")
@click.option("--measure", is_flag=True, help="Also measure on items held out, in five splits.")
@click.pass_obj
def alignment(settings: Settings, path: Path, out: Path, measure: bool) -> None:
    """Fit the space that all modalities share to the items of PATH, without labels.

    PATH is JSON lines, a table or a folder of media, as for `penchant items load`. Eight items or more
    need both a text and a picture. With --measure it is told how often the text, picture, sound or clip of
    an item that was held out finds its counterpart first, or among the first five. Vectors of different
    alignments do not mix: set encoders.alignment before the first worker starts, and load the items again
    when it changes.
    """
    from streams.training import fit_alignment

    items = given_items(path)
    with progress("encoding", len(items)) as tell:
        made = fit_alignment(items, settings, out, tell, measure)
    for name, (mean, deviation) in made.figures.items():
        click.echo(f"{name:20}{mean:6.3f} (deviation {deviation:.3f} between five splits)")
    click.echo(
        f"{out}: {made.alignment.version}, fitted on {len(items):,} items; "
        "set encoders.alignment to this folder"
    )


@train.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the artifact.")
@click.pass_obj
def classics(settings: Settings, path: Path, out: Path) -> None:
    """Learn what the classic encoders ask of a catalogue from the items of PATH, without labels.

    PATH is as for `penchant train alignment`. Counted and found are: the documents of each word (tf-idf), the
    axes of document vectors, and visual words (sift, surf). Changing the folder that encoders.classics names
    changes the encoders' vectors: fit the alignment again afterwards.
    """
    from streams.training import fit_classics

    items = given_items(path)
    with progress("learning", len(items)) as tell:
        made = fit_classics(items, settings, out, tell)
    kinds = ", ".join(f"{len(words)} visual words ({kind})" for kind, words in sorted(made.words.items()))
    click.echo(
        f"{out}: {made.frequency.documents:,} texts counted; {kinds or 'no picture seen'}; "
        "set encoders.classics to this folder"
    )


@train.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the artifact.")
@click.option("--kind", type=click.Choice(KINDS), default="gated", help="How modalities become one vector.")
@click.pass_obj
def fusion(settings: Settings, path: Path, out: Path, kind: str) -> None:
    """Train how an item's modalities become one vector on the items of PATH, without labels.

    PATH is as for `penchant train alignment`, and encoders.alignment what will serve. The result is a model
    artifact, which model.artifact names; states of another artifact do not mix with it.
    """
    from streams.training import fit_fusion

    items = given_items(path)
    with progress("encoding", len(items)) as tell:
        made = fit_fusion(items, settings, kind, out, tell)
    before, after = made.learned.before, made.learned.after
    click.echo(
        f"parts of items kept out found each other at a mean inverse rank of {before:.3f} before training, "
        f"{after:.3f} after" + (": training did not help, the start was kept" if after <= before else "")
    )
    click.echo(f"{out}: {made.artifact.version}; set model.artifact to this folder")
