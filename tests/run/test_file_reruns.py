"""Tests of `nuclick_qp.run.file`: files that are run again are treated as projects are."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from asap_files import annotation, asap_file, group
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.model.predictor import Predictor, Predictors
from nuclick_qp.run.clearing import clear
from nuclick_qp.run.file import segment_file
from nuclick_qp.run.report import RunReport
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.segmentation.segment_options import SegmentOptions

DISCS = [(60.0, 60.0, 12.0), (200.0, 150.0, 12.0)]
FORMS = ["xml", "geojson"]


class Study:
    """A slide, its prompts and its outlines, in one format."""

    def __init__(self, folder: Path, slide: Path, predictor: Predictor, form: str) -> None:
        self.slide, self.form = slide, form
        self.predictors: Predictors = {"point": predictor}
        self.prompts, self.output = folder / f"clicks.{form}", folder / f"out.{form}"
        self.click(*((x, y) for x, y, _ in DISCS))

    def click(self, *places: tuple[float, float], class_name: str = "Tumor") -> None:
        """Put a point at each place."""
        if self.form == "xml":
            asap_file(self.prompts, *(annotation("Dot", xy, group=class_name) for xy in places), groups=(group(class_name),))
        else:
            classified = {"classification": {"name": class_name}}
            points = [{"type": "Feature", "geometry": {"type": "Point", "coordinates": xy}, "properties": classified} for xy in places]
            self.prompts.write_text(json.dumps(points))

    def run(self, **options: object) -> RunReport:
        """Segment."""
        chosen = RunOptions(mpp=0.25, **options)  # type: ignore[arg-type]  # each is what its test says
        return segment_file(self.slide, self.prompts, self.output, predictors=self.predictors, options=chosen)

    def reshape(self) -> None:
        """Move one vertex of the first outline, as a user does."""
        text = self.output.read_text()
        place = r'nuclick [^>]*>\s*<Coordinates>\s*<Coordinate Order="0" X="' if self.form == "xml" else r'"Polygon","coordinates":\[\[\['
        old = re.search(rf"{place}(\d+\.?\d*)", text)
        assert old is not None
        if self.form == "xml":
            changed = text[: old.start(1)] + f"{float(old[1]) + 1:.4f}" + text[old.end(1) :]
        else:
            collection = json.loads(text)
            ring = collection["features"][0]["geometry"]["coordinates"][0]
            ring[0][0] = ring[-1][0] = ring[0][0] + 1
            changed = json.dumps(collection)
        self.output.write_text(changed)


@pytest.fixture(params=FORMS)
def study(request: pytest.FixtureRequest, tmp_path: Path, draw_discs: Callable[..., Path], dark_predictor: Predictor) -> Study:
    """Give a study of each format."""
    return Study(tmp_path, draw_discs(DISCS), dark_predictor, request.param)


def test_second_run_has_nothing_to_do(study: Study) -> None:
    """All is `unchanged`, also in a run that would make it otherwise, and not a byte changes."""
    assert study.run().ok == 2
    before = study.output.read_bytes()

    report = study.run()
    other = study.run(segment=SegmentOptions(tta=True))

    assert (report.images[0].statuses, report.images[0].differing) == ({"unchanged": 2}, 0)
    assert (other.images[0].statuses, other.images[0].differing) == ({"unchanged": 2}, 2)
    assert study.output.read_bytes() == before


@pytest.mark.usefixtures("modes_hold")
def test_output_that_cannot_be_written_is_no_error_where_all_is_done(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that is read-only by now; it is refused, before any work, as soon as there is something to write."""
    study.output = tmp_path / "out" / study.output.name
    study.output.parent.mkdir()
    study.run()
    before = study.output.read_bytes()
    study.output.parent.chmod(0o555)
    try:
        report = study.run()
        monkeypatch.setattr("nuclick_qp.run.image.segment_by_plane", lambda *_, **__: pytest.fail("it works in vain"))
        study.click((100.0, 200.0))
        with pytest.raises(WriteRefusedError, match="could not be written"):
            study.run()
        monkeypatch.undo()
        study.click((60.0, 60.0))
        with pytest.raises(WriteRefusedError, match=r"cannot be written|could not be written"):
            study.run(prune=True)
    finally:
        study.output.parent.chmod(0o755)

    assert (report.images[0].statuses, report.all_ok) == ({"unchanged": 2}, True)
    assert study.output.read_bytes() == before


