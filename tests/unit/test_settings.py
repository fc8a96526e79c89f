"""Settings: the example names every key with its default, the environment wins, and errors name the mend."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from streams.errors import SettingsError
from streams.settings import Settings, load_settings

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "penchant.toml"


def keys(table: object, prefix: str = "") -> Iterator[str]:
    """Dotted keys of all leaves; an empty table is a leaf."""
    if isinstance(table, dict) and table:
        for key, value in table.items():
            yield from keys(value, f"{prefix}.{key}".lstrip("."))
    else:
        yield prefix


def load(tmp_path: Path, text: str = "", **environment: str) -> Settings:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return load_settings(path, {f"PENCHANT_{key}": value for key, value in environment.items()})


def test_the_example_equals_the_defaults() -> None:
    assert load_settings(EXAMPLE, {}) == Settings()


def test_the_example_names_every_key() -> None:
    assert set(keys(tomllib.loads(EXAMPLE.read_text()))) == set(keys(msgspec.to_builtins(Settings())))


def test_the_commented_lines_of_the_example_are_good_settings() -> None:
    text = re.sub(r'^# (?=["a-z_.]+ = )', "", EXAMPLE.read_text(), flags=re.MULTILINE)
    tables = tomllib.loads(text)
    assert tables["actions"] and tables["kafka"]["client"]
    msgspec.convert(tables, Settings)


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(None, {}) == Settings()


def test_a_file_in_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "penchant.toml").write_text("[metrics]\nport = 1234\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings(None, {}).metrics.port == 1234


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, "[metrics]\nport = 1\nhost = 'h'\n", METRICS__PORT="2", LOG__LEVEL="debug")
    assert (settings.metrics.host, settings.metrics.port, settings.log.level) == ("h", 2, "debug")


@pytest.mark.parametrize(
    ("variable", "value", "attribute", "expected"),
    [
        ("FETCH__FILE_ROOTS", '["/a", "/b"]', "fetch.file_roots", ("/a", "/b")),
        ("FETCH__ALLOW_PRIVATE_ADDRESSES", "true", "fetch.allow_private_addresses", True),
        ("APP__WATCHDOG_SECONDS", "2.5", "app.watchdog_seconds", 2.5),
        ("KAFKA__CLIENT", '{"a.b": 1}', "kafka.client", {"a.b": 1}),
        ("KAFKA__CLIENT__SASL_PASSWORD", "[x", "kafka.client", {"sasl.password": "[x"}),
        ("ACTIONS__THUMBS_UP", "like", "actions", {"thumbs_up": "like"}),
        ("KAFKA__BOOTSTRAP_SERVERS", "[::1]:9092", "kafka.bootstrap_servers", "[::1]:9092"),
    ],
)
def test_kinds_of_values_in_the_environment(
    tmp_path: Path, variable: str, value: str, attribute: str, expected: object
) -> None:
    found: object = load(tmp_path, **{variable: value})
    for part in attribute.split("."):
        found = getattr(found, part)
    assert found == expected


def test_other_variables_are_no_settings(tmp_path: Path) -> None:
    assert load_settings(None, {"PENCHANT_CONFIG": "x", "PENCHANTS__X": "y", "HOME": "/"}) == Settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[kafka]\nbootstrap_server = 'a'", ["kafka.bootstrap_server:", "did you mean bootstrap_servers?"]),
        ("[kafk]\na = 1", ["kafk:", "did you mean kafka?"]),
        ("[recommend]\nzzzz = 1", ["recommend.zzzz:", "top_k"]),
        ("[metrics]\nport = 70000", ["metrics.port:", "65535", "PENCHANT_METRICS__PORT"]),
        ("[metrics]\nport = 'x'", ["metrics.port:", "int"]),
        ("[log]\nformat = 'xml'", ["log.format:", "human, json"]),
        ("[app]\nname = 'a b'", ["app.name:"]),
        ("[app]\ndrain_seconds = 0", ["app.drain_seconds:"]),
        ("[topics]\npartitions = 0", ["topics.partitions:"]),
        ("[topics]\nitems = 'interests'", ["topics.interests:", "topics.items"]),
        ("[kafka]\nsession_timeout_ms = 90000", ["kafka.session_timeout_ms:", "max_poll_interval_ms"]),
        ("[actions]\nup = 'lke'", ["actions.up:", "like"]),
        ("[fetch]\nfile_roots = '/a'", ["fetch.file_roots:", "array"]),
        ("kafka = 3", ["kafka:"]),
        ("a = ", ["not valid TOML"]),
    ],
)
def test_an_error_names_the_key_and_the_mend(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value).strip()


def test_a_variable_below_what_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="kafka: must be a table"):
        load(tmp_path, "kafka = 3", KAFKA__COMPRESSION="none")


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such settings file"):
        load_settings(tmp_path / "none.toml", {})


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path, {})


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not valid TOML"):
        load_settings(path, {})


def test_variables_reach_into_tables(tmp_path: Path) -> None:
    settings = load(
        tmp_path, ENCODERS__MODELS__E5__MODEL="/srv/e5", ENCODERS__MODELS__E5__DIMENSIONS="64",
        ENCODERS__DESCRIBE__CAPTIONS="blip",
    )  # fmt: skip
    assert (settings.encoders.models["e5"].model, settings.encoders.models["e5"].dimensions) == (
        "/srv/e5",
        64,
    )
    assert settings.encoders.describe.captions == "blip"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trust_remote_code = true", "encoders.models.<name>.trust_remote_code: no such setting"),
        ("poling = 'cls'", "did you mean pooling?"),
        ("pooling = 'middle'", "encoders.models.<name>.pooling: .*auto, mean, cls, last, max"),
        ("dimensions = -1", "PENCHANT_ENCODERS__MODELS__<NAME>__DIMENSIONS"),
    ],
)
def test_errors_in_a_table_of_free_keys_name_the_setting(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(tmp_path, f"[encoders.models.own]\nmodel = 'x'\n{line}\n")
