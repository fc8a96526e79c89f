"""What the encoders do is seen in the metrics."""

from encoders.base import Modality
from streams.encode.configured_media import Metrics
from streams.metrics import exposition


def served(line: str) -> float:
    found = [each for each in exposition().decode().splitlines() if each.startswith(line + " ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def test_batches_failures_queues_and_decoders_are_counted() -> None:
    lines = {
        'penchant_encoder_batch_size_sum{modality="image"}': 12.0,
        'penchant_encoder_seconds_count{modality="image"}': 1.0,
        'penchant_encoder_failures_total{encoder="encoders.text own",reason="out_of_memory"}': 1.0,
        'penchant_decoders_ended_total{cause="crashed"}': 1.0,
    }
    before = {line: served(line) for line in lines}
    metrics = Metrics()
    metrics.encoded(Modality.IMAGE, 12, 0.5)
    metrics.failed("encoders.text own", "out_of_memory")
    metrics.decoder_ended("crashed")
    metrics.waiting(7)
    assert {line: served(line) - before[line] for line in lines} == lines
    assert served('penchant_queue_depth{queue="media"}') == 7.0
