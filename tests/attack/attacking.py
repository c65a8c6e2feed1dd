"""Run cases one by one, and count what went wrong."""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from random import Random

from attack.case import Case, Ended, Group
from attack.children import LARGEST_MB, run_command
from attack.surroundings import differences, empty, make_surroundings, snapshot

OWN_CODES = frozenset({0, 1, 2, 3})
LONGEST_OUTPUT = 100_000  # characters
CONTROLS = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
RAISED = re.compile(r"^[\w.]*(?:Error|Exception|Interrupt|Exit)\b.*", re.MULTILINE)
HUNG_AT = re.compile(r'File "[^"]*?([^"/]+)", line (\d+) in (\w+)')  # as `faulthandler` tells it, innermost first
KINDS = ("traceback", "hang", "code", "outside", "memory", "output", "other")


@dataclass
class Tally:
    """What the cases of one group did."""

    cases: int = 0
    problems: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    peak_mb: float = 0.0
    slowest_s: float = 0.0


@dataclass
class Attack:
    """Cases that are run in folders below `base`; those that fail are told, and stay in `keep` if it is given."""

    base: Path
    keep: Path | None = None
    tallies: dict[str, Tally] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def run(self, group: Group, case: Case) -> None:
        """Run one case and count how it ended."""
        tally = self.tallies.setdefault(group.title, Tally())
        before = snapshot(self.base)
        folder = self.base / "case"
        folder.mkdir()
        case.make(folder)
        runs = [run_command(self._words(command), folder=folder, home=self.base / "home") for command in case.commands]
        problems = [problem for ended in runs for problem in problems_of(ended)]
        if (other := case.check(folder, runs)) is not None:
            problems.append(("other", other))
        if problems and self.keep is not None:
            shutil.copytree(folder, self.keep / re.sub(r"\W+", "-", f"{group.title} {case.name}"), symlinks=True, dirs_exist_ok=True)
        empty(folder)
        if changed := differences(before, snapshot(self.base)):
            problems.append(("outside", ", ".join(changed[:3])))
        tally.cases += 1
        tally.peak_mb = max(tally.peak_mb, *(ended.peak_mb for ended in runs))
        tally.slowest_s = max(tally.slowest_s, *(ended.seconds for ended in runs))
        for kind in {kind for kind, _ in problems}:
            tally.problems[kind] += 1
        self.failures += [f"{group.title}: {case.name}: {kind}: {detail}" for kind, detail in problems]

    def _words(self, command: tuple[str, ...]) -> tuple[str, ...]:
        places = {"{folder}": str(self.base / "case"), "{outside}": str(self.base / "outside")}
        for name, place in places.items():
            command = tuple(word.replace(name, place) for word in command)
        return command


def problems_of(ended: Ended) -> Iterator[tuple[str, str]]:
    """List what is wrong with the way in which a command ended, whatever its files were."""
    output = ended.out + ended.err
    last = (RAISED.findall(output) or output.strip().splitlines() or [""])[-1][:300]
    if ended.is_hung:
        yield "hang", f"{ended.seconds:.0f} s; {HUNG_AT.findall(ended.err)[:4]}"
    elif ended.peak_mb > LARGEST_MB:
        yield "memory", f"{ended.peak_mb:.0f} MB"
    elif "Traceback (most recent call last)" in output:
        yield "traceback", last
    elif ended.code not in OWN_CODES:
        yield "code", f"{ended.code}: {last}"
    if len(output) > LONGEST_OUTPUT:
        yield "output", f"{len(output)} characters"
    if raw := CONTROLS.search(output):
        yield "output", f"the control character {raw[0]!r}"


def attack(cases: Iterable[tuple[Group, Case]], *, keep: Path | None = None) -> Attack:
    """Run cases in a folder of the system's for temporary files, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="attack-") as base:
        running = Attack(Path(base).resolve(), keep)
        make_surroundings(running.base)
        for group, case in cases:
            told = len(running.failures)
            running.run(group, case)
            for failure in running.failures[told:]:
                print(failure, file=sys.stderr, flush=True)
        return running


def fixed_cases(groups: Iterable[Group]) -> list[tuple[Group, Case]]:
    """Give the cases that groups name one by one."""
    return [(group, case) for group in groups for case in group.fixed()]


def mutated_cases(groups: Iterable[Group], *, count: int, seed: int) -> Iterator[tuple[Group, Case]]:
    """Give random cases of all groups in turn; number k depends on the seed and on k only."""
    mutating = cycle([(group, make) for group in groups if (make := group.mutated) is not None])
    for number, (group, make) in zip(range(count), mutating, strict=False):
        yield group, make(Random(f"{seed} {number}"))


def table(tallies: dict[str, Tally]) -> str:
    """Lay out the counts of all groups."""
    lines = [f"{'group':32}{'cases':>7}" + "".join(f"{kind:>11}" for kind in KINDS) + f"{'peak MB':>9}{'slowest s':>11}"]
    for title, tally in tallies.items():
        counts = "".join(f"{tally.problems[kind]:11d}" for kind in KINDS)
        lines.append(f"{title:32}{tally.cases:7d}{counts}{tally.peak_mb:9.0f}{tally.slowest_s:11.1f}")
    return "\n".join(lines)
