"""Items as they lie in `items.encoded`: vectors and what filters, reasons and descriptions need."""

import msgspec


class EncodedItem(msgspec.Struct, omit_defaults=True, gc=False):
    """One item of the catalogue, encoded. A withdrawal is a record with `withdrawn`, then a null value.

    Times are epoch milliseconds. `vectors` and `masked` as in `state.events.Row`.
    """

    item_id: str
    partition: int
    offset: int
    """Raw position in `items`: of two records of one item, the one with the higher offset holds."""
    vectors: dict[int, bytes] = {}
    masked: dict[int, str] = {}
    title: str = ""
    tags: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    published_at: int | None = None
    expires_at: int | None = None
    available: bool = True
    attributes: dict[str, str | float | bool | None] = {}
    encoders: str = ""
    """Version of the bank of encoders that made the vectors."""
    withdrawn: bool = False

    @property
    def topics(self) -> tuple[str, ...]:
        """Categories and tags, each once, categories first."""
        return tuple(dict.fromkeys((*self.categories, *self.tags)))
