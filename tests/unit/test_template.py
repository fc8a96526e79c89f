"""Descriptions by the template, in both languages."""

import msgspec
import pytest

from encoders.errors import LanguageError
from encoders.language.base import Description, Kind, Request, Scale, Statement, Trend
from encoders.language.grounding import grounded
from encoders.language.template import Template
from encoders.language.tongues import TONGUES
from tests.language_samples import (
    BIRDS,
    EVERYTHING,
    FOOD,
    PICTURES,
    PUMPKIN,
    SPORTS,
    TRAINS,
    VIDEOS,
    request,
)

USERS = [f"user-{number}" for number in range(40)]


def describe(wanted: Request) -> Description:
    (found,) = Template().write([wanted])
    assert isinstance(found, Description)
    return found


def test_english_prose() -> None:
    found = describe(request(BIRDS, TRAINS, PUMPKIN, PICTURES, VIDEOS, user="user-3"))
    assert "birds" in found.sentences[0].text
    assert found.sentences[0].cites == ("t1", "t2")
    assert all(sentence.text.endswith(".") for sentence in found.sentences)
    assert "“Pumpkin pie”" in found.summary
    assert found.tags == ("birds", "trains")
    assert found.language == "en"


def test_chinese_prose() -> None:
    found = describe(request(BIRDS, TRAINS, PUMPKIN, PICTURES, VIDEOS, language="zh"))
    assert "“birds”" in found.sentences[0].text
    assert "图片" in found.summary and "视频" in found.summary
    assert " " not in found.summary.replace("Pumpkin pie", "")
    assert all(sentence.text.endswith("。") for sentence in found.sentences)


@pytest.mark.parametrize("language", TONGUES)
def test_every_sentence_cites_and_passes_the_check(language: str) -> None:
    """Whatever wording a user gets, the check keeps it and finds at least the same statements."""
    template = Template(max_sentences=40)
    for user in USERS:
        wanted = request(language=language, user=user)
        (found,) = template.write([wanted])
        assert isinstance(found, Description)
        checked = grounded(wanted, found)
        assert checked.rejected == ()
        assert [one.text for one in checked.sentences] == [one.text for one in found.sentences]
        for before, after in zip(found.sentences, checked.sentences, strict=True):
            assert before.cites and set(before.cites) & set(after.cites)


@pytest.mark.parametrize("language", TONGUES)
def test_every_kind_is_told(language: str) -> None:
    (found,) = Template(max_sentences=40).write([request(language=language)])
    assert isinstance(found, Description)
    cited = {cite for sentence in found.sentences for cite in sentence.cites}
    kinds = {one.kind for one in EVERYTHING if one.id in cited}
    assert kinds == set(Kind) - {Kind.TREND}


def test_same_facts_same_words_for_a_user_and_others_for_others() -> None:
    assert describe(request()) == describe(request())
    assert len({describe(request(user=user)).sentences[0].text for user in USERS}) > 1


def test_a_fact_that_changes_changes_its_sentence_alone() -> None:
    before = describe(request(BIRDS, TRAINS, PUMPKIN))
    after = describe(request(BIRDS, TRAINS, msgspec.structs.replace(PUMPKIN, text="Cold rain")))
    changed = [one for one in zip(before.sentences, after.sentences, strict=True) if one[0] != one[1]]
    assert len(changed) == 1 and "Cold rain" in changed[0][1].text


def test_no_statements_no_sentences() -> None:
    assert describe(Request("user", "en", ())).sentences == ()


def test_negative_topics_are_never_called_liked() -> None:
    found = describe(request(SPORTS))
    assert found.tags == ()
    assert len(found.sentences) == 1
    assert not grounded(request(msgspec.structs.replace(SPORTS, weight=0.4)), found).sentences


def test_trend_statements_alone_are_told() -> None:
    rising = Statement("r1", Kind.TREND, "kites", trend=Trend.RISING, scale=Scale.TODAY)
    found = describe(request(BIRDS, rising))
    assert any("kites" in one.text and "r1" in one.cites for one in found.sentences)


def test_tags_that_are_words_of_the_language_are_quoted() -> None:
    wanted = request(msgspec.structs.replace(BIRDS, text="not"), msgspec.structs.replace(FOOD, text="top"))
    found = describe(wanted)
    assert "“not”" in found.sentences[0].text
    assert grounded(wanted, found).rejected == ()


def test_names_with_braces_are_names() -> None:
    found = describe(request(msgspec.structs.replace(BIRDS, text="{first} {0}")))
    assert "{first} {0}" in found.summary


def test_an_unknown_language_is_an_error() -> None:
    (found,) = Template().write([request(language="tlh")])
    assert isinstance(found, LanguageError) and found.reason == "language"


def test_at_most_so_many_sentences() -> None:
    (found,) = Template(max_sentences=3).write([request()])
    assert isinstance(found, Description) and len(found.sentences) == 3
