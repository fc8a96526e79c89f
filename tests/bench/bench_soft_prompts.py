"""Soft prompts: interests projected to the input embeddings of SmolLM2, against prompts of facts.

    python tests/bench/bench_soft_prompts.py make FOLDER --cache CACHE     # users, vectors, texts
    python tests/bench/bench_soft_prompts.py fit FOLDER --gguf FILE [--steps 200]
    python tests/bench/bench_soft_prompts.py judge FOLDER --cache CACHE

Ten vectors of a user's interest (eight heads, the ranking vector, what was rejected), each with its weight,
become ten soft tokens, each by a linear map of its own. The maps begin where they foretell the embeddings of
the topics' names (ridge regression, the names weighted by their shares), and then learn, the model being
frozen, to make it say what the template says of topics: titles, words and times are not in the vectors, so
none are asked for. What `fit` has learned is kept, and gone on with. Judged on users that nothing was fitted
to, before and after the check, by `description_judge`; prompts of facts are asked of topics alone as well.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

FIT_SEED, VALIDATION, HELD_OUT_SEED, HELD_OUT = 90_001, 40, 90_002, 40
ASKED = "\nDescription of the user:"
BATCH, RATE, LONGEST, RIDGE = 8, 1e-3, 48, 10.0
TOKENS, INPUTS = 10, 66
_CHUNK = 500


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=("make", "fit", "judge"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--users", type=int, default=4_000)
    parser.add_argument("--steps", type=int, default=200)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    if chosen.step == "make":
        make(chosen.folder, chosen.cache, chosen.users)
    elif chosen.step == "fit":
        Fit(chosen.folder, chosen.gguf).run(chosen.steps)
    else:
        judge(chosen.folder, chosen.cache)


def make(folder: Path, cache: Path, count: int) -> None:
    """Writes `fit.npz` and `held-out.npz`: vectors [n, 10, 65], texts, signed shares of topics by name."""
    from encoders.language.sanitising import prepared
    from encoders.language.template import Template
    from tests.bench.bench_descriptions import MOST_SENTENCES, states_of
    from tests.bench.simulated_readers import readers, sample_items

    items = sample_items(cache)
    names = sorted({item.categories[0] for item in items})
    for name, seed, number in (("fit", FIT_SEED, count), ("held-out", HELD_OUT_SEED, HELD_OUT)):
        users = readers(number, items, seed)
        vectors, texts, shares = [], [], np.zeros((number, len(names)))
        for start in range(0, number, _CHUNK):
            fusion, states, requests = states_of(users[start : start + _CHUNK], items)
            vectors.append(_inputs(fusion.read(states)))
            spoken = [prepared(topics_alone(request)) for request in requests]
            texts += [_summary(one) for one in Template(MOST_SENTENCES).write(spoken)]
            for place, request in enumerate(spoken, start):
                for one in request.statements:
                    if one.text in names:
                        shares[place, names.index(one.text)] = one.weight
        np.savez_compressed(
            folder / f"{name}.npz",
            vectors=np.concatenate(vectors), texts=np.array(texts), shares=shares, names=np.array(names),
        )  # fmt: skip


def topics_alone(request: Any) -> Any:
    from msgspec.structs import replace

    from encoders.language.base import Kind

    return replace(request, statements=tuple(one for one in request.statements if one.kind is Kind.TOPIC))


def _summary(found: Any) -> str:
    return str(found.summary)


def _inputs(readouts: Any) -> "np.ndarray[Any, Any]":
    """float16 [n, 10, 65]: a direction, and how much it weighs."""
    directions = np.concatenate(
        [readouts.heads, readouts.interest[:, None], readouts.dislike[:, None]], axis=1
    )
    ones = np.ones(len(readouts.interest), np.float32)
    weights = np.concatenate([readouts.head_weights, ones[:, None], readouts.dislike_mass[:, None]], axis=1)
    return np.concatenate([directions, weights[:, :, None]], axis=2).astype(np.float16)


class Fit:
    """The frozen model, and the maps in front of it, float32 [10, 66, hidden]."""

    def __init__(self, folder: Path, gguf: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        named: dict[str, Any] = {"gguf_file": gguf.name}
        self._folder, self._torch = folder, torch
        self._tokenizer: Any = AutoTokenizer.from_pretrained(gguf.parent, **named)
        model: Any = AutoModelForCausalLM.from_pretrained(
            gguf.parent, **named, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
        )
        self._model = model.eval().requires_grad_(False)
        self._embed = model.get_input_embeddings()
        self._known = dict(np.load(folder / "fit.npz"))
        self._vectors = self._with_one(self._known["vectors"])
        self._asked = self._embed(torch.tensor([self._ids(ASKED)]))

    def run(self, steps: int) -> None:
        torch, kept = self._torch, self._folder / "maps.pt"
        state: dict[str, Any] = {"step": 0, "maps": self._begun(), "optimiser": None}
        if kept.exists():
            state = torch.load(kept)
        else:
            self._answer(state["maps"], "linear")
        maps = torch.nn.Parameter(state["maps"])
        optimiser = torch.optim.AdamW([maps], RATE, weight_decay=0.0)
        if state["optimiser"] is not None:
            optimiser.load_state_dict(state["optimiser"])
        began = time.process_time()
        for step in range(state["step"], steps):
            chance = np.random.default_rng(step)
            rows = chance.integers(VALIDATION, len(self._vectors), BATCH).tolist()
            loss = self._loss(maps, rows)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if step % 20 == 19 or step == steps - 1:
                with torch.inference_mode():
                    unseen = float(self._loss(maps, list(range(VALIDATION))))
                seconds = time.process_time() - began
                print(f"step {step + 1}: {float(loss):.3f}, unseen {unseen:.3f}, {seconds:.0f} s", flush=True)
                state = {"step": step + 1, "maps": maps.detach().clone()}
                torch.save({**state, "optimiser": optimiser.state_dict()}, kept)
        self._answer(maps.detach(), f"learned {steps * BATCH}")

    def _begun(self) -> Any:
        """Maps that foretell the embeddings of the names of topics, or those that are disliked."""
        torch, shares = self._torch, self._known["shares"]
        names = self._known["names"].tolist()
        meant = torch.stack([self._embed(torch.tensor(self._ids(f" {name}"))).mean(0) for name in names])
        maps = []
        for place in range(TOKENS):
            of = np.maximum(-shares if place == TOKENS - 1 else shares, 0)
            of = torch.tensor(of / np.maximum(of.sum(1, keepdims=True), 1e-9), dtype=torch.float32)
            rows = self._vectors[VALIDATION:, place]
            square = rows.T @ rows + RIDGE * torch.eye(INPUTS)
            maps.append(torch.linalg.solve(square, rows.T @ (of @ meant)[VALIDATION:]))
        return torch.stack(maps)

    def _loss(self, maps: Any, rows: Sequence[int]) -> Any:
        torch = self._torch
        targets = [self._target(row) for row in rows]
        labels = torch.full((len(rows), max(map(len, targets))), -100)
        for place, target in enumerate(targets):
            labels[place, : len(target)] = torch.tensor(target)
        before = self._before(self._vectors[list(rows)], maps)
        logits = self._model(inputs_embeds=torch.cat([before, self._embed(labels.clamp(min=0))], 1)).logits
        said = logits[:, before.shape[1] - 1 : -1]
        return torch.nn.functional.cross_entropy(said.flatten(0, 1), labels.flatten(), ignore_index=-100)

    def _before(self, vectors: Any, maps: Any) -> Any:
        """Soft tokens, and what asks for a text about them."""
        soft = self._torch.einsum("nkd,kdh->nkh", vectors, maps)
        return self._torch.cat([soft, self._asked.expand(len(vectors), -1, -1)], 1)

    def _target(self, row: int) -> list[int]:
        text = f" {self._known['texts'][row]!s}\n"
        return self._ids(text)[:LONGEST]

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _with_one(self, vectors: Any) -> Any:
        found = self._torch.tensor(vectors.astype(np.float32))
        return self._torch.cat([found, self._torch.ones_like(found[:, :, :1])], 2)

    def _answer(self, maps: Any, name: str) -> None:
        """What the model says of the held-out users."""
        held = np.load(self._folder / "held-out.npz")
        with self._torch.inference_mode():
            output = self._model.generate(
                inputs_embeds=self._before(self._with_one(held["vectors"]), maps), do_sample=False,
                max_new_tokens=LONGEST, pad_token_id=self._tokenizer.eos_token_id,
            )  # fmt: skip
        texts = self._tokenizer.batch_decode(output, skip_special_tokens=True)
        answers = [text.strip().split("\n")[0] for text in texts]
        (self._folder / f"answers {name}.json").write_text(json.dumps(answers, ensure_ascii=False, indent=1))


def judge(folder: Path, cache: Path) -> None:
    """Prints what the answers are worth, beside the template's text that they were to be."""
    from encoders.errors import LanguageError
    from encoders.language.answers import sentences_of
    from encoders.language.base import Description
    from encoders.language.grounding import grounded
    from encoders.language.sanitising import prepared
    from tests.bench.bench_descriptions import requests_of
    from tests.bench.description_judge import Judge, summed
    from tests.bench.simulated_readers import readers, sample_items

    def description(text: str) -> Description:
        try:
            return Description(tuple(sentences_of(text)), (), (), "soft", "en")
        except LanguageError:
            return Description((), (), (), "soft", "en")

    items = sample_items(cache)
    users = readers(HELD_OUT, items, HELD_OUT_SEED)
    requests = [prepared(request) for request in requests_of(users, items)]
    judged = Judge(items)
    sets = {"template, topics alone": np.load(folder / "held-out.npz")["texts"].tolist()}
    for path in sorted(folder.glob("answers *.json")):
        sets[f"soft prompts, {path.stem.partition(' ')[2]}"] = json.loads(path.read_text())
    for name, texts in sets.items():
        written = [description(text) for text in texts]
        after = [grounded(request, one) for request, one in zip(requests, written, strict=True)]
        for label, found in (("before the check", written), ("after it", after)):
            verdicts = [
                judged.judge(user, (sentence.text for sentence in one.sentences))
                for user, one in zip(users, found, strict=True)
            ]
            figures = ", ".join(f"{key} {value:.3f}" for key, value in summed(verdicts).items())
            print(f"{name}, {label}: {sum(len(one.sentences) for one in found)} sentences, {figures}")
        print(f"  such as: {texts[0]}")


if __name__ == "__main__":
    main()
