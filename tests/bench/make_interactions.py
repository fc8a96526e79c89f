"""A made-up set of interactions in the RecBole format, as large as wanted.

    python tests/bench/make_interactions.py FOLDER [--users 20000] [--items 10000] [--events 1000000]
    penchant evaluate --from FOLDER --protocol temporal --models popularity,item-knn,content-prior

What is in it to be learnt: see `tests/made_interactions.py`.
"""

import argparse
from pathlib import Path

from tests.made_interactions import Size, write_recbole


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--clusters", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    size = Size(options.users, options.items, options.events, options.clusters)
    write_recbole(options.folder, size, options.seed)
    print(f"{options.folder}: {options.events:,} events")


if __name__ == "__main__":
    main()
