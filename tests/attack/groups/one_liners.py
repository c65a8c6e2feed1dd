"""What ended in a traceback once: configurations, checkpoints, cards, patterns and outputs."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import torch

from attack.case import Case, Group
from attack.groups.labels import TRAIN
from attack.mutations import mutated_bytes
from attack.scenes import make_geojson, make_project, make_slide, make_training
from fakes import make_card

WRONG_LINES = (b"seed = -1", b"seed = 1e999", b"width = 1e9", b"batch_size = 999999999999", b"mpp = 1e308", b"learning_rate = nan",
               b"stepps = 3", b"description = '\xff\xfe'", b"seed = " + b"[" * 900 + b"]" * 900, b"seed = " + b"[" * 9000)  # fmt: skip
CARDS: tuple[dict[str, object], ...] = (
    {"mpp": 1e308},
    {"mpp": -1},
    {"patch_px": 32 * 10**9},
    {"network": {"width": 0}},
    {"parameters": "x"},
)
SEGMENT = ("segment", "slide.png", "--prompts", "prompts.geojson", "--mpp", "0.25", "--device", "cpu", "-o")


def _configured(line: bytes) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        make_training(folder)
        path = folder / "training.toml"
        path.write_bytes(line + b"\n" + path.read_bytes())

    return make


def _checkpoint(content: bytes) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        make_training(folder)
        (folder / "trained").mkdir()
        (folder / "trained" / "checkpoint.pt").write_bytes(content)

    return make


def _card(change: dict[str, object]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        make_project(folder)
        (folder / "models").mkdir()
        good = make_card(name="own").model_copy(update=change)
        (folder / "models" / "own.json").write_text(good.model_dump_json(warnings=False))

    return make


def _output_in_a_loop(folder: Path) -> None:
    make_slide(folder)
    make_geojson(folder / "prompts.geojson")
    (folder / "a.geojson").symlink_to("b.geojson")
    (folder / "b.geojson").symlink_to("a.geojson")


def _nested_project(folder: Path) -> None:
    path = make_project(folder)
    builder = '{"builder":' * 990 + "{}" + "}" * 990
    path.write_text('{"version":"0.5.0","images":[{"entryID":1,"serverBuilder":' + builder + "}]}")


def _out_is_a_file(folder: Path) -> None:
    make_training(folder)
    (folder / "trained").write_text("mine")


def _saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _fixed() -> Iterator[Case]:
    for line in WRONG_LINES:
        yield Case(f"configuration with {line[:24]!r}", _configured(line), (TRAIN,), is_quick=line == WRONG_LINES[0])
    for name, content in {"empty": b"", "of nothing": _saved({}), "of a list": _saved([1]), "of a text": _saved({"config": "{"})}.items():
        yield Case(f"checkpoint {name}", _checkpoint(content), (TRAIN,))
    for change in CARDS:
        commands = (("models", "list"), ("doctor",), ("run", "project", "--points", "own", "--device", "cpu"))
        yield Case(f"card with {change}", _card(change), commands)
    for pattern in ("", "/etc/*", "**x", "[", "../*"):
        yield Case(f"pattern {pattern!r}", make_training, (("evaluate", "images", "--pattern", pattern, "--device", "cpu"),))
    yield Case("training into a file", _out_is_a_file, (TRAIN,))
    yield Case("output in a loop of links", _output_in_a_loop, ((*SEGMENT, "a.geojson"), (*SEGMENT, "a.geojson/x.geojson")))
    yield Case("servers nested 990 deep", _nested_project, (("run", "project"), ("export", "project", "-o", "out", "--format", "csv")))


def _mutated(rng: Random) -> Case:
    seed = rng.randrange(2**32)
    return Case(
        f"mutated checkpoint {seed}", _checkpoint(mutated_bytes(_saved({"config": "{}", "step": 1, "net": {}}), Random(seed))), (TRAIN,)
    )


GROUP = Group("25 one line", _fixed, _mutated)
