"""The stores of an interests worker, under the model that serves and under one that is to."""

from collections.abc import Iterable

from state.store import Store
from streams.engine.kafka_engine import EngineSpec, kafka_standbys
from streams.engine.standby import NoStandbys, Standbys
from streams.settings import Settings


class SharedStores(NoStandbys):
    """What a host asks of standbys, for whichever model serves. May be called from any thread."""

    def __init__(self, settings: Settings, spec: EngineSpec) -> None:
        self._settings = settings
        self._by_changelog: dict[str, Standbys] = {}
        self._started = False
        self.serving = self._of(spec)
        self.coming: Standbys | None = None
        self.rules = self.serving.rules
        self._asked: tuple[set[int], set[int], set[int]] = (set(), set(), set())

    def start(self) -> None:
        self._started = True
        for standbys in list(self._by_changelog.values()):
            standbys.start()

    def stop(self) -> None:
        for standbys in list(self._by_changelog.values()):
            standbys.stop()

    def follow(self, numbers: Iterable[int], awaited: Iterable[int], owned: Iterable[int] = ()) -> None:
        self._asked = (set(numbers), set(awaited), set(owned))
        self.serving.follow(*self._asked)
        self._follow_coming()

    def held(self) -> dict[int, int]:
        return self.serving.held()

    def due(self) -> bool:
        return self.serving.due()

    def prepare(self, spec: EngineSpec) -> None:
        """Keep copies of the states under another model, of all that is served and copied here."""
        self.coming = self._of(spec)
        self._follow_coming()

    def forget(self) -> None:
        """The other model is not to come any more."""
        coming, self.coming = self.coming, None
        if coming is not None:
            coming.follow((), ())

    def level(self) -> bool:
        """Whether all that is served here is at hand under the other model, too."""
        coming = self.coming
        return coming is not None and all(coming.level(number) for number in self._asked[2])

    def turn(self) -> None:
        """From here on the other model serves. What was before it tidies itself up."""
        coming, before = self.coming, self.serving
        assert coming is not None
        self.serving, self.coming = coming, None
        before.follow((), ())
        coming.follow(*self._asked)

    def open(self, spec: EngineSpec, number: int) -> Store:
        """The store of a partition under some model. The caller closes it."""
        return self._of(spec).open(number)

    def _of(self, spec: EngineSpec) -> Standbys:
        standbys = self._by_changelog.get(spec.changelog)
        if standbys is None:
            standbys = self._by_changelog[spec.changelog] = kafka_standbys(self._settings, spec)
            if self._started:
                standbys.start()
        return standbys

    def _follow_coming(self) -> None:
        if self.coming is not None:
            numbers, _, owned = self._asked
            self.coming.follow(numbers | owned, ())
