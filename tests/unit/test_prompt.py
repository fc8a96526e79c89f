"""Statements as prompts, and answers as sentences."""

import pytest

from encoders.errors import LanguageError
from encoders.language.answers import sentences_of, split_sentences
from encoders.language.base import Description, Kind, Sentence
from encoders.language.grounding import grounded
from encoders.language.prompt import CLUSTERS, cluster_messages, clusters, whole_messages
from encoders.language.tongues import TONGUES
from tests.language_samples import EVERYTHING, SPORTS, request


@pytest.mark.parametrize("language", TONGUES)
def test_every_kind_of_fact_is_in_some_cluster(language: str) -> None:
    found = clusters(request(language=language))
    assert [one.name for one in found] == [name for name, _ in CLUSTERS]
    told = {statement.kind for one in found for statement in one.statements}
    assert told == set(Kind) - {Kind.TREND, Kind.KEYWORD}


@pytest.mark.parametrize("language", TONGUES)
def test_a_prompt_has_three_examples_and_then_the_facts(language: str) -> None:
    for cluster in clusters(request(language=language)):
        messages = cluster_messages(cluster, language)
        assert [turn.role for turn in messages] == ["system", *["user", "assistant"] * 3, "user"]
        names = [one.text for one in cluster.statements if one.kind not in (Kind.MODALITY, Kind.TIME)]
        assert all(name in messages[-1].content for name in names)


@pytest.mark.parametrize("language", TONGUES)
def test_likes_and_dislikes_are_never_in_one_fact(language: str) -> None:
    by_name = {one.name: one for one in clusters(request(language=language))}
    assert SPORTS in by_name["averse"].statements
    assert SPORTS not in by_name["likes"].statements


@pytest.mark.parametrize("language", TONGUES)
def test_a_whole_prompt_names_every_fact_by_its_id(language: str) -> None:
    messages = whole_messages(request(language=language), 5)
    assert "{most}" not in messages[0].content and "5" in messages[0].content
    assert all(f"[{one.id}]" in messages[-1].content for one in EVERYTHING)


@pytest.mark.parametrize("language", TONGUES)
def test_the_example_of_a_whole_prompt_is_an_answer(language: str) -> None:
    """What the model is shown is what the reader of answers understands, ids and all."""
    messages = whole_messages(request(language=language), 5)
    found = sentences_of(messages[2].content)
    assert len(found) >= 4
    for sentence in found:
        assert sentence.cites and all(f"[{cite}]" in messages[1].content for cite in sentence.cites)


@pytest.mark.parametrize("language", TONGUES)
def test_no_prompt_says_who_the_user_is(language: str) -> None:
    wanted = request(language=language, user="someone-in-particular")
    texts = [turn.content for turn in whole_messages(wanted, 5)]
    for cluster in clusters(wanted):
        texts += [turn.content for turn in cluster_messages(cluster, language)]
    assert not any("someone-in-particular" in text for text in texts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("They like birds. They like trains.", ["They like birds.", "They like trains."]),
        ("They liked “A robin.” They like trains.", ["They liked “A robin.”", "They like trains."]),
        ("- one\n* two\n3. three\n4) four", ["one", "two", "three", "four"]),
        ("喜欢鸟。喜欢火车！", ["喜欢鸟。", "喜欢火车！"]),
        ("喜欢过“你好。”也喜欢鸟。", ["喜欢过“你好。”也喜欢鸟。"]),
        ("They liked “Shin. Put in”. They like birds.", ["They liked “Shin. Put in”.", "They like birds."]),
        ("They liked “Shin. They like birds.", ["They liked “Shin.", "They like birds."]),
        ("e.g. birds", ["e.g. birds"]),
        ("...", []),
    ],
)
def test_sentences_are_told_apart(text: str, parts: list[str]) -> None:
    assert split_sentences(text) == parts


def test_an_empty_answer_is_malformed() -> None:
    for answer in ("", "   ", "{}", "[]", "<think>on and on", "```\n```"):
        with pytest.raises(LanguageError, match="malformed"):
            sentences_of(answer)


def test_what_a_model_cites_is_kept_for_the_check_to_find_anew() -> None:
    (found,) = sentences_of('{"sentences": [{"text": "They like birds.", "cites": ["t1", 5]}]}')
    assert found == Sentence("They like birds.", ("t1",))
    description = Description((found,), (), (), "model", "en")
    assert grounded(request(), description).sentences[0].cites == ("t1",)
