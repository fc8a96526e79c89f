"""The doctor's checks that need no broker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from encoders.errors import ArtifactError
from encoders.hub.settings import DescribeSettings, HubModel
from streams.doctor import machine, models
from streams.doctor.finding import Finding, Level, fail, ok, run_check, warn
from streams.doctor.plausible import check_settings
from streams.settings import Settings
from tests import tiny_models
from tests.model_server import Manner, serving


def settings(section: str = "app", **fields: Any) -> Settings:
    base = Settings()
    return replace(base, **{section: replace(getattr(base, section), **fields)})


class Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_a_finding_is_one_line_with_its_mend() -> None:
    assert str(ok("disk", "free")) == "OK   disk: free"
    assert str(warn("a", "b\n c", "do this")) == "WARN a: b c; do this"
    assert str(fail("a", "b", "do that")) == "FAIL a: b; do that"


def test_an_error_in_a_check_is_a_finding() -> None:
    def broken(_: Settings) -> Iterator[Finding]:
        yield ok("x", "so far")
        raise ZeroDivisionError("oh")

    found = list(run_check("x", broken, Settings()))
    assert [finding.level for finding in found] == [Level.OK, Level.FAIL]
    assert found[1].seen == "ZeroDivisionError: oh"


def test_the_defaults_look_right() -> None:
    assert [finding.level for finding in check_settings(Settings())] == [Level.OK]


@pytest.mark.parametrize(
    ("section", "fields", "level", "word"),
    [
        ("app", {"watchdog_seconds": 5.0}, Level.WARN, "app.watchdog_seconds"),
        ("app", {"drain_seconds": 120.0}, Level.WARN, "app.drain_seconds"),
        ("kafka", {"transaction_timeout_ms": 61_000}, Level.WARN, "kafka.transaction_timeout_ms"),
        ("fetch", {"file_roots": ("/none/such",)}, Level.FAIL, "/none/such"),
        ("fetch", {"schemes": ("https",), "file_roots": ("/",)}, Level.WARN, "fetch.schemes"),
        ("fetch", {"allow_private_addresses": True}, Level.WARN, "fetch.allow_private_addresses"),
        ("recommend", {"candidates": 5}, Level.WARN, "recommend.candidates"),
    ],
)
def test_settings_that_look_wrong(section: str, fields: dict[str, Any], level: Level, word: str) -> None:
    (finding,) = check_settings(settings(section, **fields))
    assert finding.level is level
    assert word in finding.seen
    assert finding.mend


def test_settings_that_look_alike_and_are_right(tmp_path: Path) -> None:
    assert next(check_settings(settings("fetch", file_roots=(str(tmp_path),)))).level is Level.OK
    named = settings("fetch", allow_private_addresses=True, hosts=("media.internal",))
    assert next(check_settings(named)).level is Level.OK


@pytest.mark.parametrize(
    ("free", "level"), [(10 * 1024**3, Level.OK), (2 * 1024**3, Level.WARN), (1024**2, Level.FAIL)]
)
def test_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(free))
    (finding,) = machine.check_disk(settings(data=str(tmp_path / "new")))
    assert finding.level is level
    assert list((tmp_path / "new").iterdir()) == []


def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    (finding,) = machine.check_disk(settings(data=str(tmp_path / "data")))
    assert finding.level is Level.FAIL
    assert "app.data" in finding.mend


def test_the_device() -> None:
    (finding,) = machine.check_device(settings("encoders", device="cpu"))
    assert (finding.level, finding.seen.split()[0]) == (Level.OK, "cpu")
    (finding,) = machine.check_device(settings("encoders", device="toaster"))
    assert finding.level is Level.FAIL
    assert "encoders.device" in finding.mend


class TestModels:
    @pytest.fixture(autouse=True)
    def fake_loaders(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        loaders: dict[str, Any] = {"text": lambda *_: np.ones((1, 7), np.float32)}
        monkeypatch.setattr(models, "_LOADERS", loaders)
        return loaders

    def test_what_loads(self) -> None:
        found = list(models.check_models(Settings()))
        assert [str(finding) for finding in found] == [
            "OK   encoder of text: use-multilingual, 7 numbers a vector",
            "OK   language: template",
            "OK   alignment: built in",
            "OK   interest model: built-in content prior",
        ]

    def test_what_does_not_load(self, fake_loaders: dict[str, Any]) -> None:
        def missing(*_: object) -> None:
            raise ArtifactError("the package is missing")

        fake_loaders["text"] = missing
        found = next(models.check_models(Settings()))
        assert found.level is Level.FAIL
        assert "the package is missing" in found.seen

    def test_numbers_that_are_none(self, fake_loaders: dict[str, Any]) -> None:
        fake_loaders["text"] = lambda *_: np.full((1, 7), np.nan, np.float32)
        assert next(models.check_models(Settings())).level is Level.FAIL

    @pytest.mark.parametrize(
        ("section", "key", "subject"),
        [("encoders", "alignment", "alignment"), ("model", "artifact", "interest model")],
    )
    def test_artifacts_that_are_not_there(self, tmp_path: Path, section: str, key: str, subject: str) -> None:
        wanted = settings(section, **{key: str(tmp_path / "none")})
        (finding,) = [each for each in models.check_models(wanted) if each.level is Level.FAIL]
        assert finding.subject == subject
        assert f"{section}.{key}" in finding.mend

    def test_slates_that_rest_on_what_the_model_has_not_learned(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(models, "_promoted", lambda _: None)
        wanted = settings("recommend", weights={"interest": 1.0, "liked": 0.2})
        (finding,) = [each for each in models.check_models(wanted) if each.level is Level.FAIL]
        assert "recommend.weights.liked: the model has not learned of likes" in str(finding)

    def test_slates_that_the_promoted_model_can_make(self, monkeypatch: pytest.MonkeyPatch) -> None:
        problems = iter(["recommend.weights.liked: not learned", ""])
        monkeypatch.setattr(models, "_slate_problem", lambda *_: next(problems))
        monkeypatch.setattr(models, "_promoted", lambda _: object())
        assert all(each.level is Level.OK for each in models.check_models(Settings()))

    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"backend": "http", "model": "m"}, "language.endpoint is ''"),
            ({"backend": "http", "endpoint": "http://127.0.0.1:9/v1"}, "language.model is empty"),
            ({"languages": ("xx",)}, "language.languages has 'xx'"),
        ],
    )
    def test_a_writer_that_cannot_be(self, fields: dict[str, Any], told: str) -> None:
        (finding,) = [
            each for each in models.check_models(settings("language", **fields)) if each.level is Level.FAIL
        ]
        assert told in str(finding)

    @pytest.mark.parametrize(
        ("manner", "level", "told"),
        [
            (lambda handler, _: handler.say_sentences("Likes music."), Level.OK, "answers in"),
            (lambda handler, _: handler.answer(401, b"no such key"), Level.FAIL, "HTTP 401: b'no such key'"),
            (lambda handler, _: handler.answer(503, b""), Level.FAIL, "HTTP 503"),
            (lambda handler, _: handler.say(None), Level.WARN, "an empty completion"),
            (lambda handler, _: handler.answer(429, b""), Level.WARN, "HTTP 429"),
            (lambda handler, _: handler.stall(), Level.WARN, "does not answer within 0.3 s"),
        ],
    )
    def test_a_language_service_is_asked_once(
        self, manner: Manner, level: Level, told: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(models, "ANSWER_SECONDS", 0.3 if "within" in told else 30.0)
        with serving(manner) as server:
            wanted = settings("language", backend="http", model="m", endpoint=server.url)
            (finding,) = [each for each in models.check_models(wanted) if each.subject == "language"]
        assert finding.level is level
        assert f"m at {server.url}" in finding.seen
        assert told in finding.seen
        assert len(server.asked) == 1

    def test_a_language_service_that_is_not_there(self) -> None:
        with serving(lambda *_: None) as server:
            pass
        wanted = settings("language", backend="http", model="m", endpoint=server.url)
        (finding,) = [each for each in models.check_models(wanted) if each.level is Level.FAIL]
        assert "unreachable" in finding.seen
        assert "language.endpoint" in finding.mend

    def test_no_writer_is_looked_at_where_nothing_is_described(self) -> None:
        wanted = replace(
            settings("language", backend="http"), describe=replace(Settings().describe, enabled=False)
        )
        assert all(each.level is Level.OK for each in models.check_models(wanted))


@pytest.mark.parametrize("modality", ["text", "image", "audio"])
def test_each_real_encoder_loads(modality: str) -> None:
    import torch

    vectors = models._LOADERS[modality](Settings(), torch.device("cpu"))
    assert vectors.shape[0] == 1
    assert np.isfinite(vectors).all()


def test_an_encoder_of_another_name_fails() -> None:
    found = list(models.check_models(settings("encoders", text="none")))
    assert (found[0].level, found[0].subject) == (Level.FAIL, "encoder of text")
    assert "use-multilingual" in found[0].seen


def own_models(**describe: str) -> Settings:
    names = {"text": "bert", "image": "vit", "audio": "ast", "video": "videomae"}
    own = {name: HubModel(model=str(tiny_models.tiny(name))) for name in names.values()}
    return settings("encoders", **names, models=own, describe=DescribeSettings(**describe))


def test_models_of_ones_own_are_loaded_too() -> None:
    found = [str(finding) for finding in models.check_models(own_models(sounds="ast"))]
    assert "OK   encoder of video: videomae, 32 numbers a vector" in found
    assert "OK   describers: ast" in found


def test_a_describer_that_does_not_load_fails() -> None:
    found = list(models.check_models(own_models(captions="vit")))
    (failed,) = [finding for finding in found if finding.level is Level.FAIL]
    assert failed.subject == "describers"
    assert "it writes no captions" in failed.seen
