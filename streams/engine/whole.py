"""A changelog partition read whole, for commands that work on all states while nothing runs."""

from state.store import Store
from streams.engine.journal import Journal
from streams.errors import ChangelogCut


def load_whole(journal: Journal, store: Store, label: str) -> None:
    """Load the partition into an empty store. The journal is the owner's afterwards, and still open.

    Fences whoever owned the partition, a zombie too. Raises ChangelogCut where states would be missing: a
    worker that started here would refuse as well.
    """
    facts = journal.fence(_never)
    if facts.changelog_start > 0:
        # Only retention, or a hand, moves the start.
        raise ChangelogCut(
            f"{label}: the changelog was cut up to offset {facts.changelog_start}: states would be missing; "
            "mend it first, as the workers ask for it"
        )
    for chunk in journal.replay(0, facts.changelog_end, _never):
        store.load(chunk.changes)
    store.settle()


def _never() -> bool:
    return False
