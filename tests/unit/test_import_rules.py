"""The import rules of the layout, held by walking the syntax trees."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("streams", "encoders", "state")

FORBIDDEN = {"encoders": {"streams", "state"}, "state": {"streams", "encoders"}}

CONFINED = {
    "confluent_kafka": {"streams/kafka.py", "streams/broker/readiness.py"},
    "faust": {"streams/interests/faust_host.py", "streams/interests/faust_consumer.py"},
    "aiokafka": {
        "streams/interests/faust_host.py",
        "streams/interests/faust_consumer.py",
        "streams/interests/faust_assignor.py",
    },
    "rocksdict": {"state/rocks.py", "encoders/vector_cache.py"},
    "prometheus_client": {"streams/metrics.py"},
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def sources() -> list[Path]:
    found = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    assert len(found) > 10
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_import_rules(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    roots = {name.partition(".")[0] for name in imports(path)}
    assert not roots & FORBIDDEN.get(place.partition("/")[0], set())
    for package, allowed in CONFINED.items():
        assert package not in roots or place in allowed, f"{place} may not import {package}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 420
