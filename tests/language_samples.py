"""Statements for the tests of writers and of their check."""

from encoders.language.base import DayPart, Description, Kind, Request, Scale, Sentence, Statement, Trend

BIRDS = Statement("t1", Kind.TOPIC, "birds", weight=0.5, trend=Trend.RISING, scale=Scale.LATELY)
TRAINS = Statement("t2", Kind.TOPIC, "trains", weight=0.3, trend=Trend.FADING, scale=Scale.LATELY)
FOOD = Statement("t3", Kind.TOPIC, "food", weight=0.2, trend=Trend.STEADY, scale=Scale.LATELY)
SPORTS = Statement("t4", Kind.TOPIC, "sports", weight=-0.4)
SPACE = Statement("t5", Kind.TOPIC, "space", weight=0.3, scale=Scale.TODAY)
FLOWERS = Statement("t6", Kind.TOPIC, "flowers", weight=0.2, scale=Scale.ALWAYS)
ROBIN = Statement("l1", Kind.LIKED, "A robin on a branch", detail=("birds", "brambling"))
OWL = Statement("l2", Kind.LIKED, "Snowy owl")
PUMPKIN = Statement("d1", Kind.DISLIKED, "Pumpkin pie", detail=("food", "orange"))
SEARCH = Statement("s1", Kind.SEARCH, "steam engine")
KEYWORD = Statement("k1", Kind.KEYWORD, "nest box")
PLEASED = Statement("c1", Kind.SENTIMENT, "birds", weight=0.8)
CRITICAL = Statement("c2", Kind.SENTIMENT, "sports", weight=-0.7)
PICTURES = Statement("m1", Kind.MODALITY, "image", weight=0.7)
VIDEOS = Statement("m2", Kind.MODALITY, "video", weight=0.2)
EVENING = Statement("h1", Kind.TIME, DayPart.EVENING.value, weight=0.6)
EVERYTHING = (
    BIRDS, TRAINS, FOOD, SPORTS, SPACE, FLOWERS, ROBIN, OWL, PUMPKIN, SEARCH, KEYWORD, PLEASED, CRITICAL,
    PICTURES, VIDEOS, EVENING,
)  # fmt: skip


def request(*statements: Statement, language: str = "en", user: str = "user-1") -> Request:
    """A request with these statements, or with all of them."""
    return Request(user, language, statements or EVERYTHING)


def written(*texts: str, language: str = "en") -> Description:
    """What a model might have written."""
    return Description(tuple(Sentence(text, ()) for text in texts), (), (), "model", language)
