"""Items from files and folders: what is read, and how what is wrong is told."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import InputError
from streams.item_sources import Bad, Entry, Found, Skipped, open_source
from streams.media_folder import LONGEST_DESCRIPTION, LONGEST_TITLE, plain_words
from streams.records import Item, MediaReference


def read(path: Path, content: str | bytes | None = None) -> list[Entry]:
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(open_source(path))


def items(entries: list[Entry]) -> list[Item]:
    assert all(isinstance(entry, Found) for entry in entries), entries
    return [entry.item for entry in entries if isinstance(entry, Found)]


def only_problem(entries: list[Entry]) -> str:
    (bad,) = [entry for entry in entries if isinstance(entry, Bad)]
    return f"{bad.where}: {bad.problem}"


class TestJsonLines:
    def test_items_in_order_with_their_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "items.jsonl"
        entries = read(path, '{"item_id":"a","title":"A","new":1}\n\n{"item_id":"b","tags":["x"]}')
        assert items(entries) == [Item("a", title="A"), Item("b", tags=["x"])]
        assert [entry.where for entry in entries] == [f"{path}:1", f"{path}:3"]
        assert entries[-1].position == open_source(path).total

    @pytest.mark.parametrize(
        ("line", "word"),
        [
            ("{", "JSON"),
            ("[]", "object"),
            ('{"title":"A"}', "item_id"),
            ('{"item_id":""}', "length"),
            ('{"item_id":"a","published_at":"yesterday"}', "published_at"),
            ('{"item_id":"a","media":[{}]}', "exactly one of"),
            ('{"item_id":"a","media":[{"text":"x","uri":"data:,x"}]}', "exactly one of"),
            ('{"item_id":"a","media":[{"uri":"none.jpg"}]}', "no such file"),
            ('{"item_id":"a","media":[{"modality":"smell","text":"x"}]}', "modality"),
            ('{"item_id":"a","x":' + "[" * 100_000, "not JSON"),
        ],
    )
    def test_a_bad_line_is_told_and_the_rest_goes_on(self, tmp_path: Path, line: str, word: str) -> None:
        path = tmp_path / "items.jsonl"
        entries = read(path, f'{{"item_id":"a"}}\n{line}\n{{"item_id":"b"}}\n')
        assert only_problem(entries).startswith(f"{path}:2: ")
        assert word in only_problem(entries)
        assert items([entries[0], entries[2]]) == [Item("a"), Item("b")]

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        entries = read(tmp_path / "items.jsonl", b'{"item_id":"\xff"}\n{"item_id":"b"}\n')
        assert isinstance(entries[0], Bad)
        assert isinstance(entries[1], Found)

    def test_paths_are_taken_from_the_files_folder(self, tmp_path: Path) -> None:
        picture = tmp_path / "a picture.png"
        picture.write_bytes(b"x")
        line = '{"item_id":"a","media":[{"uri":"a picture.png"},{"uri":"https://h/x.png"},{"text":"t"}]}'
        (item,) = items(read(tmp_path / "items.jsonl", line))
        assert item.media[0].uri == picture.resolve().as_uri()
        assert item.media[1:] == [MediaReference(uri="https://h/x.png"), MediaReference(text="t")]

    @given(st.binary(max_size=300))
    def test_whatever_the_bytes_are_it_reads_to_the_end(
        self, tmp_path_factory: pytest.TempPathFactory, content: bytes
    ) -> None:
        path = tmp_path_factory.mktemp("any") / "items.jsonl"
        entries = read(path, content)
        assert all(isinstance(entry, Bad | Found) for entry in entries)
        assert len(entries) == sum(bool(line.strip()) for line in content.split(b"\n"))


class TestTables:
    HEAD = "item_id,title,tags,media,available,price,colour\n"

    def test_lists_attributes_and_empty_cells(self, tmp_path: Path) -> None:
        row = 'a,"A, the first",x | y,https://h/1.png|https://h/2.png,no,2.50,red\n'
        entries = read(tmp_path / "items.csv", f"{self.HEAD}{row}b,,,,,,\n")
        first, second = items(entries)
        assert first.title == "A, the first"
        assert first.tags == ["x", "y"]
        assert first.media == [MediaReference(uri=f"https://h/{number}.png") for number in (1, 2)]
        assert first.available is False
        assert first.attributes == {"price": 2.5, "colour": "red"}
        assert second == Item("b")

    def test_tabs_and_a_byte_order_mark(self, tmp_path: Path) -> None:
        content = "item_id\ttitle\nprvn\tPrvn\u00ed\n".encode("utf-8-sig")
        (item,) = items(read(tmp_path / "items.tsv", content))
        assert item == Item("prvn", title="Prvn\u00ed")

    def test_a_cell_may_have_several_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "items.csv"
        entries = read(path, 'item_id,title\na,"two\nlines"\nb,x\n')
        assert [item.title for item in items(entries)] == ["two\nlines", "x"]
        assert [entry.where for entry in entries] == [f"{path}:2", f"{path}:4"]

    @pytest.mark.parametrize(
        ("row", "word"),
        [
            ("a,b", "2 cells"),
            (",t,,,,,", "length"),
            ("a,t,,,maybe,,", "available"),
            ('a,"t"x,,,,,', "expected after"),
            ("a,t,,none.png,,,", "no such file"),
        ],
    )
    def test_a_bad_row_is_told_and_the_rest_goes_on(self, tmp_path: Path, row: str, word: str) -> None:
        path = tmp_path / "items.csv"
        entries = read(path, f"{self.HEAD}{row}\nb,,,,,,\n")
        assert only_problem(entries).startswith(f"{path}:2: ")
        assert word in only_problem(entries)
        assert items(entries[1:]) == [Item("b")]

    def test_bytes_that_are_no_text_spoil_their_row_alone(self, tmp_path: Path) -> None:
        entries = read(tmp_path / "items.csv", b"item_id,title\na,\xff\nb,x\n")
        assert [type(entry) for entry in entries] == [Bad, Found]

    @pytest.mark.parametrize("content", ["", "title\nA\n", "item_id,item_id\na,b\n"])
    def test_a_head_line_without_which_nothing_can_be_read(self, tmp_path: Path, content: str) -> None:
        with pytest.raises(InputError, match=r"items\.csv:1"):
            read(tmp_path / "items.csv", content)

    @pytest.mark.parametrize(
        ("cell", "value"),
        [("1", 1.0), ("-2.5e3", -2500.0), ("nan", "nan"), ("inf", "inf"), ("true", True), ("x", "x")],
    )
    def test_kinds_of_attributes(self, tmp_path: Path, cell: str, value: object) -> None:
        (item,) = items(read(tmp_path / "items.csv", f"item_id,x\na,{cell}\n"))
        assert item.attributes == {"x": value}


class TestFolders:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        files = {
            "cats/snow_leopard.png": b"p",
            "cats/snow_leopard.txt": b"\n# Snow leopard at night\nIt lives high up.\nIt hides.\n",
            "cats/snow_leopard.ogg": b"s",
            "cats/house-cat.JPG": b"p",
            "birds/far/owl.mp4": b"v",
            "loose.txt": b"Only words",
            "cats/list.xlsx": b"?",
            ".hidden/x.png": b"p",
            "cats/.thumb.png": b"p",
        }
        for name, content in files.items():
            path = tmp_path / "media" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / "media"

    def test_files_of_one_stem_are_one_item(self, folder: Path) -> None:
        entries = read(folder)
        found = {entry.item.item_id: entry.item for entry in entries if isinstance(entry, Found)}
        assert set(found) == {"loose", "birds/far/owl", "cats/house-cat", "cats/snow_leopard"}
        assert found["cats/snow_leopard"] == Item(
            "cats/snow_leopard",
            title="Snow leopard at night",
            description="It lives high up.\nIt hides.",
            categories=["cats"],
            media=[
                MediaReference(modality="audio", uri=(folder / "cats/snow_leopard.ogg").resolve().as_uri()),
                MediaReference(modality="image", uri=(folder / "cats/snow_leopard.png").resolve().as_uri()),
            ],
        )
        assert found["cats/house-cat"].title == "House cat"
        assert found["birds/far/owl"].categories == ["far"]
        assert found["birds/far/owl"].media[0].modality == "video"
        assert found["loose"] == Item("loose", title="Only words")

    def test_other_files_are_skipped_and_counted(self, folder: Path) -> None:
        source = open_source(folder)
        entries = list(source)
        skipped = [entry.where for entry in entries if isinstance(entry, Skipped)]
        assert skipped == [str((folder / "cats/list.xlsx").resolve())]
        assert max(entry.position for entry in entries) == source.total == 7

    def test_the_order_is_the_same_each_time(self, folder: Path) -> None:
        assert read(folder) == read(folder)

    def test_a_text_that_is_no_text(self, folder: Path) -> None:
        (folder / "loose.txt").write_bytes(b"\xff\xff")
        assert only_problem(read(folder)).startswith(str((folder / "loose").resolve()))

    def test_long_texts_are_cut(self, folder: Path) -> None:
        (folder / "loose.txt").write_text("t" * 300 + "\n" + "d" * 50_000)
        (item,) = [e.item for e in read(folder) if isinstance(e, Found) and e.item.item_id == "loose"]
        assert len(item.title) == LONGEST_TITLE
        assert 0 < len(item.description) <= LONGEST_DESCRIPTION

    def test_an_id_that_is_too_long(self, tmp_path: Path) -> None:
        folder = tmp_path.joinpath(*["long" * 30] * 5)
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(b"x")
        assert "512" in only_problem(read(tmp_path))

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="empty"):
            open_source(tmp_path)


@pytest.mark.parametrize(
    ("stem", "words"),
    [("snow_leopard-02", "Snow leopard 02"), ("IMG", "IMG"), ("--", ""), ("élan", "Élan")],
)
def test_plain_words(stem: str, words: str) -> None:
    assert plain_words(stem) == words


@pytest.mark.parametrize("name", ["none", "none.jsonl"])
def test_a_path_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        open_source(tmp_path / name)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "items.xml").write_text("x")
    with pytest.raises(InputError, match=r"\.csv"):
        open_source(tmp_path / "items.xml")
