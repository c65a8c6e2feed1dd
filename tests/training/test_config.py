"""Tests of `nuclick_qp.training.config`: what is wrong with a configuration is told before the first step."""

from pathlib import Path

import pytest

from nuclick_qp.errors import OptionError
from nuclick_qp.training.config import read_config

GOOD = """
name = "mine"
prompt = "point"
description = "d"
licence = "l"
seed = 3
[[sources]]
folder = "tiles"
mpp = 0.25
"""


def written(path: Path, text: str) -> Path:
    """Write a configuration."""
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("seed = 3", "seed = -1", "seed: "),
        ('"mine"', '"../x"', "name: a name has letters"),
        ('"mine"', '"/tmp/x"', "name: a name has letters"),
        ('"mine"', '""', "name: a name has letters"),
        ("seed = 3", "seed = 99999999999999999999999", "seed: "),
        ("seed = 3", "width = 1e9", "width: "),
        ("seed = 3", "batch_size = 1000000000000", "batch_size: "),
        ("seed = 3", "patch_px = 32000000", "patch_px: "),
        ("seed = 3", "learning_rate = inf", "learning_rate: "),
        ("seed = 3", "mpp = 1e308", "mpp: "),
        ("seed = 3", "exclusion_keep = nan", "exclusion_keep: "),
        ("seed = 3", f"seed = {'[' * 5000}{']' * 5000}", "too deeply"),
        ("seed = 3", f"seed = {'[' * 500}{']' * 500}", "c.toml"),
    ],
)
def test_values_that_no_training_can_have_are_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    """One line with file and key, whatever stands there."""
    with pytest.raises(OptionError, match=told) as error:
        read_config(written(tmp_path / "c.toml", GOOD.replace(old, new)))

    assert str(tmp_path / "c.toml") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    """Editors on Windows save in their own encoding."""
    path = tmp_path / "c.toml"
    path.write_bytes(GOOD.replace('"d"', '"Drüse"').encode("latin-1"))

    with pytest.raises(OptionError, match=r"c\.toml is not text in UTF-8"):
        read_config(path)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("learnig_rate = 1", "learnig_rate: there is no such key; did you mean `learning_rate`?"),
        ("qqqqqq = 1", "qqqqqq: there is no such key; remove it"),
        ("[augmentation]\nstian = 1", "augmentation.stian: there is no such key; did you mean `stain`?"),
    ],
)
def test_a_key_that_does_not_exist_is_told_with_the_one_that_was_meant(tmp_path: Path, wrong: str, told: str) -> None:
    """In sections as well; a key that is like no other is only refused."""
    text = f"{wrong}\n{GOOD}" if wrong[0] != "[" else f"{GOOD}\n{wrong}"

    with pytest.raises(OptionError) as error:
        read_config(written(tmp_path / "c.toml", text))

    assert told in str(error.value)
