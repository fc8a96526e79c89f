"""Weights of strategies, learned from a replay: what users took, of the candidates that they had before."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np

from state.catalogue import Catalogue
from state.errors import StateError
from state.learning.dataset import Dataset
from state.settings import RecommendSettings
from state.strategies.blend import Blended
from state.strategies.field import NO_ROW
from state.strategies.learned import Choices, Learned, learn_weights
from streams.encode.configured_media import configured_media
from streams.encode.instance import Instance
from streams.encode.media import MediaEncoder
from streams.errors import InputError
from streams.progress import progress
from streams.replay import Replay
from streams.settings import Settings

CANDIDATES = 200
NEIGHBOURS = 64
"""Where the settings count none."""
MOST = 20_000
"""Choices that are kept, the latest: so they take some 100 MB."""

_Candidates = tuple[list[str], np.ndarray]


class BlendTraining(Replay):
    """Replays events through the pipeline with all strategies at equal weights, and notes every choice."""

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        media: MediaEncoder,
        names: tuple[str, ...],
        events: int = 0,
    ) -> None:
        self._names = names
        super().__init__(dataset, _blending(settings, names), media, settings.model.artifact, events)
        self._shown: list[_Candidates] = []
        self._last: dict[int, _Candidates] = {}
        self._features: list[np.ndarray] = []
        self._taken: list[int] = []
        self.pipeline.ranking.recommender.watch = self._note

    def learn(self, tell: Callable[[int], None]) -> Learned:
        """Raises InputError where too few events took what stood among the candidates."""
        self.run("blend", tell)
        features, taken = self._features[-MOST:], self._taken[-MOST:]
        try:
            if not features:
                raise InputError("no user has two events to learn from")
            return learn_weights(self._names, Choices(np.stack(features), np.array(taken, np.int64)))
        except StateError as error:
            raise InputError(str(error)) from error

    def _note(self, made: Blended, catalogue: Catalogue) -> None:
        """Candidates of the users whose slates are being made, in their order."""
        weights = 1 / len(self._names)
        for user in range(len(made.rows)):
            rows = made.rows[user]
            features = made.parts[:, user] / np.float32(weights)
            features[:, rows == NO_ROW] = np.nan
            wide = np.full((len(self._names), CANDIDATES), np.nan, np.float32)
            wide[:, : len(rows)] = features
            self._shown.append(([catalogue.ids[row] if row != NO_ROW else "" for row in rows.tolist()], wide))

    def _learn(self, batch: list[int]) -> str:
        source = self._source
        for position in batch:
            held = self._last.pop(int(source.user[position]), None)
            if held is not None:
                names, features = held
                item = source.item_ids[source.item[position]]
                self._features.append(features)
                self._taken.append(names.index(item) if item in names else -1)
        self._shown.clear()
        model = super()._learn(batch)
        for user, shown in zip(self._told, self._shown, strict=True):
            self._last[user] = shown
        return model


def _blending(settings: Settings, names: tuple[str, ...]) -> Settings:
    recommend = settings.recommend
    weights = msgspec.convert(dict.fromkeys(names, 1.0), RecommendSettings.__annotations__["weights"])
    changed = msgspec.structs.replace(
        recommend,
        weights=weights,
        blend="scores",
        candidates=CANDIDATES,
        neighbours=recommend.neighbours or NEIGHBOURS,
        explore_places=0,
        pins=(),
    )
    return msgspec.structs.replace(settings, recommend=changed)


def train_blend(dataset: Dataset, settings: Settings, names: tuple[str, ...], events: int) -> Learned:
    """Encodes what is told of the items as operation would. Raises InputError."""
    with ExitStack() as stack:
        instance = stack.enter_context(Instance(Path(settings.app.data)))
        media = configured_media(settings, instance.folder, stack)
        training = BlendTraining(dataset, settings, media, names, events)
        return training.learn(stack.enter_context(progress("replaying", training.total)))
