"""Every metric of the product, named once. Base units: seconds and bytes. Prefix `penchant_`."""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE = CONTENT_TYPE_LATEST

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_FRESH = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class BatchHistogram(Collector):
    """A histogram that takes the values of a whole batch: one by one, each would cost a lock and a search."""

    def __init__(self, name: str, documentation: str, buckets: Sequence[float]) -> None:
        self._name = name
        self._documentation = documentation
        self._bounds = list(buckets)
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()
        REGISTRY.register(self)

    def observe(self, values: Iterable[float]) -> None:
        with self._lock:
            for value in values:
                self._counts[bisect_left(self._bounds, value)] += 1
                self._sum += value

    def describe(self) -> Iterator[HistogramMetricFamily]:
        return self.collect()

    def collect(self) -> Iterator[HistogramMetricFamily]:
        with self._lock:
            counts, total = list(accumulate(self._counts)), self._sum
        names = [*map(str, self._bounds), "+Inf"]
        buckets = list(zip(names, counts, strict=True))
        yield HistogramMetricFamily(self._name, self._documentation, buckets, total)


EVENTS = Counter("penchant_events_total", "Events by stage and outcome.", ["stage", "outcome"])
DEAD_LETTERS = Counter("penchant_dead_letters_total", "Records set aside.", ["stage", "reason"])
FRESHNESS = BatchHistogram(
    "penchant_freshness_seconds", "Broker time of an event to its published interest.", _FRESH
)
STAGE_SECONDS = Histogram("penchant_stage_seconds", "Time in a stage, per batch.", ["stage"], buckets=_FAST)
BATCH_SIZE = Histogram("penchant_batch_size", "Records in a batch.", ["stage"], buckets=_SIZES)
QUEUE_DEPTH = Gauge("penchant_queue_depth", "What waits in memory.", ["queue"])
ENCODER_SECONDS = Histogram(
    "penchant_encoder_seconds", "Time in an encoder, per batch.", ["modality"], buckets=_FAST
)
ENCODER_BATCH = Histogram(
    "penchant_encoder_batch_size", "Media in an encoder's batch.", ["modality"], buckets=_SIZES
)
DECODERS_ENDED = Counter(
    "penchant_decoders_ended_total", "Decoding processes that were ended and replaced.", ["cause"]
)
ENCODER_FAILURES = Counter(
    "penchant_encoder_failures_total", "Media that an encoder or describer failed on.", ["encoder", "reason"]
)
COMMENTS = Counter("penchant_comments_total", "Comments by how they sound.", ["sentiment"])
MASKED = Counter("penchant_masked_total", "Modalities masked.", ["modality", "reason"])
CACHE = Counter("penchant_vector_cache_total", "Look-ups in the vector cache.", ["outcome"])
FETCHES = Counter("penchant_fetches_total", "Fetched media by outcome.", ["scheme", "outcome"])
CONSUMER_LAG = Gauge("penchant_consumer_lag", "Records not read yet.", ["topic", "partition"])
COMMIT_TIME = Gauge("penchant_last_commit_timestamp_seconds", "When the last commit ended.", ["stage"])
ROWS = Counter("penchant_rows_total", "Rows by what the fold did with them.", ["outcome"])
HOLES = Counter("penchant_source_holes_total", "Holes in the source that were mended by seeking back.")
LOST_OFFSETS = Counter(
    "penchant_lost_offsets_total", "Offsets cut by retention before they were read, passed over.", ["topic"]
)
RECREATED = Counter(
    "penchant_topics_recreated_total", "Partitions of input topics found made anew.", ["topic"]
)
CLAMPED = Counter("penchant_timestamps_clamped_total", "Timestamps in the future, clamped.")
READY = Gauge("penchant_ready", "1 while the worker is ready.", ["worker"])
STATE_BYTES = Gauge("penchant_state_bytes", "Bytes of state on disk.", ["partition"])
RECOVERY = Gauge("penchant_recovery_ratio", "Share of the changelog restored.", ["partition"])
RESTORED = Counter("penchant_restored_records_total", "Changelog records restored.")
STANDBY_LAG = Gauge(
    "penchant_standby_lag", "Changelog records that a standby has not read yet.", ["partition"]
)
STANDBY_RECORDS = Counter("penchant_standby_records_total", "Changelog records that standbys took in.")
CATALOGUE_ITEMS = Gauge("penchant_catalogue_items", "Items that can be recommended.")
DESCRIBED = Counter(
    "penchant_descriptions_total",
    "Users whose turn it was, by what became of it.",
    ["outcome", "model", "language"],
)
REJECTED = Counter(
    "penchant_description_parts_rejected_total", "Sentences that the check dropped.", ["reason"]
)
MODEL_PREPARED = Gauge(
    "penchant_model_prepared", "1 where a model that is to serve is at hand, with its states.", ["version"]
)
MODEL_TURNS = Counter("penchant_model_turns_total", "Times that another model began to serve in a worker.")
MODEL_INFO = Gauge("penchant_model_info", "The artifact that serves; always 1.", ["kind", "version"])


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
