"""One user's facts and description as of now, read from the log: no worker needs to run."""

import time
from contextlib import closing
from typing import NamedTuple

from encoders.errors import EncodersError
from encoders.language.base import Description
from encoders.language.writers import configured_writer
from state.errors import UNREADABLE, StateError
from state.facts import Facts
from state.fusion import Fusion
from streams.describe.shelf import ItemShelf
from streams.describe.stage import Draft, Drafter, record_of
from streams.describe.states import Held
from streams.describe.waiting import Entry
from streams.errors import EngineError, InputError
from streams.interests.processor import KIND_FUSION, KIND_PROFILE
from streams.models.live import live_model
from streams.reading import homes, read, whole
from streams.records import InterestDescription
from streams.settings import Settings


def user_facts(settings: Settings, user_id: str) -> Facts | None:
    """None where nothing is held of the user. Raises TopicError, and EngineError for what another build or
    model wrote."""
    held = _held(settings, user_id)
    if held is None:
        return None
    try:
        return _drafter(settings).facts([held])[0]
    except StateError as error:
        raise EngineError(str(error)) from error


class Single(NamedTuple):
    """A description, and why the template wrote it in place of the configured model, where it did."""

    record: InterestDescription
    problem: str = ""


def describe_user(settings: Settings, user_id: str, language: str | None = None) -> Single | None:
    """The record that the worker would write now; none where nothing is held, or there is nothing to tell.

    Raises TopicError, EngineError, and InputError for a language that nobody here writes.
    """
    if language is not None and language not in settings.language.languages:
        known = ", ".join(settings.language.languages)
        raise InputError(f"{language}: no language of language.languages, which are {known}")
    held = _held(settings, user_id)
    if held is None:
        return None
    try:
        with closing(configured_writer(settings.language)) as writer:
            draft = _draft(settings, (user_id, language), held, f"{writer.name} {writer.version}")
            (answer,) = writer.write([draft.request])
            asked = writer.name
    except (StateError, EncodersError) as error:
        raise EngineError(str(error)) from error
    if not isinstance(answer, Description):
        raise EngineError(str(answer))
    if not answer.sentences:
        return None
    problem = f"in place of {asked}: {answer.fallback}: {answer.fallback_detail}" if answer.fallback else ""
    return Single(record_of(draft, answer), problem)


def _draft(settings: Settings, asked: tuple[str, str | None], held: Held, writer: str) -> Draft:
    user, language = asked[0].encode(), asked[1] or ""
    entry = Entry(user, 0, 0, 0, 0, 0, language)
    (draft,) = _drafter(settings).drafts([entry], {user: held}, writer, int(time.time() * 1000))
    return draft


def _drafter(settings: Settings) -> Drafter:
    shelf = ItemShelf()
    for record in read(settings, whole(settings, settings.topics.items_encoded, settled=False)):
        try:
            shelf.apply_record(record.value)
        except UNREADABLE as error:
            raise EngineError(f"{record.topic}-{record.partition}@{record.offset}: {error}") from error
    return Drafter(Fusion(live_model(settings).artifact()), shelf, settings)


def _held(settings: Settings, user_id: str) -> Held | None:
    user, changelog = user_id.encode(), live_model(settings).changelog
    found: dict[bytes | None, bytes | None] = {}
    keys = (KIND_FUSION + user, KIND_PROFILE + user)
    for record in read(settings, homes(settings, [changelog], user)):
        if record.key in keys:
            found[record.key] = record.value
    state = found.get(keys[0])
    return None if state is None else (state, found.get(keys[1]))
