"""`penchant interests`: the interests worker, and what can be told of one user."""

from typing import TYPE_CHECKING

import click
import msgspec

from streams.commands.moments import moment
from streams.commands.serving import serve
from streams.exits import EXIT_FAILED
from streams.processes import Factories, Worker
from streams.settings import Settings

if TYPE_CHECKING:
    from state.facts import Facts, ItemFact, TopicFact


@click.group(invoke_without_command=True)
@click.pass_context
def interests(ctx: click.Context) -> None:
    """Run the interests worker: encoded events to interests and slates. Stops on SIGTERM or Ctrl-C.

    With interests.item_vectors it publishes the catalogue's vectors, too. With the command `show` it runs no
    worker.
    """
    if ctx.invoked_subcommand is None:
        serve(interests_workers(ctx.obj), ctx.obj)


@interests.command()
@click.argument("user_id", metavar="USER")
@click.option("--json", "as_json", is_flag=True, help="All facts, as JSON.")
@click.pass_obj
def show(settings: Settings, user_id: str, as_json: bool) -> None:
    """Show what is known of USER's interests, as facts with their evidence: what descriptions are made of.

    Reads the log, so that no worker needs to run. Exits with 1 where nothing is held.
    """
    from streams.describe.single import user_facts
    from streams.progress import progress

    with progress("reading", 1):
        facts = user_facts(settings, user_id)
    if facts is None:
        click.echo(f"{user_id}: nothing is held", err=True)
        raise click.exceptions.Exit(EXIT_FAILED)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(facts), indent=2))
        return
    for line in _lines(user_id, facts):
        click.echo(line)


def interests_workers(settings: Settings) -> Factories:
    """The interests worker and, with interests.item_vectors, the one that publishes items' vectors."""
    if settings.interests.item_vectors:
        return {"interests": interests_worker, "item-vectors": item_vectors_worker}
    return {"interests": interests_worker}


def interests_worker(settings: Settings) -> Worker:
    """Imported here, so that the process answers /healthz while the state is still restored."""
    from streams.interests.worker import InterestsWorker

    return InterestsWorker(settings)


def item_vectors_worker(settings: Settings) -> Worker:
    from streams.item_vectors.worker import ItemVectorsWorker

    return ItemVectorsWorker(settings)


def _lines(user_id: str, facts: "Facts") -> list[str]:
    lines = [f"{user_id}: version {facts.version}, {facts.event_count} events up to {moment(facts.time)}"]
    lines += [f"topic {_topic(fact)}" for fact in facts.topics]
    lines += [f"avoids {_topic(fact)}" for fact in facts.avoided]
    if facts.modalities:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in facts.modalities.items())
        lines.append(f"attention: {shares}")
    lines += [f"liked {_item(fact)}" for fact in facts.liked]
    lines += [f"disliked {_item(fact)}" for fact in facts.disliked]
    lines += [f"searched at {moment(fact.time)}: {fact.words}" for fact in facts.searches]
    for comment in facts.comments:
        sound = "" if comment.sentiment is None else f", sounds {comment.sentiment:+.2f}"
        lines.append(f"commented on {comment.item_id} ({comment.title}) at {moment(comment.time)}{sound}")
    if facts.day_parts:
        lines.append("when: " + ", ".join(f"{part} {share:.0%}" for part, share in facts.day_parts.items()))
    return lines


def _topic(fact: "TopicFact") -> str:
    """A topic with its share, its shares by time scale, how it moves, and how many events speak for it."""
    scales = ", ".join(f"{scale} {share:.0%}" for scale, share in fact.scales.items())
    moves = f"; {fact.trend}" if fact.trend else ""
    time = f"; of {fact.scale}" if fact.scale else ""
    return f"{fact.name} {fact.share:.0%}{scales and f' ({scales})'}{moves}{time}; {fact.events} events"


def _item(fact: "ItemFact") -> str:
    actions = f" ({', '.join(fact.actions)})" if fact.actions else ""
    words = ", ".join((*fact.topics, *fact.seen, *fact.said))
    return f"{fact.item_id}{actions}: {fact.title or 'no title'}{words and f' [{words}]'}"
