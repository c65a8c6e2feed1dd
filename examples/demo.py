"""The main job on a real image: make a project, run nuclick-qp on it, check the result.

What `make demo` runs. Ends with exit code 0 only when what the project promises was seen.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ihc_project import BAD, EPITHELIUM, GLAND, PROMPTS, STROMA, make_ihc_project, read_annotations
from nuclick_qp.annotations.objects import PROMPT_KEY
from nuclick_qp.qupath.qpdata.data_file import edit_data_file, parse_data_file

LEAST_OK = 0.95  # share of the good points that must get an outline
MARKER = "made-by-nuclick-qp-demo"


def main() -> None:
    """Make, run, check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="folder for project and picture; made anew")
    out: Path = parser.parse_args().out
    _empty_folder(out)
    project = make_ihc_project(out / "project")
    before = read_data(project)
    annotations = parse_data_file(before, source=project).objects
    print(f"{project}: a QuPath project with {len(annotations)} annotations on one image")
    report = run_command(project, pictures=out)
    problems = [*check_counts(report), *check_bytes(before, project, report["ok"] + report["uncertain"])]
    (made,) = out.glob("*.png")
    picture = made.rename(out / "overlay.png")
    made_of = f"{report['ok']} outlines and {report['uncertain']} uncertain ones from {report['prompts']} prompts"
    print(f"{made_of} in {report['seconds']:.1f} s on {report['device']}")
    print(f"open {picture} to look at them, or {project} in QuPath")
    if problems:
        sys.exit("\n".join(["the demo did not show what it should:", *problems]))


def run_command(project: Path, *, pictures: Path) -> dict[str, Any]:
    """Run `nuclick-qp run` as a user would, and give its report.

    Exit code 1 is the right one here: some prompts are bad on purpose.
    """
    command = [str(Path(sys.executable).with_name("nuclick-qp")), "run", str(project), "--overlay", str(pictures), "--json"]
    print("$", " ".join(command))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"the demo failed: exit code {done.returncode}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def check_counts(report: dict[str, Any]) -> list[str]:
    """Compare the report with what is known of the prompts; gives one line for each difference."""
    (image,) = report["images"]
    missed = image["without_outline"]
    good = sum(len(a.points) for a in read_annotations(PROMPTS) if a.class_name in (EPITHELIUM, STROMA))
    missed_good = [prompt for prompt in missed if prompt["class_name"] in (EPITHELIUM, STROMA)]
    print(f"{good - len(missed_good)} of {good} good points have an outline; by status: {image['statuses']}")
    problems = []
    if len(missed_good) > (1 - LEAST_OK) * good:
        problems.append(f"- {len(missed_good)} of {good} good points have no outline")
    bad = [prompt["status"] for prompt in missed if prompt["class_name"] == BAD]
    if len(bad) != 6 or bad.count("outside-slide") != 2:
        problems.append(f"- the bad prompts are reported as {bad}")
    glands = [prompt["status"] for prompt in missed if prompt["class_name"] == GLAND]
    if glands:
        problems.append(f"- squiggles without an outline are reported as {glands}")
    return problems


def check_bytes(before: bytes, project: Path, added: int) -> list[str]:
    """Take our outlines out again: what is left must be the old file, byte for byte."""
    data = read_data(project)
    after = parse_data_file(data, source=project)
    ours = [item for item in after.objects if PROMPT_KEY in dict(item.metadata)]
    keys = frozenset(dict(item.metadata)[PROMPT_KEY] for item in ours)
    left = edit_data_file(data, source=project, add=(), remove_keys=keys, colours={}).data
    problems = [] if len(ours) == added else [f"- {added} outlines were to be added, and the project holds {len(ours)}"]
    return problems if left == before else [*problems, "- the objects that were there before are not as they were"]


def read_data(project: Path) -> bytes:
    """Read what QuPath keeps of the first image."""
    return (project.parent / "data" / "1" / "data.qpdata").read_bytes()


def _empty_folder(out: Path) -> None:
    """Make the output folder anew; one that this script did not make is left alone."""
    if out.exists() and not (out / MARKER).exists():
        sys.exit(f"{out} exists and was not made by this demo; choose another --out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / MARKER).touch()


if __name__ == "__main__":
    main()
