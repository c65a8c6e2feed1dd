"""Tests of `nuclick_qp.evaluation.tables.rows`: rows that are kept, found again, and refused when damaged."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nuclick_qp.errors import RowError, WriteRefusedError
from nuclick_qp.evaluation.tables.rows import Row, RowKey, RowSettings, RowStore
from paper_rows import NUCLICK, row_of, scores_of, settings_of


def test_a_kept_row_is_found_by_its_settings(tmp_path: Path) -> None:
    """All of it comes back, and nothing is there before."""
    store, row = RowStore(tmp_path / "out"), row_of(values=[0.1 + 0.2, 1 / 3], more={"radius_px": 3.0, "channel": "red"})

    assert store.find(row.settings) is None
    assert store.rows() == []
    path = store.keep(row)

    assert store.find(row.settings) == row
    assert store.rows() == [row]
    assert path.parent == tmp_path / "out" / "rows"
    assert path.name.startswith("table-2-monuseg-nuclick-")


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"budget": "full"},
        {"samples": 12800},
        {"batch": 32},
        {"width": 0.125},
        {"mpp": 0.5},
        {"training": "others"},
        {"more": {"iterations": 31}},
    ],
)
def test_a_row_with_other_settings_is_another_row(tmp_path: Path, change: dict[str, object]) -> None:
    """It is made, and takes nothing's place: both are kept."""
    store, first = RowStore(tmp_path), row_of(more={"iterations": 30})
    store.keep(first)
    settings = first.settings.model_copy(update=change)

    assert store.find(settings) is None
    store.keep(Row(**(first.model_dump() | {"settings": settings})))

    assert len(store.rows()) == 2
    assert store.find(first.settings) == first


def test_variants_and_data_and_images_are_settings() -> None:
    """No two of them share a file."""
    keys = [NUCLICK, RowKey(2, "NuClick", "TNBC"), RowKey(9, "NuClick", "MoNuSeg")]
    keys += [RowKey(2, "NuClick", "MoNuSeg", variant) for variant in ("fair", "paper")]
    prints = [settings_of(key).fingerprint for key in keys] + [settings_of(images=["a", "b"]).fingerprint]

    assert len(set(prints)) == len(prints)


def test_what_a_row_took_and_where_it_was_made_is_no_setting(tmp_path: Path) -> None:
    """A row from a GPU, of another commit, in other seconds, stands for the one that would be made here."""
    store, row = RowStore(tmp_path), row_of()
    took = {"device": "NVIDIA H100", "commit": "f" * 40, "train_seconds": 1.0, "segment_seconds": 0.1, "curve": "log.csv"}
    took |= {"made_at": row.made_at + timedelta(days=1)}
    elsewhere = row.model_copy(update=took)

    store.keep(elsewhere)

    assert store.find(row.settings) == elsewhere


def test_order_of_further_settings_means_nothing() -> None:
    """A mapping has no order, so neither has the name of its file."""
    one, other = settings_of(more={"a": 1, "b": None}), settings_of(more={"b": None, "a": 1})

    assert one.fingerprint == other.fingerprint


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def _other_score(path: Path) -> None:
    content = json.loads(path.read_text())
    content["scores"]["a"]["aji"] = "high"
    path.write_text(json.dumps(content))


def _lost_image(path: Path) -> None:
    content = json.loads(path.read_text())
    del content["scores"]["b"]
    path.write_text(json.dumps(content))


def _other_settings(path: Path) -> None:
    content = json.loads(path.read_text())
    content["settings"]["seed"] = 77
    path.write_text(json.dumps(content))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [_truncate, _other_score, _lost_image, _other_settings, _folder])
def test_a_damaged_row_is_named_in_one_line(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """With what to do about it; it is neither taken, nor made anew over what may be days of work."""
    store, row = RowStore(tmp_path), row_of()
    path = store.keep(row)
    damage(path)

    with pytest.raises(RowError) as refused:
        store.find(row.settings)

    message = str(refused.value)
    assert message.startswith(str(path))
    assert "remove it" in message
    assert "\n" not in message


def test_all_rows_are_not_given_while_one_is_damaged(tmp_path: Path) -> None:
    """A table without it would say that it is not made."""
    store = RowStore(tmp_path)
    store.keep(row_of())
    _truncate(store.keep(row_of(RowKey(9, "with exclusion map", "MoNuSeg"))))

    with pytest.raises(RowError, match=r"table-9-monuseg-with-exclusion-map-\w+\.json is damaged"):
        store.rows()


def test_scores_belong_to_the_images_of_the_settings() -> None:
    """One too many, one too few, and a figure that is none are refused when a row is made."""
    row = row_of()
    for scores in (row.scores | {"d": scores_of(0.5)}, {"a": scores_of(0.5)}, row.scores | {"a": scores_of(float("nan"))}):
        with pytest.raises(ValidationError):
            Row(**(row.model_dump() | {"scores": scores}))


@pytest.mark.parametrize(
    "change", [{"table": 10}, {"table": 0}, {"images": ["a", "a"]}, {"images": []}, {"budget": "huge"}, {"unknown": 1}], ids=str
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    """A table that the paper does not have, no image, one image twice, a budget or a field that nobody knows."""
    with pytest.raises(ValidationError):
        settings_of(**change)


def test_commits_are_shown_with_ten_digits_and_their_plus() -> None:
    """A plus says that the source tree had changes; `unknown` stays whole."""
    row = row_of()

    assert row.short_commit == "0123456789"
    assert row.model_copy(update={"commit": row.commit + "+"}).short_commit == "0123456789+"
    assert row.model_copy(update={"commit": "unknown"}).short_commit == "unknown"


def test_a_folder_that_cannot_hold_rows_is_refused(tmp_path: Path) -> None:
    """In words for the option that names it."""
    (tmp_path / "rows").write_text("a file")

    with pytest.raises(WriteRefusedError, match="--out"):
        RowStore(tmp_path).keep(row_of())


def test_a_setting_that_is_not_used_does_not_show() -> None:
    """A field that settings get later, with a default, leaves rows of before valid; any other value makes another row."""
    plain = settings_of(more={})
    with_default = RowSettings.model_validate_json(plain.model_dump_json(exclude_defaults=True))

    assert with_default.fingerprint == plain.fingerprint
    assert settings_of(more={"new": None}).fingerprint != plain.fingerprint
