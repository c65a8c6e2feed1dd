"""Names that a terminal obeys, that never end, or that a spreadsheet executes."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from attack.case import Case, Ended, Group
from attack.scenes import change_json, make_asap, make_project, make_slide
from fakes import make_card
from nuclick_qp.model.cards import weights_folder

OBEYED = {*map(chr, range(9)), "\x0b", "\x0c", *map(chr, range(14, 32)), *map(chr, range(0x7F, 0xA0)), "\u202e", "\u2066"}
EVIL = (
    "\x1b]0;owned\x07",
    "\x1b[2J\x1b[1;1H",
    "\x9b31m",
    "a\x00b",
    "\u202egnp.exe",
    "\r\nnuclick-qp: all ok",
    "=cmd|' /C calc'!A0",
    "x" * 3_000_000,
)
LARGEST_OUTPUT = 100_000
LARGEST_CELL = 10_000_000  # more than the longest name below
RUNS = (
    ("run", "project", "--device", "cpu"),
    ("-v", "run", "project", "--classes", "none such", "--device", "cpu"),
    ("export", "project", "-o", "out", "--format", "csv"),
    ("restore", "project"),
)


def _heeded(folder: Path, runs: list[Ended]) -> str | None:
    """Look at every character that was printed, at how many there are, and at the cells of a table."""
    output = "".join(ended.out + ended.err for ended in runs)
    if found := OBEYED & {*output}:
        return f"printed raw: {sorted(map(ascii, found))}"
    if len(output) > LARGEST_OUTPUT:
        return f"{len(output)} characters were printed"
    csv.field_size_limit(LARGEST_CELL)
    for path in folder.glob("out/*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            if any(cell[:1] in ("=", "@", "\t", "\r") for row in csv.reader(file) for cell in row):
                return f"{path.name} holds a formula"
    return None


def _named(name: str) -> Any:
    """Name the image of a project, and take its slide away, too, so that an error speaks of it."""

    def make(folder: Path) -> None:
        project = make_project(folder)
        change_json(project, lambda content: content["images"][0].update(imageName=name))

    return make


def _gone(uri: str) -> Any:
    def make(folder: Path) -> None:
        project = make_project(folder)
        change_json(project, lambda content: content["images"][0]["serverBuilder"].update(uri=uri))

    return make


def _card(text: str) -> Any:
    def make(folder: Path) -> None:
        (folder / "models").mkdir()
        (folder / "models" / "own.json").write_text(make_card(name=text, description=text, licence=text).model_dump_json())
        (folder / "models" / "own.safetensors").write_bytes((weights_folder() / "nuclei.safetensors").read_bytes())

    return make


def _asap(text: str) -> Any:
    def make(folder: Path) -> None:
        make_slide(folder)
        make_asap(folder / "prompts.xml")
        content = (folder / "prompts.xml").read_text()
        (folder / "prompts.xml").write_text(content.replace('Type="Dot"', f'Type="Dot{text}"'), encoding="utf-8")

    return make


def _fixed() -> Iterator[Case]:
    segment = ("segment", "slide.png", "--prompts", "prompts.xml", "-o", "out.xml", "--mpp", "0.25", "--device", "cpu")
    for number, text in enumerate(EVIL):
        yield Case(f"image named {text[:20]!a}", _named(text), RUNS, check=_heeded, is_quick=number == 0)
        yield Case(f"slide at {text[:20]!a}", _gone(f"file:/{text}"), RUNS, check=_heeded)
        yield Case(f"card of {text[:20]!a}", _card(text), (("models", "list"), ("doctor",)), check=_heeded)
        if text.isprintable() or text[0] in "\x9b\u202e":
            quoted = text[:1000].replace("'", "&apos;")
            yield Case(f"ASAP type {text[:20]!a}", _asap(quoted), (segment,), check=_heeded)


def _mutated(rng: Random) -> Case:
    text = "".join(chr(rng.choice((rng.randrange(0x20), rng.randrange(0x7F, 0xA0), rng.randrange(0x2000, 0x2070)))) for _ in range(30))
    return Case(f"image named {json.dumps(text)}", _named(text), RUNS[:3], check=_heeded)


GROUP = Group("24 text", _fixed, _mutated)
