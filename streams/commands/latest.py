"""`penchant user latest`: what is published of one user."""

from collections.abc import Iterator

import click
import msgspec

from streams.commands.moments import moment
from streams.exits import EXIT_FAILED
from streams.live_table import modalities_text, printable, topics_text
from streams.published import Published, read_published
from streams.records import InterestDescription, Reason, Recommendation
from streams.settings import Settings

LONGEST_ID, LONGEST_TITLE, LONGEST_SUMMARY = 64, 64, 2_000
TOPICS = 8


@click.command()
@click.argument("user_id", metavar="USER")
@click.option("--json", "as_json", is_flag=True, help="The records, as JSON, with the titles of items.")
@click.pass_obj
def latest(settings: Settings, user_id: str, as_json: bool) -> None:
    """Show what is published of USER: the latest interest, slate and description.

    Needs only the output topics, of which it reads the user's own partition as far back as it must. Exits
    with 1 where nothing is published.
    """
    from streams.progress import progress

    with progress("reading", 1):
        found = read_published(settings, user_id)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    elif found.anything:
        for line in _lines(found):
            click.echo(line)
    if not found.anything:
        click.echo(f"{user_id}: nothing is published; `penchant user show` tells what is held", err=True)
        raise click.exceptions.Exit(EXIT_FAILED)


def _lines(found: Published) -> Iterator[str]:
    interest = found.interest
    name = printable(found.user_id, LONGEST_ID)
    if interest is None:
        yield f"{name}: no interest"
    else:
        yield (
            f"{name}: version {interest.version}, {interest.event_count} events up to "
            f"{moment(interest.timestamp)} ({printable(interest.model, LONGEST_ID)})"
        )
        yield f"topics: {topics_text(interest, TOPICS) or 'none named'}"
        yield f"attention: {modalities_text(interest) or 'none'}"
    if found.recommendation is None:
        yield "no slate"
    else:
        yield from _slate(found.recommendation, found.titles)
    if found.description is not None:
        yield from _description(found.description)


def _slate(slate: Recommendation, titles: dict[str, str]) -> Iterator[str]:
    yield f"slate of version {slate.version}, {moment(slate.timestamp)}:"
    for item in slate.items:
        why = "; ".join(filter(None, (_reason(reason, titles) for reason in item.reasons)))
        source = f"{item.source}: {why}" if why else item.source
        yield f"  {item.rank:>3}  {item.score:6.3f}  {_item(item.item_id, titles)}  [{source}]"


def _item(item_id: str, titles: dict[str, str]) -> str:
    shown = printable(item_id, LONGEST_ID)
    title = titles.get(item_id)
    return f"{printable(title, LONGEST_TITLE)} ({shown})" if title else shown


def _reason(reason: Reason, titles: dict[str, str]) -> str:
    parts = [f"{reason.strategy} {reason.share:.0%}"] if reason.strategy else []
    if reason.item_id:
        parts.append(_item(reason.item_id, titles))
    parts += [printable(topic, LONGEST_TITLE) for topic in reason.topics]
    return ", ".join(parts)


def _description(description: InterestDescription) -> Iterator[str]:
    who = f"{printable(description.model, LONGEST_ID)}, {description.language}"
    yield f"description of version {description.version} ({who}), {moment(description.written)}:"
    yield f"  {printable(description.summary, LONGEST_SUMMARY)}"
