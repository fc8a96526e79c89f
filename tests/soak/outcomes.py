"""What failure runs came to: one line of JSON each; as a program, all of them as a table.

python -m tests.soak.outcomes [FILE]
"""

import os
import sys
from collections import defaultdict
from pathlib import Path

import msgspec

RESULTS = Path(os.environ.get("SOAK_RESULTS", "build/soak.jsonl"))
REPETITIONS = int(os.environ.get("SOAK_REPETITIONS", "3"))


class Outcome(msgspec.Struct):
    """One repetition of one scenario, compared with the reference fold of its input."""

    scenario: str
    stage: str
    events: int
    lost: int = 0
    """Events that are not in the states."""
    twice: int = 0
    """Times that an event is in the states beyond the first."""
    differing: int = 0
    """Stored values, in changelog or local store, that are not those of the reference."""
    missing: int = 0
    """Outputs that a `read_committed` reader never gets."""
    doubled: int = 0
    """Outputs that it gets again."""
    backwards: int = 0
    """Times that a reader who was there all along saw a user's version not grow."""
    silence: float = 0.0
    """Longest time, seconds, without outputs of one source partition, while events kept coming."""

    def faults(self) -> dict[str, int]:
        """What is not as promised, by name."""
        names = ("lost", "twice", "differing", "missing", "doubled", "backwards")
        return {name: count for name in names if (count := getattr(self, name))}


def record(outcome: Outcome) -> None:
    """Append to the file of results."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("ab") as file:
        file.write(msgspec.json.encode(outcome) + b"\n")


_HEAD = (
    "| Scenario | Workers | Runs | Events | Lost | Applied twice | Differing states | Outputs missing "
    "| Outputs doubled | Versions not growing | Longest silence of a partition, s |"
)


def table(outcomes: list[Outcome]) -> str:
    """Markdown: one line a scenario and stage, in the order in which they first came."""
    groups: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.scenario, outcome.stage].append(outcome)
    lines = [_HEAD, "|---|---|" + "---:|" * 9]
    for (scenario, stage), runs in groups.items():
        sums = [
            sum(getattr(run, name) for run in runs)
            for name in ("events", "lost", "twice", "differing", "missing", "doubled", "backwards")
        ]
        silences = sorted(run.silence for run in runs)
        shown = f"{silences[0]:.1f} to {silences[-1]:.1f}"
        cells = [scenario, stage, str(len(runs)), *(f"{each:,}" for each in sums), shown]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    lines = path.read_bytes().splitlines() if path.exists() else []
    print(table([msgspec.json.decode(line, type=Outcome) for line in lines]))


if __name__ == "__main__":
    main()
