"""Descriptions by a service over HTTP, against a real server on this machine."""

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest

from encoders.errors import LANGUAGE_REASONS, ArtifactError, LanguageError
from encoders.language.base import Description
from encoders.language.endpoint import Endpoint
from encoders.language.settings import LanguageSettings
from tests.language_samples import EVERYTHING, request
from tests.model_server import FakeModelServer, Handler, Manner, serving

QUICK = LanguageSettings(
    backend="http", model="some-model", timeout_seconds=20.0, connect_timeout_seconds=5.0, retries=2
)


@contextlib.contextmanager
def asking(manner: Manner, **changes: Any) -> Iterator[tuple[Endpoint, FakeModelServer]]:
    with serving(manner) as server:
        endpoint = Endpoint(msgspec.structs.replace(QUICK, endpoint=server.url, **changes), lambda: 0.0)
        try:
            yield endpoint, server
        finally:
            endpoint.close()


def outcome(manner: Manner, **changes: Any) -> Description | LanguageError:
    with asking(manner, **changes) as (endpoint, _):
        (found,) = endpoint.write([request()])
    return found


def reason(manner: Manner, **changes: Any) -> str:
    found = outcome(manner, **changes)
    assert isinstance(found, LanguageError)
    assert found.reason in LANGUAGE_REASONS
    return found.reason


def test_a_description_and_what_was_asked_for_it() -> None:
    with asking(lambda page, _: page.say_sentences("They like birds.")) as (endpoint, server):
        (found,) = endpoint.write([request()])
    assert isinstance(found, Description)
    assert [one.text for one in found.sentences] == ["They like birds."]
    assert found.model == "some-model" and found.tags[0] == "birds"
    assert server.paths == ["/v1/chat/completions"]
    asked = server.asked[0]
    assert asked["model"] == "some-model" and asked["temperature"] == 0 and asked["stream"] is False
    assert "user-1" not in json.dumps(asked), "the user's id is nothing that a model needs"
    facts = asked["messages"][-1]["content"]
    assert all(f"[{one.id}]" in facts for one in EVERYTHING)


