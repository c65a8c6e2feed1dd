"""A project with outlines becomes a model of the user's, if the model is better than the one it started from."""

import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nuclick_qp.annotations.objects import Changes
from nuclick_qp.errors import OptionError, TrainingDataError, WriteRefusedError
from nuclick_qp.model.cards import find_card
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.training.config import Augmentation, TrainingConfig
from nuclick_qp.training.images import LabelledImage
from nuclick_qp.tuning import recipe
from nuclick_qp.tuning import tune as tuning
from nuclick_qp.tuning.held_out import Measured
from nuclick_qp.tuning.tune import Tuned, default_name, tune
from nuclick_qp.tuning.tune_options import TuneOptions
from outlined_projects import PLACES, RADIUS, draw_outlines, outlined_project, small_model

Tune = Callable[..., Tuned]


@pytest.fixture
def project(tmp_path: Path, draw_discs: Callable[..., Path]) -> Path:
    """Make a project of one image in which every dark disc is outlined."""
    return outlined_project(tmp_path / "my study", draw_discs([(x, y, RADIUS) for x, y in PLACES]))


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """Make a small untrained model to start from, and give its card."""
    return small_model(tmp_path / "start")


@pytest.fixture
def run_tuning(project: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tune:
    """Give a function that tunes the small model in a few large steps: it knows nothing yet."""
    calm = Augmentation(zoom=1.0, stain=0.0, restain=0.0, noise=0.0, shuffle=0.0, blur=0.0)
    learning = {"batch_size": 8, "learning_rate": 1e-2, "keep_statistics": False, "validation_patches": 8, "augmentation": calm}

    def config_for(*given: Any, **more: Any) -> TrainingConfig:
        return recipe.config_for(*given, **more).model_copy(update=learning)

    monkeypatch.setattr(tuning, "config_for", config_for)

    def run(*, steps: int = 12, on_step: Callable[..., None] = lambda at: None, **options: Any) -> Tuned:
        monkeypatch.setattr(tuning, "steps_within", lambda seconds, config, options: steps)
        given: dict[str, Any] = {"init": str(start), "out": tmp_path / "out", "device": "cpu", "workers": 0}
        wanted = TuneOptions(**given | options)
        return tune(project, wanted, on_step=on_step)

    return run


def test_a_better_model_is_there_by_name(run_tuning: Tune, own_models: Path) -> None:
    """It is measured on outlines that it did not learn from, drawn, and among the user's models at once."""
    tuned = run_tuning(steps=60)

    assert tuned.after.iou > tuned.before.iou
    assert (tuned.learned, len(tuned.before.ious), len(tuned.after.ious)) == (36, 14, 14)  # four lie on the cut
    assert tuned.installed
    card, weights = find_card("start-my-study")
    assert card.sha256 == tuned.card.sha256
    assert weights.parent == own_models
    assert tuned.picture is not None
    with Image.open(tuned.picture) as picture:
        assert picture.size[0] > 800
    assert not (tuned.out / "checkpoint.pt").exists()


def test_a_model_that_is_no_better_is_not_installed(run_tuning: Tune, own_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies in the output folder, for whoever wants it all the same."""
    monkeypatch.setattr(tuning, "measure", lambda images, predictor: _measured(predictor.card.name, images, 0.5))

    tuned = run_tuning(steps=1)

    assert not tuned.installed
    assert list(own_models.iterdir()) == []
    assert (tuned.out / "start-my-study.safetensors").exists()


@pytest.mark.usefixtures("heed_ctrl_c")
def test_a_stopped_tuning_leaves_a_model_and_goes_on(run_tuning: Tune, tmp_path: Path) -> None:
    """What is learned so far can be used; the same call takes the steps that are left, not more, and ends with the same weights."""
    undisturbed = run_tuning(out=tmp_path / "other")

    with pytest.raises(KeyboardInterrupt):
        run_tuning(on_step=_stop_at(5))
    so_far = json.loads((tmp_path / "out" / "start-my-study.json").read_text())["sha256"]
    seen: list[int] = []
    tuned = run_tuning(steps=99, on_step=lambda at: seen.append(at.step))

    assert seen == list(range(6, 13))
    assert tuned.card.sha256 == undisturbed.card.sha256 != so_far


@pytest.mark.usefixtures("heed_ctrl_c")
def test_new_outlines_begin_anew(run_tuning: Tune, project: Path) -> None:
    """What a stopped tuning had learned may be held out now."""
    with pytest.raises(KeyboardInterrupt):
        run_tuning(on_step=_stop_at(5))
    draw_outlines(project, [(390, 290)], name="second")
    seen: list[int] = []

    run_tuning(on_step=lambda at: seen.append(at.step))

    assert seen[0] == 1


def test_a_project_may_replace_its_own_model_only(run_tuning: Tune, own_models: Path, start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second tuning with more outlines needs no other name; a model of others is kept."""
    ious = {"start": 0.5, "start-my-study": 0.6, "theirs": 0.6}
    monkeypatch.setattr(tuning, "measure", lambda images, predictor: _measured(predictor.card.name, images, ious[predictor.card.name]))
    assert run_tuning(steps=1).installed
    assert run_tuning(steps=2).installed

    (own_models / "theirs.json").write_bytes(start.read_bytes())
    with pytest.raises(OptionError, match=r"there is a model 'theirs' in .*; give another --name, or --overwrite"):
        run_tuning(name="theirs")
    with pytest.raises(OptionError, match="'nuclei' is a model that comes with nuclick-qp"):
        run_tuning(name="nuclei")
    assert run_tuning(steps=1, name="theirs", overwrite=True).installed


@pytest.mark.usefixtures("modes_hold")
def test_a_models_folder_that_cannot_be_written_is_told_first(run_tuning: Tune, own_models: Path) -> None:
    """Before minutes of work depend on it."""
    own_models.mkdir()
    own_models.chmod(0o500)
    seen: list[int] = []

    with pytest.raises(WriteRefusedError, match=r"own-models cannot hold files .*; choose another folder for NUCLICK_MODELS"):
        run_tuning(on_step=lambda at: seen.append(at.step))

    own_models.chmod(0o700)
    assert seen == []


def test_too_few_outlines_leave_nothing_behind(run_tuning: Tune, project: Path, tmp_path: Path) -> None:
    """The message counts them."""
    with open_project(project) as opened:
        (entry,) = opened.images()
        content = opened.read(entry)
        gone = frozenset(result.key for result in content.results[:40])
        opened.write(entry, Changes((), gone), fingerprint=content.fingerprint)

    with pytest.raises(TrainingDataError, match="has 14 outlines to learn from; outline 20 objects or more"):
        run_tuning()

    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("start_name", "folder", "name"),
    [("nuclei", "Ki67 (2024)", "nuclei-Ki67-2024"), ("nuclei-study", "study", "nuclei-study"), ("nuclei", "###", "nuclei-mine")],
)
def test_a_model_is_named_after_its_project(start_name: str, folder: str, name: str) -> None:
    """A model that is tuned further keeps its name."""
    assert default_name(start_name, Path(f"/data/{folder}/project.qpproj")) == name


@pytest.mark.parametrize(("options", "message"), [({"name": "a/b"}, "'a/b' cannot be the name"), ({"minutes": 0}, "leaves no time")])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    """In the words of the command line."""
    with pytest.raises(OptionError, match=message):
        TuneOptions(**options)


def _stop_at(step: int) -> Callable[..., None]:
    def stop(at: Any) -> None:
        if at.step == step:
            signal.raise_signal(signal.SIGINT)

    return stop


def _measured(name: str, images: Sequence[LabelledImage], iou: float) -> Measured:
    """Give a model that outlines every object as well."""
    count = sum(len(image.centroids) for image in images)
    found = tuple(np.zeros(image.labels.shape, np.int32) for image in images)
    return Measured(name, iou, iou, (iou,) * count, 0, found)
