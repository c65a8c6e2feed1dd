"""Tests of `nuclick_qp.run.project`: whole runs over drawn projects, with the files engine."""

import errno
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from drawn_projects import ALL, DISCS, objects_of, ours_of, points_at, run_on
from fixture_projects import snapshot
from nuclick_qp.annotations.objects import MODEL_KEY, OPTIONS_KEY, OUTLINE_KEY, PROMPT_KEY, VERSION_KEY
from nuclick_qp.errors import OptionError, PromptError, WriteRefusedError
from nuclick_qp.formats.geojson.reading import read_prompts
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation
from nuclick_qp.run.file import segment_file
from nuclick_qp.run.project import segment_project
from nuclick_qp.run.run_options import Progress, RunOptions
from nuclick_qp.run.run_record import RECORD_FOLDER
from nuclick_qp_cli.shared import print_report

DrawDiscs = Callable[..., Path]


def test_every_point_becomes_a_detection_of_its_class(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """Single points and each point of a multi-point annotation; class, measurements and metadata."""
    project = make_project(*ALL)
    before = objects_of(project)

    report = run_on(project, predictors)

    assert (report.prompts, report.ok, report.images[0].status) == (4, 4, "ok")
    after = objects_of(project)
    assert [repr(item.roi) for item in after[: len(before)]] == [repr(item.roi) for item in before]
    ours = after[len(before) :]
    assert [item.kind for item in ours] == ["detection"] * 4
    assert sorted(item.class_name or "" for item in ours) == ["", "Stroma", "Tumor", "Tumor"]
    assert {key for key, _ in ours[0].metadata} == {PROMPT_KEY, MODEL_KEY, OPTIONS_KEY, OUTLINE_KEY, VERSION_KEY}
    measured = dict(ours[0].measurements)
    assert measured["NuClick: probability"] > 0.99
    assert measured["Area µm^2"] == pytest.approx(np.pi * 81 / 16, rel=0.04)


@pytest.mark.parametrize("kind", ["annotation", "cell"])
def test_outlines_may_be_annotations_or_cells(make_project: Callable[..., Path], predictors: Predictors, kind: str) -> None:
    """And outlines written as annotations are no prompts for the next run."""
    project = make_project(*ALL)

    run_on(project, predictors, kind=kind)

    assert [item.kind for item in ours_of(project)] == [kind] * 4
    assert run_on(project, predictors, kind=kind).skipped == 4


def test_lines_without_model_are_reported(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """A squiggle is counted as skipped, with its reason, and the run is not all ok."""
    line = NewAnnotation("Polyline", ((50.0, 60.0), (70.0, 60.0)), name="gland", class_name="Gland")
    report = run_on(make_project(*ALL, line), predictors)

    assert (report.prompts, report.ok, report.skipped, report.all_ok) == (5, 4, 1, False)
    (missed,) = report.images[0].without_outline
    assert (missed.status, missed.detail, missed.class_name) == ("no-model", "no model for lines", "Gland")


def test_dry_run_writes_nothing(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """Everything is counted, and every byte stays."""
    project = make_project(*ALL)
    before = snapshot(project.parent)

    report = run_on(project, predictors, dry_run=True)

    assert report.ok == 4
    assert snapshot(project.parent) == before


def test_images_and_classes_choose_the_work(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """Only the matching image, only the wanted class."""
    project = make_project(*ALL, images=2)

    report = run_on(project, predictors, images="*-1.png", classes=("Stroma",))

    assert [image.image for image in report.images] == ["discs-1.png"]
    assert report.prompts == report.ok == 1
    assert (len(ours_of(project, "1")), len(ours_of(project, "2"))) == (0, 1)


def test_an_image_that_is_open_elsewhere_can_be_left_alone(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """By its number, as two images may have one name; it is not even read."""
    project = make_project(*ALL, images=2)

    report = run_on(project, predictors, skip=frozenset({"1"}))

    assert [image.image for image in report.images] == ["discs-1.png"]
    assert (len(ours_of(project, "1")), len(ours_of(project, "2"))) == (0, 4)


def test_one_bad_image_does_not_stop_the_others(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """The report tells which failed and why; nothing of it is written."""
    project = make_project(*ALL, images=3)
    data = project.parent / "data/2/data.qpdata"
    data.write_bytes(data.read_bytes()[:200])
    before = snapshot(project.parent / "data" / "2")

    report = run_on(project, predictors)

    assert [image.status for image in report.images] == ["ok", "failed", "ok"]
    assert "data.qpdata" in (report.images[1].error or "")
    assert snapshot(project.parent / "data" / "2") == before
    assert not report.all_ok


@pytest.mark.parametrize(
    ("problem", "said"),
    [("missing", "--image-root"), ("size", "400 x 300"), ("unreadable", r"discs-0\.png"), ("mpp", "pass --mpp, or set it in")],
)
def test_slides_that_cannot_be_used_fail_with_a_remedy(
    make_project: Callable[..., Path], predictors: Predictors, draw_discs: DrawDiscs, tmp_path: Path, problem: str, said: str
) -> None:
    """Missing, of another size, not an image, without a pixel size; the project stays as it was."""
    project = make_project(*ALL, mpp=None if problem == "mpp" else 0.25)
    slide = tmp_path / "discs-0.png"
    match problem:
        case "missing":
            slide.unlink()
        case "size":
            draw_discs(DISCS, size=(400, 310), name="discs-0.png")
        case "unreadable":
            slide.write_bytes(b"no image at all")
    before = snapshot(project.parent)

    report = run_on(project, predictors)

    assert re.search(said, report.images[0].error or "")
    assert report.images[0].status == "failed"
    assert snapshot(project.parent) == before


def test_moved_slide_is_found_below_the_image_root(make_project: Callable[..., Path], predictors: Predictors, tmp_path: Path) -> None:
    """`--image-root` finds it by name."""
    project = make_project(*ALL)
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "discs-0.png").rename(tmp_path / "elsewhere" / "deep" / "discs-0.png")

    assert run_on(project, predictors, image_root=tmp_path / "elsewhere").ok == 4


def test_pixel_size_of_the_user_serves_when_nobody_else_knows(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """`--mpp` is the last resort, and enough."""
    assert run_on(make_project(*ALL, mpp=None), predictors, mpp=0.25).ok == 4


def test_project_without_prompts_is_an_error(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """Nothing to do is said, with what to do; also when the classes leave nothing over."""
    project = make_project()

    with pytest.raises(PromptError, match=r"project\.qpproj has no points or lines in its 1 image\(s\); put a point"):
        run_on(project, predictors)


def test_classes_that_nobody_has_are_an_error(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """The message repeats the classes, so that a typing error is seen."""
    with pytest.raises(PromptError, match="'Tumour'"):
        run_on(make_project(*ALL), predictors, classes=("Tumour",))


def test_glob_that_matches_no_image_is_an_error(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """The message shows what names there are."""
    with pytest.raises(OptionError, match=r"discs-0\.png"):
        run_on(make_project(*ALL), predictors, images="*.svs")


def test_record_of_the_run_lies_beside_the_project(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """Model, checksum, device, counts: what a methods section needs."""
    project = make_project(*ALL)

    report = run_on(project, predictors)

    (record,) = (project.parent / RECORD_FOLDER).glob("run-*.json")
    assert json.loads(record.read_text()) == json.loads(report.model_dump_json())
    assert report.model["point"].sha256 == "0" * 64


def test_time_to_the_first_outline_is_reported(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """Within that of the run; none where nothing is looked at."""
    project = make_project(*ALL, images=2)

    first, again = run_on(project, predictors), run_on(project, predictors)

    assert first.first_outline_seconds is not None
    assert 0 < first.first_outline_seconds < first.seconds
    assert again.first_outline_seconds is None


def test_geojson_folder_gets_the_new_outlines(make_project: Callable[..., Path], predictors: Predictors, tmp_path: Path) -> None:
    """One file per image, the same outlines as in the project."""
    project = make_project(*ALL)

    run_on(project, predictors, geojson=tmp_path / "out")

    (path,) = (tmp_path / "out").iterdir()
    features = json.loads(path.read_text())["features"]
    areas = sorted(item.roi.area for item in ours_of(project) if item.roi is not None)
    assert sorted(feature["properties"]["measurements"]["Area µm^2"] * 16 for feature in features) == pytest.approx(areas, rel=1e-3)


def test_segment_and_run_give_the_same_outlines(make_project: Callable[..., Path], predictors: Predictors, tmp_path: Path) -> None:
    """The same prompts through GeoJSON and through a project, to QuPath's 32-bit coordinates."""
    places = [place for annotation in ALL for place in annotation.points]
    prompts = tmp_path / "prompts.geojson"
    prompts.write_text(json.dumps({"type": "MultiPoint", "coordinates": places}))
    run_on(make_project(*ALL), predictors, geojson=tmp_path / "run")

    report = segment_file(
        tmp_path / "discs-0.png", prompts, tmp_path / "segment.geojson", predictors=predictors, options=RunOptions(mpp=0.25)
    )

    assert report.ok == 4
    (by_run,) = (tmp_path / "run").iterdir()
    one, two = (json.loads(path.read_text())["features"] for path in (by_run, tmp_path / "segment.geojson"))
    assert {f["id"]: f["geometry"] for f in one} == {f["id"]: f["geometry"] for f in two}


def test_geojson_folder_is_tried_before_the_work(make_project: Callable[..., Path], predictors: Predictors, tmp_path: Path) -> None:
    """A file where the folder should be ends the run at once; nothing is changed."""
    project = make_project(*ALL)
    (tmp_path / "taken").write_text("mine")
    before = snapshot(project.parent)

    with pytest.raises(WriteRefusedError, match="--geojson"):
        run_on(project, predictors, geojson=tmp_path / "taken")
    assert snapshot(project.parent) == before


def test_misspelt_class_is_told(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """The other classes are done, and the run is not all ok."""
    report = run_on(make_project(*ALL), predictors, classes=("Tumor", "Strooma"))

    assert (report.ok, report.unknown_classes, report.all_ok) == (2, ("Strooma",), False)


def test_prompts_of_a_failed_image_are_counted(make_project: Callable[..., Path], predictors: Predictors, tmp_path: Path) -> None:
    """Without its slide all prompts of an image have failed; the sum does not hide them."""
    project = make_project(*ALL)
    (tmp_path / "discs-0.png").unlink()

    report = run_on(project, predictors)

    assert (report.prompts, report.ok, report.failed) == (4, 0, 4)


def test_image_root_that_is_no_folder_is_an_error(make_project: Callable[..., Path], predictors: Predictors, tmp_path: Path) -> None:
    """Before any image is looked at."""
    with pytest.raises(OptionError, match="is not a folder"):
        run_on(make_project(*ALL), predictors, image_root=tmp_path / "gone")


def test_nan_points_fail_and_the_rest_goes_on(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """The bad point is listed with what to do; it stays in the file as it is."""
    report = run_on(make_project(*ALL, points_at((float("nan"), 20))), predictors)

    assert (report.prompts, report.ok, report.failed) == (5, 4, 1)
    assert "delete it and draw it anew" in report.images[0].without_outline[0].detail


@pytest.mark.parametrize("taken", ["slide", "prompts"])
def test_segment_never_writes_over_what_it_reads(draw_discs: DrawDiscs, predictors: Predictors, tmp_path: Path, taken: str) -> None:
    """A slip in `-o` costs neither slide nor annotations."""
    slide, prompts = draw_discs(DISCS), tmp_path / "prompts.geojson"
    prompts.write_text(json.dumps({"type": "Point", "coordinates": [60, 60]}))
    before = snapshot(tmp_path)

    with pytest.raises(OptionError, match="overwritten by its own result"):
        segment_file(slide, prompts, slide if taken == "slide" else prompts, predictors=predictors, options=RunOptions(mpp=0.25))
    assert snapshot(tmp_path) == before


def test_segment_needs_prompts(predictors: Predictors, draw_discs: DrawDiscs, tmp_path: Path) -> None:
    """A file with areas only has nothing to do."""
    prompts = tmp_path / "areas.geojson"
    prompts.write_text(json.dumps({"type": "Polygon", "coordinates": [[[0, 0], [0, 9], [9, 9], [0, 0]]]}))
    assert read_prompts(prompts).prompts == ()

    with pytest.raises(PromptError, match=r"areas\.geojson has no points or lines"):
        segment_file(draw_discs(DISCS), prompts, tmp_path / "out.geojson", predictors=predictors)
    assert not (tmp_path / "out.geojson").exists()


def test_geojson_that_fails_behind_the_write_does_not_unsay_it(
    make_project: Callable[..., Path], predictors: Predictors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The outlines are in the project and counted; what failed is told, and the run is not all ok."""
    project = make_project(*ALL)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "discs-0.png-1.geojson").write_text("mine")

    report = run_on(project, predictors, geojson=tmp_path / "out")

    assert len(ours_of(project)) == report.ok == 4
    assert (report.all_ok, report.images[0].status) == (False, "partial")
    assert "the outlines are in the project, but: " in (report.images[0].error or "")
    assert (tmp_path / "out" / "discs-0.png-1.geojson").read_text() == "mine"
    print_report(report, as_json=False)
    assert "4 ok; the outlines are in the project, but: " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["data/1/summary.json", "classifiers/classes.json"])
def test_side_file_that_cannot_be_read_does_not_unsay_the_write(
    make_project: Callable[..., Path], predictors: Predictors, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Nested without end: it is left as it is, with a warning, and the report tells what stands in the data file."""
    project = make_project(*ALL)
    path = project.parent / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("[" * 100_000)

    report = run_on(project, predictors)

    assert (len(ours_of(project)), report.ok, report.all_ok) == (4, 4, True)
    assert path.read_text() == "[" * 100_000
    assert str(path) in caplog.text


def test_project_that_cannot_be_written_is_found_out_before_the_work(
    make_project: Callable[..., Path], predictors: Predictors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that is mounted for reading; a dry run needs no more."""
    project = make_project(*ALL)
    before = snapshot(project.parent)
    real = os.open

    def read_only(path: str | Path, flags: int, *rest: int, **options: int) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) and str(path).startswith(str(project.parent)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", read_only)
    done: list[int] = []
    with open_project(project) as opened:
        report = segment_project(opened, predictors, progress=Progress(advance=done.append))

    error = report.images[0].error or ""
    assert "could not be written (Read-only file system); it is as it was: copy the folder to a disk that can be written" in error
    assert done == []
    assert run_on(project, predictors, dry_run=True).ok == 4
    assert snapshot(project.parent) == before


def test_record_is_not_written_where_a_link_leads(
    make_project: Callable[..., Path], predictors: Predictors, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The folder of the records is ours; a link of that name is a stranger's."""
    project = make_project(*ALL)
    (tmp_path / "outside").mkdir()
    (project.parent / RECORD_FOLDER).symlink_to(tmp_path / "outside")

    assert run_on(project, predictors).all_ok

    assert list((tmp_path / "outside").iterdir()) == []
    assert "symbolic link" in caplog.text


@pytest.mark.parametrize("linked", ["project", "project/data", "project/data/1"])
def test_folder_on_another_disk_is_worked_on_through_its_link(
    make_project: Callable[..., Path], predictors: Predictors, tmp_path: Path, linked: str
) -> None:
    """Common on clusters: the link stays, and the file, its backup and its lock lie where it leads."""
    project = make_project(*ALL)
    (tmp_path / linked).rename(tmp_path / "large-disk")
    (tmp_path / linked).symlink_to(tmp_path / "large-disk")

    assert run_on(project, predictors).all_ok

    assert (tmp_path / linked).is_symlink()
    assert len(ours_of(project)) == 4
    assert (project.parent / "data/1/data.qpdata.nuclick-backup").is_file()
    assert not list((tmp_path / "large-disk").rglob("*.nuclick-lock"))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="every name is text here")
def test_project_in_a_folder_whose_name_is_no_text(make_project: Callable[..., Path], predictors: Predictors, tmp_path: Path) -> None:
    """Bytes that are no UTF-8: the outlines are written, the report says so, and so does the record."""
    make_project(*ALL)
    folder = (tmp_path / "project").rename(tmp_path / os.fsdecode(b"pr\xff"))

    report = run_on(folder / "project.qpproj", predictors)

    assert (report.all_ok, report.ok) == (True, 4)
    (record,) = (folder / RECORD_FOLDER).glob("run-*.json")
    assert json.loads(record.read_text())["ok"] == 4


@pytest.mark.parametrize("name", ["other.svs", "other.png", "settings.json", "packed.zip"])
def test_segment_replaces_nothing_but_geojson(draw_discs: DrawDiscs, predictors: Predictors, tmp_path: Path, name: str) -> None:
    """Even when it may overwrite: not an image, not the settings of another program."""
    slide, prompts = draw_discs(DISCS), tmp_path / "prompts.geojson"
    prompts.write_text(json.dumps({"type": "Point", "coordinates": [60, 60]}))
    (tmp_path / name).write_text('{"theme": "dark"}')
    before = snapshot(tmp_path)

    with pytest.raises((OptionError, WriteRefusedError), match=r"name (another|the) file|move it away"):
        segment_file(slide, prompts, tmp_path / name, predictors=predictors, options=RunOptions(mpp=0.25, overwrite="edited"))
    assert snapshot(tmp_path) == before


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Give the two ends of a terminal that nobody looks at."""
    ends = os.openpty()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["pipe", "link to nothing", "link to a device"])
def test_segment_writes_into_files_only(
    draw_discs: DrawDiscs, predictors: Predictors, tmp_path: Path, terminal: tuple[int, int], kind: str
) -> None:
    """What is no file is not replaced by one, and nothing is written through a link that leads nowhere."""
    slide, prompts, output = draw_discs(DISCS), tmp_path / "prompts.geojson", tmp_path / "out.geojson"
    prompts.write_text(json.dumps({"type": "Point", "coordinates": [60, 60]}))
    match kind:
        case "pipe":
            os.mkfifo(output)
        case "link to nothing":
            output.symlink_to(tmp_path / "elsewhere.geojson")
        case _:  # a terminal of our own: if root ever wrote through the link, /dev/null of the machine would be gone
            output.symlink_to(os.ttyname(terminal[1]))
    before = [(p.name, p.lstat().st_mode) for p in sorted(tmp_path.iterdir())]

    with pytest.raises(WriteRefusedError, match=r"out\.geojson could not be written"):
        segment_file(slide, prompts, output, predictors=predictors, options=RunOptions(mpp=0.25, overwrite="edited"))

    assert [(p.name, p.lstat().st_mode) for p in sorted(tmp_path.iterdir())] == before
