"""Judges descriptions against hidden tastes and true deeds.

It shares nothing with the product's check: it knows the whole catalogue, not what a prompt held, and finds
claims by patterns of its own. A claim is a name of the catalogue (category or title), a searched phrase, a
medium or a time of day, with what the sentence says of it. A word that is neither of these nor in a list of
plain words is a claim about nothing that happened, and false.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from state.events import Action
from state.items import EncodedItem
from tests.bench.simulated_readers import DAY, DAYS, START, Reader

TOP = 3
LIKING = {Action.LIKE, Action.SAVE, Action.SHARE, Action.PURCHASE}
AGAINST = {Action.DISLIKE, Action.SKIP}
POSITIVE = {Action.VIEW, Action.CLICK, *LIKING}

_NEGATIVE = re.compile(
    r"dislik|turn(?:s|ed)? away|not (?:like|interested|fond|care|drawn)|n't (?:like|care)|avoid|hate"
    r"|little interest|no interest|skip|critical|不喜欢|不感兴趣|没有兴趣|避开|讨厌|消极"
)
_RISING = re.compile(r"grow|rising|on the rise|increas|gaining|上升|越来越|增长|增强")
_FADING = re.compile(r"fad(?:e|ing)|declin|wan(?:e|ing)|decreas|losing|减弱|下降|减少")
_STEADY = re.compile(r"stead|constant|stable|稳定")
_TODAY = re.compile(r"\btoday\b|right now|just now|今天|此刻")
_LASTING = re.compile(r"long run|lasting|long-term|长期")
_SEARCHED = re.compile(r"\bsearch|look(?:s|ed|ing)? up|搜索|搜过")
_LIKED_ITEM = re.compile(r"\bliked\b|\bloved\b|\benjoyed\b|喜欢过|喜欢的内容")
_QUOTED = re.compile(r"[“\"《]([^”\"》]+)[”\"》](?: \(([^)]*)\)|（([^）]*)）)?")
_PARTS = re.compile(r"(?<=[;；])|\bwhile\b|\bwhereas\b|\bbut\b|\balthough\b|，而")
_MEDIA = {"image": r"picture|image|photo|图片|照片", "text": r"\btexts?\b|article|文字|文章",
          "audio": r"\bsounds\b|\baudio\b|声音|音频", "video": r"video|\bclips\b|视频"}  # fmt: skip
_TIMES = {"morning": r"morning|早上|上午", "afternoon": r"afternoon|下午", "evening": r"evening|晚上",
          "night": r"\bnights?\b|深夜|夜里", "weekdays": r"weekday|工作日",
          "weekends": r"weekend|周末"}  # fmt: skip
_PLAIN_WORDS = """
a above active activity after all also among an and are as at attention away been between both but
by choose comment comments constant critical declining did dislike disliked dislikes divide drawn
enjoy enjoys expressed fading focus followed for from goes grow growing has have in include interest
interested interests into is it its later like liked likes little look looks most mostly moved next
not of on or other over own particularly pictures primarily rise run searched searching seem seems
shared show shows some sometimes sound steady stays such than that the their theirs then they things
this titled to today topic topics towards turn turned turns user user's users viewer was were what
when which while whereas who with words lasting long right now lately videos texts sounds evening
morning afternoon night weekdays weekends they're person's person related about various different
more very well viewing watching particular especially including being rising increasing increased
decreasing decline increase
"""
_PLAIN = frozenset(_PLAIN_WORDS.split())


@dataclass
class Verdict:
    """What was found of one description."""

    claims: int = 0
    held: int = 0
    named: int = 0
    """Of the true top topics."""
    top: int = 0
    false: list[str] = field(default_factory=list)

    @property
    def is_rich(self) -> bool:
        return self.claims >= 3


class Judge:
    """Judges sentences about the users of one catalogue."""

    def __init__(self, items: Sequence[EncodedItem]) -> None:
        self._items = items
        self._categories = sorted({item.categories[0] for item in items}, key=len, reverse=True)
        titles = {_plain(item.title) for item in items}
        self._titles = sorted((title for title in titles if title), key=len, reverse=True)

    def judge(self, reader: Reader, sentences: Iterable[str]) -> Verdict:
        truth = Truth(reader)
        verdict = Verdict()
        named: set[str] = set()
        for sentence in sentences:
            for part in _PARTS.split(sentence):
                self._part(part, truth, verdict, named)
        top = truth.top()
        verdict.top, verdict.named = len(top), len(named & set(top))
        return verdict

    def _part(self, part: str, truth: "Truth", verdict: Verdict, named: set[str]) -> None:
        text = _plain(part)
        claims: list[tuple[str, bool]] = []
        text = self._quoted(text, truth, claims)
        for title in self._titles:
            if _has(text, title) and title not in self._categories:
                claims.append((f"title {title}", truth.of_title(title, text)))
                text = _without(text, title)
        for category in self._categories:
            if _has(text, category):
                held = truth.of_topic(category, text)
                claims.append((f"topic {category}", held))
                if held and not _NEGATIVE.search(text):
                    named.add(category)
        claims += [(name, truth.media(name)) for name, pattern in _MEDIA.items() if re.search(pattern, text)]
        claims += [(name, truth.times(name)) for name, pattern in _TIMES.items() if re.search(pattern, text)]
        rest = text
        for category in self._categories:
            rest = _without(rest, category)
        claims += [(f"word {word}", False) for word in self._strange(rest)]
        verdict.claims += len(claims)
        verdict.held += sum(held for _, held in claims)
        verdict.false += [f"{name} in: {part.strip()}" for name, held in claims if not held]

    def _quoted(self, text: str, truth: "Truth", claims: list[tuple[str, bool]]) -> str:
        """Judges names in quotes, each with what stands in brackets behind it; the text without them."""
        for span in _QUOTED.finditer(text):
            name, details = span.group(1), span.group(2) or span.group(3)
            if name in self._categories:
                continue
            if _SEARCHED.search(text):
                claims.append((f"searched {name}", any(_same(name, words) for words in truth.searches)))
            else:
                full = next((title for title in self._titles if _same(name, title)), "")
                claims.append((f"title {name}", bool(full) and truth.of_title(full, text)))
                if details:
                    claims.append((f"detail {details}", truth.belongs(full, details)))
            text = text.replace(span.group(), " ")
        return text

    @staticmethod
    def _strange(text: str) -> list[str]:
        words = re.findall(r"[a-z][a-z'’]+|\d+", text)
        return [word for word in words if word.replace("’", "'") not in _PLAIN]


class Truth:
    """What may be said of one user."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._deeds = reader.deeds
        self.searches = {_plain(deed.words) for deed in reader.deeds if deed.words}
        self._end = max(deed.time for deed in reader.deeds)

    def belongs(self, title: str, details: str) -> bool:
        """Whether all that is said of an item beside its title is one of its categories."""
        found = {
            name for deed in self._deeds if deed.item is not None and _plain(deed.item.title) == title
            for name in deed.item.categories
        }  # fmt: skip
        return {part.strip(" “”") for part in re.split("[,、]", details)} <= found

    def top(self) -> list[str]:
        """The categories that were met most with favour in the last two weeks, of those that are liked."""
        recent = [deed for deed in self._deeds if deed.time > self._end - 14 * DAY]
        counts = Counter(
            deed.item.categories[0] for deed in recent if deed.item is not None and deed.action in POSITIVE
        )
        liked = {*self._reader.tastes, *self._reader.current}
        ordered = [name for name, count in counts.most_common() if name in liked and count >= 3]
        return ordered[:TOP]

    def of_topic(self, category: str, text: str) -> bool:
        reader = self._reader
        if _NEGATIVE.search(text):
            return category == reader.aversion or self._turned_down(category)
        if category == reader.aversion:
            return False
        moved = self._share(category, 7, 0) - self._share(category, DAYS, 7)
        steady = category in reader.tastes and category in reader.current
        for pattern, holds in (
            (_RISING, moved > 0),
            (_FADING, moved < 0),
            (_STEADY, steady),
            (_TODAY, self._share(category, 1, 0) > 0),
            (_LASTING, category in reader.tastes),
        ):
            if pattern.search(text):
                return holds
        return category in reader.tastes or category in reader.current

    def of_title(self, title: str, text: str) -> bool:
        actions = {
            deed.action for deed in self._deeds if deed.item is not None and _plain(deed.item.title) == title
        }
        if _NEGATIVE.search(text):
            return bool(actions & AGAINST)
        return bool(actions & (LIKING if _LIKED_ITEM.search(text) else POSITIVE))

    def media(self, name: str) -> bool:
        """Every simulated item has a title and a picture, and no more."""
        return name in ("image", "text")

    def times(self, name: str) -> bool:
        hours = Counter(_day_part(deed.time) for deed in self._deeds)
        days = Counter("weekends" if _is_weekend(deed.time) else "weekdays" for deed in self._deeds)
        return (hours + days)[name] / len(self._deeds) > 0.4

    def _share(self, category: str, since_days: float, until_days: float) -> float:
        """Of what was met with favour in a span of days before the end."""
        span = [
            deed.item.categories[0]
            for deed in self._deeds
            if deed.item is not None
            and deed.action in POSITIVE
            and self._end - since_days * DAY < deed.time <= self._end - until_days * DAY
        ]
        return span.count(category) / len(span) if span else 0.0

    def _turned_down(self, category: str) -> bool:
        found = [deed.action for deed in self._deeds if deed.item and deed.item.categories[0] == category]
        against = sum(action in AGAINST for action in found)
        return against >= 2 and against > len(found) - against


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("’", "'").strip(" .!?。").split())