def test_the_schema_allows_citations_of_facts_alone() -> None:
    with asking(lambda page, _: page.say_sentences("They like birds.")) as (endpoint, server):
        endpoint.write([request()])
    schema = server.asked[0]["response_format"]["json_schema"]["schema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    good = {"sentences": [{"text": "They like birds.", "cites": ["t1"]}]}
    jsonschema.validate(good, schema)
    good["sentences"][0]["cites"] = ["x1"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(good, schema)


def test_chinese_is_asked_for_in_chinese() -> None:
    with asking(lambda page, _: page.say_sentences("喜欢“birds”。")) as (endpoint, server):
        (found,) = endpoint.write([request(language="zh")])
    assert isinstance(found, Description) and found.language == "zh"
    assert "中文" in server.asked[0]["messages"][0]["content"]


def test_many_requests_come_back_in_their_order() -> None:
    def manner(page: Handler, asked: dict[str, Any]) -> None:
        page.say_sentences(asked["messages"][-1]["content"].splitlines()[0])

    users = [request(msgspec.structs.replace(EVERYTHING[0], text=f"topic {number}")) for number in range(12)]
    with asking(manner, concurrency=4) as (endpoint, _):
        found = endpoint.write(users)
    for number, one in enumerate(found):
        assert isinstance(one, Description)
        assert f"topic {number} " in f"{one.sentences[0].text} ".replace(" (", " ")


def test_a_service_without_schemas_is_asked_without() -> None:
    def manner(page: Handler, asked: dict[str, Any]) -> None:
        if "response_format" in asked:
            page.answer(400, b'{"error": "response_format is not supported"}')
        else:
            page.say("- They like birds.\n- They like trains.")

    with asking(manner) as (endpoint, server):
        (first,) = endpoint.write([request()])
        endpoint.write([request()])
    assert isinstance(first, Description) and len(first.sentences) == 2
    assert ["response_format" in asked for asked in server.asked] == [True, False, False]


@pytest.mark.parametrize(
    "content",
    [
        'Sure! {"sentences": [{"text": "They like birds."}]} Hope it helps.',
        '```json\n{"sentences": ["They like birds."]}\n```',
        '[{"text": "They like birds.", "cites": "t1"}]',
        '{"summary": "They like birds."}',
        "<think>what do they like?</think>They like birds.",
        '{"sentences": [{"text": "They like birds.", "cites": ["t1"]}, {"text": "They li',
        "1. They like birds.",
    ],
)
def test_answers_of_many_forms_are_read(content: str) -> None:
    found = outcome(lambda page, _: page.say(content))
    assert isinstance(found, Description)
    assert [one.text for one in found.sentences] == ["They like birds."]


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_what_may_pass_is_tried_again(status: int) -> None:
    def manner(page: Handler, _: dict[str, Any]) -> None:
        if len(page.server.asked) < 3:
            page.answer(status, b"later")
        else:
            page.say_sentences("They like birds.")

    with asking(manner) as (endpoint, server):
        (found,) = endpoint.write([request()])
    assert isinstance(found, Description)
    assert len(server.asked) == 3


@pytest.mark.parametrize(("status", "named"), [(500, "server"), (503, "server"), (429, "busy")])
def test_what_does_not_pass_is_an_error_after_all_tries(status: int, named: str) -> None:
    with asking(lambda page, _: page.answer(status, b"no")) as (endpoint, server):
        (found,) = endpoint.write([request()])
    assert isinstance(found, LanguageError) and found.reason == named
    assert len(server.asked) == QUICK.retries + 1


@pytest.mark.parametrize("status", [401, 403, 404, 301, 307])
def test_a_refusal_is_not_asked_again(status: int) -> None:
    with asking(lambda page, _: page.answer(status, b"no", Location="/elsewhere")) as (endpoint, server):
        (found,) = endpoint.write([request()])
    assert isinstance(found, LanguageError) and found.reason == "refused"
    assert len(server.asked) == 1


def test_a_stalled_service_ends_in_time() -> None:
    assert reason(lambda page, _: page.stall(), timeout_seconds=0.3) == "timeout"


def test_a_service_that_drips_its_body_ends_in_time() -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    assert reason(lambda page, _: page.drip(head, b" "), timeout_seconds=0.3) == "timeout"


def test_a_service_that_drips_its_headers_ends_in_time() -> None:
    assert reason(lambda page, _: page.drip(b"HTTP/1.1 200 OK\r\n", b"x"), timeout_seconds=0.3) == "timeout"


def test_a_wish_to_wait_beyond_the_deadline_ends_at_once() -> None:
    with asking(lambda page, _: page.answer(429, b"", Retry_After="3600")) as (endpoint, server):
        (found,) = endpoint.write([request()])
    assert isinstance(found, LanguageError) and found.reason == "busy"
    assert len(server.asked) == 1


def test_a_huge_answer_is_cut_off() -> None:
    assert reason(lambda page, _: page.answer(200, b" " * 3_000_000)) == "too_large"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[1, 2]",
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": null}}]}',
        b'{"choices": [{"message": {"content": 5}}]}',
        b'{"choices": [{"message": {"content": "  "}}]}',
        b'{"choices": [{"message": {"content": "{}"}}]}',
        b'{"choices": [{"message": {"content": "{\\"sentences\\": 3}"}}]}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_description_is_malformed(body: bytes) -> None:
    assert reason(lambda page, _: page.answer(200, body)) == "malformed"


def test_an_answer_cut_off_is_an_error() -> None:
    def manner(page: Handler, _: dict[str, Any]) -> None:
        page.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
        page.close_connection = True

    assert reason(manner, retries=0) == "server"


def test_nobody_listens() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    settings = msgspec.structs.replace(QUICK, endpoint=f"http://127.0.0.1:{port}/v1", retries=1)
    endpoint = Endpoint(settings, lambda: 0.0)
    (found,) = endpoint.write([request()])
    endpoint.close()
    assert isinstance(found, LanguageError) and found.reason == "unreachable"


def test_one_failure_takes_no_other_request_with_it() -> None:
    def manner(page: Handler, asked: dict[str, Any]) -> None:
        if "kites" in asked["messages"][-1]["content"]:
            page.answer(404, b"no")
        else:
            page.say_sentences("They like birds.")

    kites = request(msgspec.structs.replace(EVERYTHING[0], text="kites"))
    with asking(manner) as (endpoint, _):
        first, second, third = endpoint.write([request(), kites, request()])
    assert isinstance(first, Description) and isinstance(third, Description)
    assert isinstance(second, LanguageError)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "abc")
    with asking(lambda page, _: page.say_sentences("x"), api_key_env="SOME_KEY") as (endpoint, server):
        endpoint.write([request()])
    assert server.keys == ["Bearer abc"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model": ""}, "language.model"),
        ({"endpoint": ""}, "language.endpoint"),
        ({"endpoint": "ftp://host/v1"}, "language.endpoint"),
        ({"endpoint": "http://user:secret@host/v1"}, "language.api_key_env"),
        ({"api_key_env": "NO_SUCH_VARIABLE_HERE"}, "language.api_key_env"),
    ],
)
def test_settings_that_reach_nothing_are_refused(changes: dict[str, Any], named: str) -> None:
    settings = msgspec.structs.replace(QUICK, **{"endpoint": "http://127.0.0.1:1/v1", **changes})
    with pytest.raises(ArtifactError, match=named) as caught:
        Endpoint(settings)
    assert "secret" not in str(caught.value)