def test_overwrite_gives_the_same_bytes(study: Study) -> None:
    """Made anew, each once."""
    study.run()
    before = study.output.read_bytes()

    report = study.run(overwrite="unedited")

    assert (report.ok, report.images[0].removed) == (2, 2)
    assert study.output.read_bytes() == before


def test_outlines_of_moved_points_are_told_and_pruned(study: Study) -> None:
    """A dry run says so and writes nothing."""
    study.run()
    study.click((60, 60), (202, 150))

    moved = study.run()
    before = study.output.read_bytes()
    told = study.run(prune=True, dry_run=True)

    assert (moved.ok, moved.images[0].orphaned, told.images[0].pruned) == (1, 1, 1)
    assert study.output.read_bytes() == before
    pruned = study.run(prune=True)
    assert (pruned.images[0].pruned, pruned.images[0].statuses) == (1, {"unchanged": 2})
    assert study.run().images[0].orphaned == 0


def test_edited_outlines_are_kept(study: Study) -> None:
    """As in a project, until it is said that they go."""
    study.run()
    study.reshape()
    before = study.output.read_bytes()

    assert study.run().images[0].statuses == {"edited": 1, "unchanged": 1}
    assert study.output.read_bytes() == before
    assert study.run(overwrite="unedited").images[0].statuses == {"edited": 1, "ok": 1}
    assert study.run(overwrite="edited").ok == 2


def test_outlines_follow_the_class_of_their_prompts(study: Study) -> None:
    """It is no edit."""
    study.run()
    study.click(*((x, y) for x, y, _ in DISCS), class_name="Stroma")

    report = study.run()

    assert (report.ok, report.images[0].removed, report.images[0].orphaned) == (2, 2, 0)
    assert study.run().images[0].statuses == {"unchanged": 2}


def test_clearing_removes_outlines_only(study: Study) -> None:
    """A dry run counts; an edited outline stays until it is named; what else is in the file stays as it is."""
    study.run()
    before = study.output.read_bytes()

    (told,) = clear(study.output, dry_run=True)
    assert (told.removed, told.edited, study.output.read_bytes()) == (2, 0, before)
    study.reshape()
    (first,) = clear(study.output)
    (last,) = clear(study.output, edited=True)

    assert ((first.removed, first.edited), (last.removed, last.edited)) == ((1, 1), (1, 0))
    assert "nuclick" not in study.output.read_text().removeprefix('<?xml version="1.0"?>')
    if study.form == "xml":
        assert study.output.read_bytes() == study.prompts.read_bytes()


def test_objects_of_others_in_a_geojson_file_stay(tmp_path: Path, draw_discs: Callable[..., Path], dark_predictor: Predictor) -> None:
    """With ids and without: outlines are put beside them."""
    study = Study(tmp_path, draw_discs(DISCS), dark_predictor, "geojson")
    theirs = [{"type": "Feature", "id": "PathAnnotationObject", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {}}]
    theirs.append({"type": "Feature", "geometry": {"type": "Point", "coordinates": [3, 4]}, "properties": {"a": 1}})
    study.output.write_text(json.dumps(theirs))

    for options in ({}, {"overwrite": "unedited"}):
        study.run(**options)
        features = json.loads(study.output.read_text())["features"]
        assert [feature for feature in features if "nuclick" not in feature["properties"]] == theirs
        assert len(features) == 4
    clear(study.output)
    assert json.loads(study.output.read_text())["features"] == theirs


def test_outlines_that_went_through_qupath_are_known_by_their_ids(
    tmp_path: Path, draw_discs: Callable[..., Path], dark_predictor: Predictor
) -> None:
    """QuPath leaves out members that it does not know: the outlines stay, and may be overwritten."""
    study = Study(tmp_path, draw_discs(DISCS), dark_predictor, "geojson")
    study.run()
    collection = json.loads(study.output.read_text())
    for feature in collection["features"]:
        del feature["properties"]["nuclick"]
    study.output.write_text(json.dumps(collection))

    assert study.run().images[0].statuses == {"unchanged": 2}
    assert study.run(overwrite="unedited").ok == 2
    assert len(json.loads(study.output.read_text())["features"]) == 2
