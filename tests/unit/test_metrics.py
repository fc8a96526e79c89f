from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from streams import metrics
from streams.metrics import BatchHistogram

BUCKETS = (0.01, 0.5, 2.0)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[CollectorRegistry]:
    made = CollectorRegistry()
    monkeypatch.setattr(metrics, "REGISTRY", made)
    yield made


def text(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


def test_a_batch_counts_as_its_values_do_one_by_one(registry: CollectorRegistry) -> None:
    values = [0.0, 0.01, 0.011, 0.5, 1.75, 2.0, 2.5, 60.0]
    histogram = BatchHistogram("seconds", "How long.", BUCKETS)
    histogram.observe(values[:3])
    histogram.observe([])
    histogram.observe(values[3:])

    expected = CollectorRegistry()
    one_by_one = Histogram("seconds", "How long.", buckets=BUCKETS, registry=expected)
    for value in values:
        one_by_one.observe(value)
    assert text(registry) == text(expected)


def test_nothing_observed_is_told_as_zero(registry: CollectorRegistry) -> None:
    BatchHistogram("seconds", "How long.", BUCKETS)
    assert 'seconds_bucket{le="+Inf"} 0.0' in text(registry)
