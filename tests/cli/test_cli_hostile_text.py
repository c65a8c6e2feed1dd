"""Names that attack a terminal: what the command line prints holds nothing that is obeyed, and ends soon."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from asap_files import annotation, asap_file
from fakes import make_card
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation

CommandLine = Callable[..., int]
DrawDiscs = Callable[..., Path]
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp"
SHOWN = r"\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp"
MANY = 2000


def printed_safely(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Give what went to stdout and stderr, after a look at every character of it."""
    out, err = capsys.readouterr()
    assert not {*out, *err} & {*map(chr, range(10)), *map(chr, range(11, 32)), *map(chr, range(0x7F, 0xA0)), "\u202e"}
    return out, err


@pytest.fixture
def hostile(tmp_path: Path, draw_discs: DrawDiscs) -> Callable[..., Path]:
    """Give a function that makes a project of one image of a hostile name."""

    def make(name: str = f"{EVIL}.png", *annotations: NewAnnotation, gone: bool = False) -> Path:
        slide = draw_discs([(100.0, 100.0, 12.0)])
        made = create_project(tmp_path / "project", [NewImage(slide, name, 400, 300, 0.25, annotations or (POINT,))])
        if gone:
            slide.unlink()
        return made

    return make


POINT = NewAnnotation("Points", ((100.0, 100.0),), class_name=EVIL)


@pytest.mark.parametrize("gone", [False, True])
def test_image_names_do_not_reach_the_terminal_raw(
    hostile: Callable[..., Path], command_line: CommandLine, capsys: pytest.CaptureFixture[str], gone: bool
) -> None:
    """Neither in the result nor in progress, messages and log lines; --json says what they are."""
    project = hostile(gone=gone)

    command_line("-v", "run", project, "--device", "cpu")
    out, err = printed_safely(capsys)
    command_line("run", project, "--device", "cpu", "--overwrite", "--json")
    as_json, _ = printed_safely(capsys)

    assert out.startswith(f"{SHOWN}.png: ")
    assert SHOWN in err
    assert json.loads(as_json)["images"][0]["image"] == f"{EVIL}.png"


def test_a_name_of_three_million_characters_is_one_short_line(
    hostile: Callable[..., Path], command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything printed about it stays below 10 kB; --json has all of it."""
    project = hostile("x" * 3_000_000, gone=True)

    command_line("-v", "run", project, "--device", "cpu")
    out, err = printed_safely(capsys)
    command_line("run", project, "--device", "cpu", "--json")

    assert len(out) + len(err) < 10_000
    assert json.loads(capsys.readouterr().out)["images"][0]["image"] == "x" * 3_000_000


def test_lists_of_prompts_end_after_ten_lines(
    hostile: Callable[..., Path], command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two thousand bad points and one good: ten are told, the others counted, and --json has all."""
    bad = [NewAnnotation("Points", ((float("nan"), 5.0),), name=f"bad {number}") for number in range(MANY)]
    project = hostile("discs.png", POINT, *bad)

    assert command_line("run", project, "--device", "cpu") == 1
    out, _ = printed_safely(capsys)
    command_line("run", project, "--device", "cpu", "--json")

    assert f"  and {MANY - 10:,} more; --json lists all\n" in out
    assert out.count("\n") == 13  # the image, ten prompts, the others, the sum
    assert len(json.loads(capsys.readouterr().out)["images"][0]["without_outline"]) == MANY


def test_groups_of_asap_do_not_reach_the_terminal_raw(
    tmp_path: Path, draw_discs: DrawDiscs, command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    """XML itself holds no ESC, but C1 and marks of direction."""
    prompts = asap_file(tmp_path / "prompts.xml", annotation("Nonsense", (100, 100), name="\x9b31m\u202egnp"))

    command_line("segment", draw_discs([(100.0, 100.0, 12.0)]), "--prompts", prompts, "-o", tmp_path / "out.xml", "--mpp", "0.25")
    out, err = printed_safely(capsys)

    assert r"\x9b31m\u202egnp" in out + err


def test_cards_do_not_reach_the_terminal_raw(own_models: Path, command_line: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, description and licence of a model that somebody passed on."""
    own_models.mkdir()
    card = make_card(name=f"mine{EVIL}", description=EVIL * 100_000, licence=EVIL)
    (own_models / "mine.json").write_text(card.model_dump_json())

    for command in (("models", "list"), ("doctor",)):
        command_line(*command)
        out, _ = printed_safely(capsys)
        assert "mine" in out
        assert len(out) < 10_000
    command_line("models", "list", "--json")
    assert json.loads(printed_safely(capsys)[0])[-1]["licence"] == EVIL


@pytest.mark.parametrize(
    "arguments",
    [("restore", f"gone{EVIL}"), ("models", f"x{EVIL}"), ("models", "list", EVIL), ("doctor", f"--x{EVIL}"), ("run", "x", "--as", EVIL)],
)
def test_arguments_do_not_reach_the_terminal_raw(
    command_line: CommandLine, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """A shell puts file names in place of a *."""
    assert command_line(*arguments) in (2, 3)

    assert r"\x1b" in printed_safely(capsys)[1]
