"""Every learned encoder and describer, each in a process of its own, on everything that strangers send."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.learned import CASES, every_set

ROOT = Path(__file__).parents[2]
SECONDS = 900.0
MOST_MEGABYTES = 2_500
"""Of the process that encodes, frameworks included."""
SETS = [*every_set(), ({}, {})]

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2 * SECONDS)]


@pytest.mark.parametrize("names", SETS, ids=lambda names: "-".join(names[0].values()) or "default")
def test_every_medium_is_encoded_or_masked_alone_and_in_company(
    names: tuple[dict[str, str], dict[str, str]],
) -> None:
    command = [sys.executable, "-m", "tests.hostile.learned", json.dumps(names)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    for way in ("alone", "together"):
        wrong = {name: said for name, said in found[way].items() if said not in CASES[name].outcomes}
        assert found[way].keys() == CASES.keys()
        assert not wrong, way
    assert found["peak_mb"] < MOST_MEGABYTES
