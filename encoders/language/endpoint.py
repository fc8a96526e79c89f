"""A language model behind an OpenAI-compatible HTTP service: vLLM, llama.cpp, Ollama and others."""

import os
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec

from encoders.errors import ArtifactError, LanguageError
from encoders.language import prompt
from encoders.language.answers import sentences_of
from encoders.language.base import Description, Request
from encoders.language.posting import Passing, Poster
from encoders.language.settings import LanguageSettings
from encoders.language.tags import keywords_of, tags_of

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
UNKNOWN_FORMAT = (400, 422, 501)
"""What services answer that do not know `response_format`."""

Chance = Callable[[], float]


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    choices: list[_Choice]


class Endpoint:
    """Asks for one description a call, several calls at a time. Raises ArtifactError for settings that no
    service can be reached by."""

    def __init__(self, settings: LanguageSettings, chance: Chance = random.random) -> None:
        self._settings = settings
        self._chance = chance
        self._url = _checked(settings)
        self._poster = Poster(settings, _key(settings))
        self._threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="language")
        self._schema = settings.json_schema
        self.name = settings.model
        self.version = (
            f"{settings.model} {prompt.VERSION} {settings.max_new_tokens} {settings.temperature} "
            f"{settings.max_sentences}"
        )

    def write(self, requests: Sequence[Request]) -> list[Description | LanguageError]:
        """A description or a typed error per request, within `timeout_seconds` times the rounds of
        `concurrency` calls that they take."""
        return list(self._threads.map(self._one, requests))

    def close(self) -> None:
        """Closes the connections; a call under way ends by its own deadline."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._poster.close()

    def _one(self, request: Request) -> Description | LanguageError:
        if not request.statements:
            return Description((), (), (), self.name, request.language)
        try:
            sentences = sentences_of(self._answer(request))
        except LanguageError as error:
            return error
        return Description(
            sentences=sentences,
            keywords=keywords_of(request.statements),
            tags=tags_of(request.statements),
            model=self.name,
            language=request.language,
        )

    def _answer(self, request: Request) -> str:
        deadline = time.monotonic() + self._settings.timeout_seconds
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(self._settings.retries + 1):
            try:
                return self._asked(request, deadline)
            except Passing as failure:
                wait = max(pause * (0.5 + self._chance()), failure.wait_seconds)
                late = time.monotonic() + wait >= deadline
                if attempt == self._settings.retries or late:
                    raise failure.error from failure
                time.sleep(wait)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _asked(self, request: Request, deadline: float) -> str:
        """One try; a second one without a schema where the service refuses it, and never with it again."""
        with_schema = self._schema
        status, body = self._poster.post(self._url, self._body(request, with_schema), deadline)
        if with_schema and status in UNKNOWN_FORMAT:
            status, body = self._poster.post(self._url, self._body(request, False), deadline)
            if status == 200:
                self._schema = False
        if status != 200:
            raise LanguageError("refused", f"HTTP {status}: {body[:200]!r}")
        return _content(body)

    def _body(self, request: Request, with_schema: bool) -> bytes:
        most = self._settings.max_sentences
        asked: dict[str, Any] = {
            "model": self._settings.model,
            "messages": [turn._asdict() for turn in prompt.whole_messages(request, most)],
            "max_tokens": self._settings.max_new_tokens,
            "temperature": self._settings.temperature,
            "stream": False,
        }
        if with_schema:
            schema = prompt.answer_schema(request, most)
            named = {"name": "description", "schema": schema, "strict": True}
            asked["response_format"] = {"type": "json_schema", "json_schema": named}
        return msgspec.json.encode(asked)


def _content(body: bytes) -> str:
    try:
        choices = msgspec.json.decode(body, type=_Completion).choices
    except (msgspec.DecodeError, RecursionError) as error:
        raise LanguageError("malformed", f"no completion: {error}") from error
    content = choices[0].message.content if choices else None
    if not content or not content.strip():
        raise LanguageError("malformed", "an empty completion")
    return content


def _checked(settings: LanguageSettings) -> httpx.URL:
    if not settings.model:
        raise ArtifactError("language.model is empty: name the model that language.endpoint serves")
    try:
        url = httpx.URL(settings.endpoint.rstrip("/") + "/chat/completions")
    except (httpx.InvalidURL, ValueError) as error:
        raise ArtifactError(f"language.endpoint is no address: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ArtifactError(
            f"language.endpoint is '{settings.endpoint}': give an address such as http://127.0.0.1:8000/v1"
        )
    if url.userinfo:
        raise ArtifactError("language.endpoint holds a password: name a variable in language.api_key_env")
    return url


def _key(settings: LanguageSettings) -> str:
    if not settings.api_key_env:
        return ""
    key = os.environ.get(settings.api_key_env, "")
    if not key.isascii() or not key.isprintable() or not key:
        raise ArtifactError(
            f"language.api_key_env names {settings.api_key_env}, which holds no key: set that variable"
        )
    return key