def _same(name: str, full: str) -> bool:
    """Whether a name is the full one, but for signs, or its beginning where it was cut."""
    short, long = (re.sub(r"[^\w]+", " ", each).strip() for each in (name, full))
    return short == long or (name.endswith("…") and len(short) > 20 and long.startswith(short[:-1]))


def _has(text: str, name: str) -> bool:
    return bool(name) and re.search(_bounded(name), text) is not None


def _without(text: str, name: str) -> str:
    return re.sub(_bounded(name), " ", text)


def _bounded(name: str) -> str:
    return rf"(?<![a-z0-9]){re.escape(name)}(?:'?s)?(?![a-z0-9])"


def _day_part(time: int) -> str:
    hour = (time - START) // 3_600_000 % 24
    if 5 <= hour < 12:
        return "morning"
    if 12 <= hour < 17:
        return "afternoon"
    return "evening" if 17 <= hour < 22 else "night"


def _is_weekend(time: int) -> bool:
    # START is a Wednesday.
    return (time - START) // DAY % 7 in (3, 4)


def summed(verdicts: Sequence[Verdict]) -> Mapping[str, float]:
    """Figures of many descriptions."""
    claims = sum(one.claims for one in verdicts)
    top = sum(one.top for one in verdicts)
    return {
        "claims a description": claims / max(1, len(verdicts)),
        "with 3 claims or more": sum(one.is_rich for one in verdicts) / max(1, len(verdicts)),
        "claims that hold": sum(one.held for one in verdicts) / max(1, claims),
        "top topics named": sum(one.named for one in verdicts) / max(1, top),
    }
