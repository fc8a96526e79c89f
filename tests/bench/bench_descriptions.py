"""Descriptions of simulated users, judged against hidden tastes and true deeds.

    python tests/bench/bench_descriptions.py --cache FOLDER [--users 200] [--model smollm2 --model-users 20]

The whole chain but Kafka: deeds are folded as rows into both records, read as facts, handed over as
statements, written, and checked. With --model a language model writes for the first so many users, before
and after the check; what it wrote is kept in --kept FILE, one line a user, and is not written again. --show N
prints some.
"""

import argparse
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

sys.path.insert(0, str(Path(__file__).parents[2]))

from encoders.errors import LanguageError
from encoders.language.base import Description, Request, Writer
from encoders.language.breaker import Breaker
from encoders.language.grounding import grounded
from encoders.language.local import LocalModel
from encoders.language.sanitising import prepared
from encoders.language.settings import LanguageSettings
from encoders.language.template import Template
from encoders.language.writers import SafeWriter
from state.facts import read_facts
from state.fusion import Fusion
from state.items import EncodedItem
from state.prior import content_prior
from state.profile import Profile, encode_profile, fold_profile
from state.ring import Outcome
from state.slots import item_hash
from streams.describe.shelf import ItemShelf
from streams.describe.statements import statements_of
from streams.progress import progress
from tests.bench.description_judge import Judge, summed
from tests.bench.simulated_readers import Reader, readers, rows_of, sample_items

MOST_SENTENCES = 8
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="")
    parser.add_argument("--model-users", type=int, default=20)
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--show", type=int, default=0)
    chosen = parser.parse_args()
    items = sample_items(chosen.cache)
    users = readers(chosen.users, items, chosen.seed)
    judge = Judge(items)
    print(f"{len(users)} users, {sum(len(user.deeds) for user in users)} deeds, {len(items)} items")
    facts_seconds, requests = timed(lambda: requests_of(users, items))
    print(f"facts: {1e3 * facts_seconds / len(users):.2f} ms of CPU a user")
    for language in ("en", "zh"):
        asked = [Request(one.user, language, one.statements) for one in requests]
        report(f"template, {language}", Template(MOST_SENTENCES), (users, asked), judge, chosen.show)
    if chosen.model:
        few = users[: chosen.model_users]
        settings = LanguageSettings(
            backend="transformers", model=chosen.model, max_new_tokens=60, timeout_seconds=300.0, batch=8
        )
        model: Writer = LocalModel(settings)
        if chosen.kept is not None:
            model = Kept(model, chosen.kept)
        report(chosen.model, model, (few, requests[: len(few)]), judge, chosen.show)
        report("template, the same users", Template(MOST_SENTENCES), (few, requests[: len(few)]), judge, 0)


class Kept:
    """Writes once: what was written before of the same request, by the same version, is read from a file."""

    def __init__(self, writer: Writer, file: Path) -> None:
        self._writer, self._file = writer, file
        self.name, self.version = writer.name, writer.version
        lines = file.read_bytes().splitlines() if file.exists() else []
        pairs = (msgspec.json.decode(line, type=tuple[str, Description]) for line in lines)
        self._known = dict(pairs)

    def write(self, requests: Sequence[Request]) -> list[Description | LanguageError]:
        return [self._written(request) for request in requests]

    def close(self) -> None:
        self._writer.close()

    def _written(self, request: Request) -> Description | LanguageError:
        key = hashlib.sha256(self.version.encode() + msgspec.json.encode(request)).hexdigest()
        if key not in self._known:
            (answer,) = self._writer.write([request])
            if not isinstance(answer, Description):
                return answer
            self._known[key] = answer
            with self._file.open("ab") as file:
                file.write(msgspec.json.encode((key, answer)) + b"\n")
        return self._known[key]


class _Said:
    """What a writer has written already, in the same order."""

    def __init__(self, writer: Writer, written: list[Description | LanguageError]) -> None:
        self.name, self.version = writer.name, writer.version
        self._written = written

    def write(self, requests: Sequence[Request]) -> list[Description | LanguageError]:
        return self._written

    def close(self) -> None:
        """Nothing is held."""


def _never_breaks() -> Breaker:
    return Breaker(1_000_000, 1.0, lambda: 0.0)


