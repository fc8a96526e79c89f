"""The live table: what each viewer secretly likes beside what Penchant has found out."""

from collections.abc import Sequence

from rich.table import Table

from streams.demo.observer import Sight
from streams.demo.viewers import Shelf, Viewer

ROWS = 10
_ITEMS_SHOWN = 5


def live_table(viewers: Sequence[Viewer], sight: Sight, shelf: Shelf, title: str) -> Table:
    """The first viewers: hidden tastes, top topics of the interest, and the slate with matches in green."""
    table = Table(title=title, expand=True)
    table.add_column("viewer", no_wrap=True, min_width=9)
    table.add_column("events", no_wrap=True, justify="right", min_width=6)
    for name, ratio in (("hidden tastes", 3), ("interest: topics", 4), ("slate", 7)):
        table.add_column(name, no_wrap=True, ratio=ratio)
    with sight.lock:
        for viewer in viewers[:ROWS]:
            interest = sight.interests.get(viewer.name)
            slate = sight.slates.get(viewer.name)
            topics = sorted((interest.topics if interest else {}).items(), key=lambda pair: -pair[1])
            table.add_row(
                viewer.name,
                str(interest.event_count if interest else 0),
                ", ".join(viewer.tastes),
                ", ".join(f"{topic} {weight:.0%}" for topic, weight in topics[:3]),
                " ".join(
                    _shown(item.item_id, viewer, shelf)
                    for item in (slate.items if slate else [])[:_ITEMS_SHOWN]
                ),
            )
    return table


def _shown(item_id: str, viewer: Viewer, shelf: Shelf) -> str:
    colour = "green" if shelf.category(item_id) in viewer.tastes else "dim"
    item = shelf.items[item_id]
    name = item.title.removeprefix("A ").removeprefix("An ").removeprefix("The ").rstrip(".")
    return f"[{colour}]{name or item_id.removeprefix('clips/')}[/{colour}] ·"
