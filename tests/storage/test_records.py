"""Tests of `nuclick_qp.storage.records`."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from nuclick_qp.export.export_options import ExportOptions
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.storage.records import json_value


def test_options_of_a_run_are_values_and_no_texts_of_python() -> None:
    """Whoever reads a record gets numbers, lists and null."""
    options = RunOptions(classes=("Tumor",), left_out=frozenset({"line"}), geojson=Path("out"), segment=SegmentOptions(tta=True))

    record = json.loads(json.dumps(json_value(options)))

    assert record.keys() == {field.name for field in fields(RunOptions)}
    told = {"images": "*", "classes": ["Tumor"], "left_out": ["line"], "mpp": None, "geojson": "out", "dry_run": False}
    assert {name: record[name] for name in told} == told
    assert record["segment"] == {"batch_size": 32, "tile_px": 512, "use_exclusion": True, "tta": True}


def test_options_of_an_export_are_values() -> None:
    """The same for exports."""
    record = json_value(ExportOptions(mpp=0.5, kinds=("cell",)))

    assert (record["mpp"], record["kinds"], record["regions"], record["pixels"]) == (0.5, ["cell"], None, True)


def test_what_json_has_no_place_for_is_refused() -> None:
    """Nothing becomes the text that Python shows for it."""
    with pytest.raises(TypeError, match="has no place in a record"):
        json_value({"a": object()})
