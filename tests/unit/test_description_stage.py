"""From facts to requests, from descriptions to records; and a writer that does not come back."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
import pytest
from msgspec.structs import replace

from encoders.errors import LanguageError
from encoders.language.base import Description, Kind, Rejected, Request, Sentence, Statement
from encoders.language.settings import LanguageSettings
from encoders.language.writers import configured_writer
from state.events import Action, Row
from state.facts import Facts, SearchFact, TopicFact
from state.store import MemoryStore
from state.trends import Scale, Trend
from streams.describe.cache import DescriptionCache
from streams.describe.memory import Memory
from streams.describe.recall import understood
from streams.describe.scribe import Scribe
from streams.describe.shelf import ItemShelf
from streams.describe.stage import Draft, Drafter, encoded, record_of, told_of
from streams.describe.statements import digest_of, language_of, statements_of
from streams.describe.waiting import Entry
from streams.records import InterestDescription
from streams.settings import Settings
from tests.encode_harness import until
from tests.shelf import FUSION, Shelf, held
from tests.tastes import item, row

ITEMS = [item(number) for number in range(30)]
SHELF = Shelf(ITEMS)


def liking(count: int = 8, group: int = 0) -> list[Row]:
    return [row("ann", number, ITEMS[(6 * number + group) % 30], Action.LIKE) for number in range(count)]


def drafted(rows: Sequence[Row], language: str = "") -> Draft:
    entry = Entry(b"ann", 0, 0, 0, 0, 0, language)
    (draft,) = Drafter(FUSION, SHELF, Settings()).drafts([entry], {b"ann": held(rows)}, "template", 5_000)
    return draft


def written(draft: Draft) -> Description:
    (answer,) = configured_writer(LanguageSettings()).write([draft.request])
    assert isinstance(answer, Description)
    return answer


def test_a_description_cites_facts_and_is_remembered_as_it_was_published() -> None:
    draft = drafted(liking())
    record = record_of(draft, written(draft))
    assert "birds" in record.summary and record.tags[0] == "birds"
    cited = {name for sentence in record.sentences for name in sentence.cites}
    assert cited == {fact.id for fact in record.facts} and len(cited) >= 3
    assert (record.version, record.written, record.language, record.model) == (8, 5_000, "en", "template")
    back = msgspec.json.decode(encoded(record), type=InterestDescription)
    assert told_of(back) == draft.told


@pytest.mark.parametrize(("asked", "language"), [("zh-CN", "zh"), ("en_GB", "en"), ("fr", "en"), ("", "en")])
def test_the_application_says_the_language(asked: str, language: str) -> None:
    assert written(drafted(liking(), asked)).language == language


def test_who_searches_in_chinese_is_described_in_chinese() -> None:
    rows = [*liking(), row("ann", 20, None, Action.SEARCH, text="蓝色的船 boats")]
    assert drafted(rows).request.language == "zh"
    facts = Facts(1, 1, 1, searches=(SearchFact("蓝色的船", 1),))
    assert language_of(facts, "", ("en", "de")) == "en"
    assert language_of(facts, "", ("en", "zh")) == "zh"
    assert language_of(facts, "en", ("zh", "en")) == "en"


def test_a_topic_of_one_event_among_many_is_not_told_of() -> None:
    rows = [*liking(9), row("ann", 30, ITEMS[3], Action.VIEW)]
    topics = [each.text for each in drafted(rows).request.statements if each.kind is Kind.TOPIC]
    assert "birds" in topics and "drums" not in topics


def test_statements_have_ids_of_their_own_and_trends() -> None:
    facts = Facts(
        1,
        1,
        60,
        topics=(
            TopicFact("birds", 0.6, 9, Trend.RISING, Scale.TODAY, {Scale.TODAY: 0.9}),
            TopicFact("boats", 0.4, 5),
        ),
        avoided=(TopicFact("drums", 0.9, 3), TopicFact("ferns", 0.1, 9)),
        day_parts={"evening": 0.7, "night": 0.3},
    )
    told = statements_of(facts)
    assert len({each.id for each in told}) == len(told)
    by_id = {each.id: each for each in told}
    assert (by_id["t1"].weight, by_id["t1"].trend, by_id["r1"].kind) == (0.6, "rising", Kind.TREND)
    assert (by_id["a1"].scale, by_id["a1"].weight) == ("today", 0.9)
    assert (by_id["n1"].text, by_id["n1"].weight) == ("drums", -0.9) and "n2" not in by_id
    assert [each.text for each in told if each.kind is Kind.TIME] == ["evening"]


def test_the_same_facts_have_the_same_digest_whoever_the_user_is() -> None:
    one, other = drafted(liking()), drafted(liking())
    assert one.digest == other.digest
    request = one.request
    assert digest_of(msgspec.structs.replace(request, user="bob"), "template") == one.digest
    assert digest_of(request, "another") != one.digest
    assert drafted(liking(), "zh").digest != one.digest
    assert drafted(liking(group=1)).digest != one.digest


def test_personal_data_in_a_search_does_not_go_out_as_a_fact() -> None:
    rows = [*liking(), row("ann", 20, None, Action.SEARCH, text="mail jane.doe@example.org birds")]
    draft = drafted(rows)
    assert b"jane.doe" not in encoded(record_of(draft, written(draft)))


def test_what_was_rejected_is_counted_and_not_published() -> None:
    draft = drafted(liking())
    description = Description(
        (Sentence("Likes birds.", ("t1",)),),
        (),
        ("birds",),
        "model",
        "en",
        (Rejected("Obey me.", "instruction"), Rejected("He is 40.", "number"), Rejected("x", "number")),
    )
    record = record_of(draft, description)
    assert record.rejected == {"instruction": 1, "number": 2}
    assert b"Obey" not in encoded(record)


def test_records_nulls_and_nonsense_are_understood() -> None:
    draft = drafted(liking())
    assert understood(encoded(record_of(draft, written(draft)))) == draft.told
    assert understood(b"{}") is None
    assert understood(None) is None


def test_the_memory_keeps_partitions_apart_and_forgets_whom_it_is_told_to() -> None:
    store, told = MemoryStore(), drafted(liking()).told
    one, other = Memory(store, 1), Memory(store, 2)
    one.fill({b"ann": told, b"bob": told, b"eve": None})
    one.filled()
    other.put(b"ann", replace(told, version=told.version + 1))
    assert one.get(b"ann") == told and one.get(b"eve") is None and other.get(b"bob") is None
    one.drop(b"bob")
    assert one.get(b"bob") is None
    one.clear()
    assert one.get(b"ann") is None and other.get(b"ann") is not None


def test_the_memory_of_many_users_is_cleared_whole() -> None:
    store, told = MemoryStore(), drafted(liking()).told
    memory = Memory(store, 0)
    memory.fill({b"user-%d" % number: told for number in range(2_500)})
    memory.clear()
    assert store.size() == 0


def test_the_shelf_keeps_titles_and_lets_withdrawn_items_go() -> None:
    shelf = ItemShelf()
    made = item(3, labels=("drum kit",), described={"caption": ("a man drums",), "phonemes": ("d r",)})
    shelf.apply_record(msgspec.msgpack.encode(made))
    mine = Shelf([made])
    hashed = next(iter(mine._items))
    shown = shelf.of_hash(hashed)
    assert shown is not None and (shown.title, shown.seen, shown.said) == (
        "Item 3",
        ("drum kit",),
        ("a man drums",),
    )
    assert shelf.of_mark((hashed & 0xFFFFFFFF).to_bytes(4, "big")) == shown
    assert shelf.topic_names["drums"] == "drums" and len(shelf) == 1
    late = replace(made, offset=1, title="older")
    shelf.apply_record(msgspec.msgpack.encode(late))
    assert shelf.of_hash(hashed) == shown
    shelf.apply_record(msgspec.msgpack.encode(replace(made, offset=9, withdrawn=True)))
    shelf.apply_record(None)
    shelf.apply_record(msgspec.msgpack.encode(made))
    assert shelf.of_hash(hashed) is None and len(shelf) == 0


def test_the_cache_forgets_what_was_used_longest_ago() -> None:
    cache = DescriptionCache(2)
    texts = {name: Description((), (), (), name, "en") for name in "abc"}
    cache.put(b"a", texts["a"])
    cache.put(b"b", texts["b"])
    assert cache.get(b"a") == texts["a"]
    cache.put(b"c", texts["c"])
    assert (cache.get(b"b"), cache.get(b"a"), len(cache)) == (None, texts["a"], 2)


class FakeWriter:
    """Writes its own name, once it is let; a fake for these tests alone."""

    version = "1"

    def __init__(self, name: str) -> None:
        self.name = name
        self.let = threading.Event()
        self.failure: Exception | None = None

    def write(self, requests: Sequence[Request]) -> list[Description | LanguageError]:
        assert self.let.wait(60)
        if self.failure is not None:
            raise self.failure
        return [Description((), (), (), self.name, request.language) for request in requests]

    def close(self) -> None:
        """Nothing is held."""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


REQUESTS = [Request("ann", "en", (Statement("t1", Kind.TOPIC, "birds", weight=1.0),))]


@contextmanager
def scribing() -> Iterator[tuple[Scribe, FakeWriter, Clock]]:
    writer, substitute, clock = FakeWriter("model"), FakeWriter("template"), Clock()
    substitute.let.set()
    try:
        yield Scribe(writer, substitute, 10.0, clock), writer, clock
    finally:
        writer.let.set()


def answered(scribe: Scribe) -> list[str]:
    answers = scribe.poll(30)
    assert answers is not None
    return [each.model if isinstance(each, Description) else each.reason for each in answers]


def test_a_slow_writer_is_waited_for_and_asked_for_nothing_else() -> None:
    with scribing() as (scribe, writer, clock):
        scribe.submit(REQUESTS)
        clock.now = 9.0
        assert scribe.poll() is None and scribe.busy
        writer.let.set()
        assert answered(scribe) == ["model"] and not scribe.busy
        assert scribe.poll() is None


def test_a_writer_that_hangs_is_replaced_until_it_comes_back() -> None:
    with scribing() as (scribe, writer, clock):
        scribe.submit(REQUESTS)
        clock.now = 11.0
        assert scribe.poll() is None and scribe.hangs
        assert answered(scribe) == ["template"]
        scribe.submit(REQUESTS)
        assert answered(scribe) == ["template"]
        writer.let.set()
        until("the writer to come back", lambda: not scribe.hangs)
        scribe.submit(REQUESTS)
        assert answered(scribe) == ["model"]


def test_a_writer_that_raises_fails_its_batch_alone() -> None:
    with scribing() as (scribe, writer, _):
        writer.let.set()
        writer.failure = RuntimeError("out of memory")
        scribe.submit(REQUESTS)
        assert answered(scribe) == ["server"]
        writer.failure = None
        scribe.submit(REQUESTS)
        assert answered(scribe) == ["model"]
