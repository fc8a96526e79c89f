"""How many keywords are names of what a text is about, on the sample catalogue.

    OMP_NUM_THREADS=1 python tests/bench/bench_keywords.py --cache FOLDER

Each titled picture gives two texts: its English title, alone and within a comment.
A keyword is right where all its words stand in the title (the words of the comment around it
are wrong). first: share of texts whose first keyword is right; all: of all keywords. The peer takes the
candidates in the order of the text. Costs are of CPU, in batches of 64.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from encoders.language.keywords import Keywords, candidates
from encoders.text.use_multilingual import UseMultilingual
from streams.demo.catalogue import sample_catalogue

COMMENTS = (
    "I really love this {title}, thanks so much for sharing it today",
    "Wow, my friend showed me {title} yesterday and I want to see more",
    "Not sure what to think about {title}, but the colours look nice",
)
FURTHER_COMMENTS = (
    "Where can I buy {title}? My sister has been looking for ages",
    "Honestly the best {title} that I have come across this year",
    "Not {title} again, you post this every single week",
)
"""Written after the stop words had been settled."""
Find = Callable[[Sequence[str]], list[tuple[str, ...]]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, required=True)
    chosen = parser.parse_args()
    titles = [item.title.strip(" .!") for item in sample_catalogue(chosen.cache).items if item.title]
    titles = [title for title in titles if len(title.split()) <= 8]
    chance = random.Random(1)
    comments = [chance.choice(COMMENTS).format(title=title[:1].lower() + title[1:]) for title in titles]
    others = [chance.choice(FURTHER_COMMENTS).format(title=title[:1].lower() + title[1:]) for title in titles]
    finder = Keywords(UseMultilingual(1), most=3)
    print(f"{'texts':<10} {'finder':<16} {'n':>4} {'first':>6} {'all':>6} {'a text':>7} {'ms':>6}")
    for name, texts in (("titles", titles), ("comments", comments), ("further", others)):
        for label, find in (("penchant", finder.find), ("in their order", in_order)):
            report((name, label), find, texts, titles)


def in_order(texts: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(candidates(text)[:3]) for text in texts]


def report(names: tuple[str, str], find: Find, texts: Sequence[str], titles: Sequence[str]) -> None:
    started = time.process_time()
    found = [one for start in range(0, len(texts), 64) for one in find(texts[start : start + 64])]
    spent = 1e3 * (time.process_time() - started) / len(texts)
    right = [
        [set(word.split()) <= words(title) for word in each]
        for each, title in zip(found, titles, strict=True)
    ]
    first = sum(bool(each) and each[0] for each in right) / len(right)
    every = [one for each in right for one in each]
    share = sum(every) / max(1, len(every))
    print(
        f"{names[0]:<10} {names[1]:<16} {len(texts):>4} {first:>6.3f} {share:>6.3f} "
        f"{len(every) / len(texts):>7.2f} {spent:>6.2f}"
    )


def words(title: str) -> set[str]:
    return {word.strip(".,;:!?()“”\"'") for word in title.casefold().replace("-", " - ").split()} | {
        word.strip(".,;:!?()“”\"'") for word in title.casefold().split()
    }


if __name__ == "__main__":
    main()
