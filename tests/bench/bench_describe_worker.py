"""What the describe worker costs, in CPU microseconds: for each published interest, and for each description.

    OMP_NUM_THREADS=1 python tests/bench/bench_describe_worker.py [--users 400] [--events 60]

look      a record of `interests`: decoded as far as it is looked at, and held against the last description
facts     facts of a user, from both records (in batches of 16)
draft     facts, statements, language and digest
write     by the template, with the check
record    the public record as JSON
"""

import argparse
import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from encoders.language.base import Description
from encoders.language.settings import LanguageSettings
from encoders.language.writers import configured_writer
from state.events import Action, Row
from state.profile import decode_profile
from streams.describe.drift import drift, glimpses
from streams.describe.stage import Draft, Drafter, encoded, record_of
from streams.describe.states import Held
from streams.describe.waiting import Entry
from streams.interests.outputs import Portraits, as_of_text, topics_text
from streams.settings import DescribeSettings, Settings
from tests.shelf import FUSION, Shelf, held
from tests.tastes import item, row

ITEMS = [item(number) for number in range(600)]
SHELF = Shelf(ITEMS)
BATCH = 16
ROUNDS = 5
COMMON = (Action.VIEW, Action.VIEW, Action.CLICK, Action.LIKE, Action.SAVE)


def rows_of(user: int, count: int) -> list[Row]:
    """Two tastes in turn, and a search."""
    chance = np.random.default_rng(user)
    tastes = chance.choice(6, 2, replace=False)
    rows = []
    for number in range(count):
        shown = ITEMS[int(chance.integers(100)) * 6 + int(tastes[number % 2])]
        rows.append(row(f"u{user}", number, shown, COMMON[int(chance.integers(len(COMMON)))]))
    return [*rows, row(f"u{user}", count, None, Action.SEARCH, text=f"boats {user % 7}")]


def published(users: Sequence[Held]) -> list[bytes]:
    names = [f"u{number}" for number in range(len(users))]
    portraits = Portraits(FUSION.read([state for state, _ in users]), FUSION.artifact.version, names)
    texts = [topics_text(decode_profile(profile), SHELF.topic_names) for _, profile in users]
    as_of = as_of_text(0, 7, "")
    return [portraits.interest(at, b'"caused_by":[]', text, as_of) for at, text in enumerate(texts)]


def cost(work: Callable[[], object], count: int) -> float:
    """Median CPU microseconds for one of `count`."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        taken.append((time.process_time() - began) / count * 1e6)
    return float(np.median(taken))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=400)
    parser.add_argument("--events", type=int, default=60)
    options = parser.parse_args()
    users = [held(rows_of(user, options.events)) for user in range(options.users)]
    values, settings = published(users), DescribeSettings()
    drafter, writer = Drafter(FUSION, SHELF, Settings()), configured_writer(LanguageSettings())
    entries = [Entry(b"u%d" % number, 0, 0, 0, 0, 0, "en") for number in range(len(users))]
    by_user = {entry.user: records for entry, records in zip(entries, users, strict=True)}
    parts = [slice(at, at + BATCH) for at in range(0, len(users), BATCH)]

    def drafts() -> list[Draft]:
        return [draft for part in parts for draft in drafter.drafts(entries[part], by_user, "template", 0)]

    made = drafts()
    requests = [draft.request for draft in made]
    chinese = [msgspec.structs.replace(request, language="zh") for request in requests]
    answers = [answer for answer in writer.write(requests) if isinstance(answer, Description)]
    works: dict[str, Callable[[], object]] = {
        "look": lambda: [
            drift(glimpses.decode(value), draft.told, settings)
            for value, draft in zip(values, made, strict=True)
        ],
        "facts": lambda: [drafter.facts(users[part]) for part in parts],
        "draft": drafts,
        "write, English": lambda: writer.write(requests),
        "write, Chinese": lambda: writer.write(chinese),
        "record": lambda: [
            encoded(record_of(draft, answer)) for draft, answer in zip(made, answers, strict=True)
        ],
    }
    for name, work in works.items():
        print(f"{name:16}{cost(work, len(users)):10.1f} us")
    record = encoded(record_of(made[0], answers[0]))
    print(f"bytes of an interest {len(values[0])}, of a description {len(record)}")


if __name__ == "__main__":
    main()
