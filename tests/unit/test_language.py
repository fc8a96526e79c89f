"""Languages are told where the text speaks for one, and not guessed where it does not."""

import pytest

from encoders.errors import ArtifactError
from encoders.media.language import UNDETERMINED, detect_language

SENTENCES = {
    "en": "The children are playing with a small dog in the garden.",
    "de": "Die Kinder spielen mit einem kleinen Hund im Garten.",
    "fr": "Les enfants jouent avec un petit chien dans le jardin.",
    "es": "Los niños juegan con un perro pequeño en el jardín.",
    "pl": "Dzieci bawią się z małym psem w ogrodzie.",
    "ru": "Дети играют с маленькой собакой в саду.",
    "el": "Τα παιδιά παίζουν με ένα μικρό σκύλο στον κήπο.",
    "ar": "يلعب الأطفال مع كلب صغير في الحديقة.",
    "hi": "बच्चे बगीचे में एक छोटे कुत्ते के साथ खेल रहे हैं।",
    "th": "เด็กๆ กำลังเล่นกับสุนัขตัวเล็กในสวน",
    "zh": "孩子们在花园里和一只小狗玩耍。",
    "ja": "子供たちは庭で小さな犬と遊んでいます。",
    "ko": "아이들이 정원에서 작은 개와 놀고 있습니다.",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_sentences(code: str) -> None:
    found = detect_language(SENTENCES[code])
    assert found.code == code
    assert 0.4 <= found.confidence <= 1.0


@pytest.mark.parametrize("text", ["", "  ", "12:30, 4.50 €", "🦄🔥", "OK"])
def test_what_speaks_for_no_language(text: str) -> None:
    assert detect_language(text).code == UNDETERMINED


def test_among_few_a_short_text_is_told() -> None:
    assert detect_language("un perro grande").code == UNDETERMINED
    assert detect_language("un perro grande", ("en", "de", "es", "zh")).code == "es"
    # The choice is no lasting one.
    assert detect_language(SENTENCES["ru"]).code == "ru"


def test_an_unknown_code_is_named() -> None:
    with pytest.raises(ArtifactError, match="qq"):
        detect_language("some words", ("en", "qq"))
