"""The attack from the command line."""

import argparse
import sys
import time
from pathlib import Path

from attack.attacking import attack, fixed_cases, mutated_cases, table
from attack.children import load_all
from attack.groups import GROUPS


def main() -> int:
    """Run all fixed cases and, if asked, mutated ones; 1 when something went wrong."""
    parser = argparse.ArgumentParser(prog="attack", description="Hostile files against the command line.")
    parser.add_argument("--mutated", type=int, default=0, help="how many cases of mutated files to add to the fixed ones")
    parser.add_argument("--quick", action="store_true", help="of the fixed cases only those that make test runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="only groups whose titles begin so")
    parser.add_argument("--name", default="", help="only cases whose names hold this")
    parser.add_argument("--keep", type=Path, help="folder for copies of what failed")
    arguments = parser.parse_args()
    groups = [group for group in GROUPS if group.title.startswith(arguments.only)]
    since = time.perf_counter()
    load_all()
    fixed = [(group, case) for group, case in fixed_cases(groups) if case.is_quick or not arguments.quick]
    cases = [*fixed, *mutated_cases(groups, count=arguments.mutated, seed=arguments.seed)]
    done = attack([(group, case) for group, case in cases if arguments.name in case.name], keep=arguments.keep)
    print(table(done.tallies))
    number = sum(tally.cases for tally in done.tallies.values())
    print(f"{number} cases, {len(done.failures)} problems, seed {arguments.seed}, {time.perf_counter() - since:.0f} s")
    return 1 if done.failures else 0


if __name__ == "__main__":
    sys.exit(main())
