"""A live table of users: what they like, what they are recommended, and how fresh that is."""

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from streams.records import Interest, Recommendation

FRESHNESS_WINDOW = 1_000
RATE_WINDOW_SECONDS = 10.0


@dataclass(slots=True)
class UserView:
    """The latest that was seen of one user."""

    interest: Interest | None = None
    slate: Recommendation | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures over everything that was seen. Seconds; None where nothing was measured."""

    users: int
    events: int
    events_per_second: float
    freshness_p50: float | None
    freshness_p95: float | None

    def __str__(self) -> str:
        fresh = "time since the event not measured"
        if self.freshness_p50 is not None and self.freshness_p95 is not None:
            fresh = f"since the event p50 {self.freshness_p50:.3f} s, p95 {self.freshness_p95:.3f} s"
        return f"{self.users:,} users, {self.events:,} events, {self.events_per_second:.1f} events/s, {fresh}"


class LiveTable:
    """Keeps the `rows` users that changed last, and shows them, newest first; it is a rich renderable.

    `titles` maps an item to its title; it may grow while the table lives. Times are seconds of any
    one monotonic clock, given by the caller. Not thread-safe.
    """

    def __init__(self, titles: Mapping[str, str], rows: int = 12, caption: str = "") -> None:
        self.caption = caption
        self._titles = titles
        self._rows = rows
        self._views: OrderedDict[str, UserView] = OrderedDict()
        self._counts: dict[str, int] = {}
        self._events = 0
        self._recent: deque[tuple[float, int]] = deque()
        self._freshness: deque[float] = deque(maxlen=FRESHNESS_WINDOW)

    def see_interest(self, interest: Interest, now: float, freshness: float | None = None) -> bool:
        """Take a new interest; False where a version as new was seen already."""
        view = self._view(interest.user_id)
        if view.interest is not None and view.interest.version >= interest.version:
            return False
        view.interest = interest
        fresh = self._fresh_events(interest)
        self._events += fresh
        self._recent.append((now, fresh))
        if freshness is not None:
            self._freshness.append(freshness)
        self._trim()
        return True

    def see_recommendation(self, slate: Recommendation) -> bool:
        """Take a new slate; False where a version as new was seen already."""
        view = self._view(slate.user_id)
        if view.slate is not None and view.slate.version >= slate.version:
            return False
        view.slate = slate
        self._trim()
        return True

    def summary(self, now: float) -> Summary:
        while self._recent and self._recent[0][0] < now - RATE_WINDOW_SECONDS:
            self._recent.popleft()
        fresh = np.percentile(list(self._freshness), [50, 95]) if self._freshness else None
        return Summary(
            users=len(self._counts),
            events=self._events,
            events_per_second=sum(count for _, count in self._recent) / RATE_WINDOW_SECONDS,
            freshness_p50=None if fresh is None else float(fresh[0]),
            freshness_p95=None if fresh is None else float(fresh[1]),
        )

    def render(self, now: float) -> RenderableType:
        """The table, with the summary as its title."""
        table = Table(title=str(self.summary(now)), caption=self.caption or None, expand=True)
        table.add_column("user", no_wrap=True, ratio=2)
        table.add_column("version", justify="right", no_wrap=True)
        table.add_column("events", justify="right", no_wrap=True)
        table.add_column("likes", ratio=4)
        table.add_column("from", ratio=3)
        table.add_column("recommended", ratio=6)
        for user, view in reversed(self._views.items()):
            interest = view.interest
            table.add_row(
                Text(printable(user, 32)),
                Text("" if interest is None else str(interest.version)),
                Text("" if interest is None else str(interest.event_count)),
                Text("" if interest is None else topics_text(interest)),
                Text("" if interest is None else modalities_text(interest)),
                Text("" if view.slate is None else slate_text(view.slate, self._titles)),
            )
        return table

    def _fresh_events(self, interest: Interest) -> int:
        """By the growth of the count where the user was seen before: `caused_by` names the last ones only."""
        before = self._counts.get(interest.user_id)
        self._counts[interest.user_id] = interest.event_count
        return len(interest.caused_by) if before is None else max(0, interest.event_count - before)

    def _view(self, user: str) -> UserView:
        view = self._views.setdefault(user, UserView())
        self._views.move_to_end(user)
        return view

    def _trim(self) -> None:
        while len(self._views) > self._rows:
            self._views.popitem(last=False)


def interest_line(interest: Interest, freshness: float | None) -> str:
    """One interest as one line, for where no live table can be."""
    fresh = "" if freshness is None else f" after {freshness:.3f} s"
    return (
        f"{printable(interest.user_id, 64)} v{interest.version} {interest.event_count} events"
        f" topics {topics_text(interest) or 'none named'} [{modalities_text(interest)}]{fresh}"
    )


def slate_line(slate: Recommendation, titles: Mapping[str, str]) -> str:
    """One slate as one line."""
    return f"{printable(slate.user_id, 64)} v{slate.version} recommended {slate_text(slate, titles)}"


def topics_text(interest: Interest, count: int = 4) -> str:
    """The heaviest topics with their weights."""
    heaviest = sorted(interest.topics.items(), key=lambda each: (-each[1], each[0]))[:count]
    return ", ".join(f"{printable(topic, 24)} {weight:.2f}" for topic, weight in heaviest)


def modalities_text(interest: Interest) -> str:
    """The share of attention of each modality, largest first."""
    shares = sorted(interest.modalities.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{printable(name, 12)} {share:.0%}" for name, share in shares)


def slate_text(slate: Recommendation, titles: Mapping[str, str], count: int = 3) -> str:
    """Titles of the first items, or their ids where the title is not known."""
    return ", ".join(printable(titles.get(item.item_id) or item.item_id, 32) for item in slate.items[:count])


def printable(text: str, limit: int) -> str:
    """Without control characters, which could rule the terminal, and cut to `limit` characters."""
    clean = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
