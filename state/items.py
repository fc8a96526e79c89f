"""Items as they lie in `items.encoded`: vectors and what filters, reasons and descriptions need."""

import msgspec

from state.events import NO_TOPIC


class EncodedItem(msgspec.Struct, omit_defaults=True, gc=False):
    """One item of the catalogue, encoded. A withdrawal is a record with `withdrawn`, then a null value.

    Times are epoch milliseconds. `vectors` and `masked` as in `state.events.Row`.
    """

    item_id: str
    partition: int
    offset: int
    """Raw position in `items`: of two records of one item, the one with the higher offset holds. Of those
    of two topics, since `items` was made anew, the later one in the log does."""
    vectors: dict[int, bytes] = {}
    masked: dict[int, str] = {}
    title: str = ""
    tags: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """What is seen and heard in its media."""
    described: dict[str, tuple[str, ...]] = {}
    """What its media were put into words as, by kind: `caption`, `transcript`, `phonemes`, `emotion`."""
    published_at: int | None = None
    expires_at: int | None = None
    available: bool = True
    attributes: dict[str, str | float | bool | None] = {}
    encoders: str = ""
    """Version of the bank of encoders that made the vectors."""
    withdrawn: bool = False
    topic: bytes = NO_TOPIC
    """Id of the topic that the position is in; NO_TOPIC where builds wrote none."""

    @property
    def topics(self) -> tuple[str, ...]:
        """Categories and tags, each once, categories first."""
        return tuple(dict.fromkeys((*self.categories, *self.tags)))