def requests_of(users: Sequence[Reader], items: Sequence[EncodedItem]) -> list[Request]:
    """What is asked of a writer about each user, in English."""
    return states_of(users, items)[2]


def states_of(
    users: Sequence[Reader], items: Sequence[EncodedItem]
) -> tuple[Fusion, list[bytes], list[Request]]:
    """What is held of each user, and asked of a writer about it."""
    fusion = Fusion(content_prior())
    shelf = ItemShelf()
    for item in items:
        shelf.apply_record(msgspec.msgpack.encode(item))
    rows = [rows_of(user) for user in users]
    folded = fusion.fold([None] * len(users), rows)
    profiles = []
    for of_user, outcomes in zip(rows, folded.outcomes, strict=True):
        profile = Profile()
        kept = [
            (row, item_hash(row.item_id) if row.item_id else 0)
            for row, outcome in zip(of_user, outcomes, strict=True)
            if outcome not in (Outcome.DUPLICATE, Outcome.IGNORED)
        ]
        fold_profile(profile, kept)
        profiles.append(encode_profile(profile))
    facts = read_facts(fusion, list(zip(folded.states, profiles, strict=True)), shelf)
    requests = [Request(user.name, "en", statements_of(of)) for user, of in zip(users, facts, strict=True)]
    return fusion, folded.states, requests


def report(
    name: str, writer: Writer, asked: tuple[Sequence[Reader], Sequence[Request]], judge: Judge, show: int
) -> None:
    """Prints the figures before and after the check, and what they cost."""
    users, requests = asked
    harmless = [prepared(request) for request in requests]
    seconds, wall = 0.0, time.monotonic()
    written: list[Description | LanguageError] = []
    with progress(name, len(harmless)) as tell:
        for request in harmless:
            started = time.process_time()
            written += writer.write([request])
            seconds += time.process_time() - started
            tell(len(written))
    wall = time.monotonic() - wall
    failed = sum(not isinstance(one, Description) for one in written)
    before = [one.sentences if isinstance(one, Description) else () for one in written]
    check_seconds, after = timed(
        lambda: [
            grounded(request, one) if isinstance(one, Description) else None
            for request, one in zip(harmless, written, strict=True)
        ]
    )
    count = len(users)
    print(f"\n{name}: {count} users, {failed} failed")
    print(
        f"  writing {1e3 * seconds / count:.2f} ms of CPU a description ({count / wall:.1f}/s), "
        f"checking {1e3 * check_seconds / count:.2f} ms"
    )
    kept = [one.sentences if one is not None else () for one in after]
    published = SafeWriter(_Said(writer, written), Template(MOST_SENTENCES), _never_breaks(), MOST_SENTENCES)
    whole = [one.sentences if isinstance(one, Description) else () for one in published.write(requests)]
    stages = (("before the check", before), ("after the check", kept), ("as published", whole))
    for label, sentences in stages:
        verdicts = [
            judge.judge(user, (sentence.text for sentence in each))
            for user, each in zip(users, sentences, strict=True)
        ]
        figures = ", ".join(f"{key} {value:.3f}" for key, value in summed(verdicts).items())
        lines = sum(len(each) for each in sentences)
        print(f"  {label}: {lines} sentences, {figures}")
        if show:
            for verdict in [one for one in verdicts if one.false][:show]:
                print("    false:", *verdict.false[:3], sep="\n      ")
    dropped = Counter(one.reason for each in after if each is not None for one in each.rejected)
    print(f"  dropped: {dict(dropped)}")
    for number in range(min(show, count)):
        print(f"    {users[number].name} {users[number].tastes} +{users[number].arrives} "
              f"-{users[number].leaves} !{users[number].aversion}")  # fmt: skip
        print("     ", " ".join(sentence.text for sentence in kept[number]))
        rejected = after[number].rejected if after[number] is not None else ()
        for one in rejected[:4]:
            print(f"      [{one.reason}] {one.text}")


def timed(run: Callable[[], T]) -> tuple[float, T]:
    """Seconds of CPU of this process, and what came of it."""
    started = time.process_time()
    found = run()
    return time.process_time() - started, found


if __name__ == "__main__":
    main()
