"""Items that wait for media: bounded, found by medium, forgotten with their partition."""

from encoders.base import Encoded, Modality
from streams.encode.items import ItemPlan
from streams.encode.late_items import LateItem, LateItems, late_item
from streams.encode.media import EncodedMedia, Wanted
from streams.encode.parsing import NewItem
from streams.raw import RawRecord
from streams.records import Item
from tests.fake_media import fake_vector

A, B, GOOD = (Wanted(uri=name, modality=Modality.IMAGE) for name in ("a", "b", "good"))
CAME = Encoded(vectors={Modality.IMAGE: fake_vector(b"a")})


def make(item_id: str, *late: Wanted, partition: int = 0) -> LateItem:
    record = RawRecord("items", partition, 0, 0, item_id.encode(), b"")
    plan = ItemPlan(NewItem(record, Item(item_id), None, None), [*late, GOOD], [], {})
    made = late_item(plan, EncodedMedia(dict.fromkeys((*late, GOOD, B), Encoded()), frozenset({*late, B})))
    assert made is not None
    return made


def ids(items: LateItems, *came: Wanted) -> list[str]:
    return [each.item_id for each in items.find(came)]


def test_an_item_is_late_only_for_its_own_media() -> None:
    plan = ItemPlan(make("i1", A).plan.new, [GOOD], [], {})
    assert late_item(plan, EncodedMedia({GOOD: Encoded()}, frozenset({A}))) is None
    assert make("i1", A).media.late == {A}


def test_found_until_complete() -> None:
    items = LateItems()
    items.remember(make("i1", A, B))
    items.remember(make("i2", B))
    assert (ids(items, A), ids(items, B, A)) == (["i1"], ["i1", "i2"])
    (first,) = items.find([A])
    items.remember(first.with_late({A: CAME}))
    assert (ids(items, A), sorted(ids(items, B))) == ([], ["i1", "i2"])
    assert items.find([B])[0].media.late == {B}
    items.drop("i1")
    items.drop("i2")
    assert not items.waits_for(B)
    assert len(items) == 0


def test_the_oldest_makes_room() -> None:
    items = LateItems(capacity=2)
    for item_id in ("i1", "i2", "i3"):
        items.remember(make(item_id, A))
    assert sorted(ids(items, A)) == ["i2", "i3"]


def test_a_partition_that_went_is_forgotten() -> None:
    items = LateItems()
    items.remember(make("i1", A, partition=0))
    items.remember(make("i2", A, partition=1))
    items.forget_partitions([0])
    assert ids(items, A) == ["i2"]
