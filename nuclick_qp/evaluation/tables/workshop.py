"""The trained methods of the tables: each is trained once, by one budget, and stands in every table that asks for it."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch import nn

from nuclick_qp.evaluation.baselines.boxes import BifSeg, DeepGrabCut, Dextr
from nuclick_qp.evaluation.baselines.clicks import Ifcn, LatentDiversity
from nuclick_qp.evaluation.baselines.deep import LEAST_IMAGES, Course, Deep, with_objects
from nuclick_qp.evaluation.baselines.fair import Chosen
from nuclick_qp.evaluation.baselines.mask_rcnn import InteractiveMaskRcnn
from nuclick_qp.evaluation.baselines.method import Method
from nuclick_qp.evaluation.baselines.networks import FCN8, SegNet, UNet
from nuclick_qp.evaluation.baselines.nuclick_method import NuClick
from nuclick_qp.evaluation.baselines.students import AllObjects, Student, Untaught
from nuclick_qp.evaluation.tables.budgets import Budget
from nuclick_qp.evaluation.tables.labelled_sets import Folder, LabelledSet, Part, Size, joined, read_set, touching_set
from nuclick_qp.evaluation.tables.rows import MASKS_BY
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.lesson import Lesson
from nuclick_qp.training.log import read_log
from nuclick_qp.training.training_run import TrainingRun

logger = logging.getLogger(__name__)

SEED = 2020
NUCLEI_MPP, CELLS_MPP, GLANDS_MPP = 0.25, 0.25, 0.62
SQUIGGLE_MPP = 1.24  # 256 px show as much tissue as the paper's 512 at GLANDS_MPP
CANVAS_PX, CELLS = 512, (10, 30)
VALIDATIONS = 8

Kind = Literal["nuclei", "cells", "squiggles", "boxes"]

FOLDERS = {
    "MoNuSeg": (Folder("nuclei/{part}", "monuseg_*", 0.25),),
    "TNBC": (Folder("nuclei/{part}", "tnbc_*", 0.25),),
    "NuInsSeg": (Folder("nuclei/{part}", "nuins_*", 0.22),),
    "LBC": (Folder("pap/{part}", "lbc_*", 0.5),),
    "BCCD and set 1": (Folder("cells/{part}", "bccd_*", 0.083), Folder("cells/{part}", "wbc1_*", 0.2)),
    "SegPC": (Folder("cells/{part}", "segpc_*", 0.2),),
    "GlaS": (Folder("glands/{part}", "glas_t*", GLANDS_MPP),),
    "GlaS A": (Folder("glands/{part}", "glas_testA_*", GLANDS_MPP),),
    "GlaS B": (Folder("glands/{part}", "glas_testB_*", GLANDS_MPP),),
}
MPP = {"LBC": 0.5, "BCCD and set 1": CELLS_MPP, "SegPC": CELLS_MPP} | dict.fromkeys(("GlaS", "GlaS A", "GlaS B"), GLANDS_MPP)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one method is made and trained.

    Attributes
    ----------
    kind
        Patches that it learns from.
    training
        Set that it learns from; with ``masks by NuClick (SET)`` behind it, from the outlines of NuClick trained on SET.
    make
        Makes the method from its course.
    ms_blocks
        Of NuClick's network.
    lesson
        What a rival teaches. Its settings stand in the configuration, so that a row or a training made with others is not taken for
        one of these.
    """

    kind: Kind
    training: str
    make: Callable[[Course], Method]
    ms_blocks: int = 3
    lesson: Lesson | None = None


def _rival(kind: Kind, training: str, lesson: Lesson) -> Recipe:
    return Recipe(kind, training, partial(Deep, lesson), lesson=lesson)


def _student(training: str, make: Callable[[int, float], nn.Module]) -> Recipe:
    lesson = AllObjects(make)
    return Recipe("nuclei", training, partial(Student, lesson), lesson=lesson)


def _backbone(make: Callable[[int, float], nn.Module], settings: NetworkSettings) -> nn.Module:
    return make(settings.in_channels, settings.width)


BACKBONES: dict[str, Callable[[int, float], nn.Module]] = {"U-Net": UNet, "FCN-8": FCN8, "SegNet": SegNet}
NUCLICK, CANVASES = "NuClick", "touching cells"
RECIPES: dict[str, Recipe] = {
    **{f"nuclei/{name}": Recipe("nuclei", "MoNuSeg", partial(NuClick, make=partial(_backbone, make))) for name, make in BACKBONES.items()},
    **{f"nuclei/NuClick, {blocks} MS": Recipe("nuclei", "MoNuSeg", NuClick, ms_blocks=blocks) for blocks in (0, 1, 2, 4)},
    "nuclei/NuClick": Recipe("nuclei", "MoNuSeg", NuClick),
    "nuclei/NuClick, 4 channels": Recipe("nuclei", "MoNuSeg", partial(NuClick, in_channels=4)),
    "nuclei/NuClick of TNBC": Recipe("nuclei", "TNBC", NuClick),
    "nuclei/iFCN": _rival("nuclei", "MoNuSeg", Ifcn()),
    "nuclei/LD": _rival("nuclei", "MoNuSeg", LatentDiversity()),
    "cells/NuClick": Recipe("cells", CANVASES, NuClick),
    "cells/iFCN": _rival("cells", CANVASES, Ifcn()),
    "cells/LD": _rival("cells", CANVASES, LatentDiversity()),
    "glands/NuClick": Recipe("squiggles", "GlaS", NuClick),
    "glands/Deep GrabCut": _rival("boxes", "GlaS", DeepGrabCut()),
    "glands/DEXTR": _rival("boxes", "GlaS", Dextr()),
    "glands/Mask R-CNN": _rival("boxes", "GlaS", InteractiveMaskRcnn()),
    "glands/BIFSeg": _rival("boxes", "GlaS", BifSeg()),
    **{
        f"students/{name}, {training}": _student(training, make)
        for name, make in BACKBONES.items()
        for training in ("MoNuSeg", "TNBC", "MoNuSeg, masks by NuClick (TNBC)", "TNBC, masks by NuClick (MoNuSeg)")
    },
}
TEACHERS = {"TNBC": "nuclei/NuClick of TNBC", "MoNuSeg": "nuclei/NuClick"}


@dataclass(frozen=True, slots=True)
class Trained:
    """A method that is ready.

    Attributes
    ----------
    seconds
        Taken by its steps, all sittings together.
    curve
        Log of its training; None where its teacher drew too little to learn from.
    """

    method: Method
    seconds: float
    curve: Path | None


@dataclass(slots=True)
class Workshop:
    """Reads sets and trains methods when they are first asked for.

    Attributes
    ----------
    data
        Folder of the data sets, as laid out in docs/paper.md.
    out
        Each training has a folder in it, and goes on where it was stopped.
    on_step
        Is told the name of the method, and of its progress.
    """

    data: Path
    out: Path
    budget: Budget
    device: str = "auto"
    threads: int | None = None
    on_step: Callable[[str, Any], None] = lambda name, progress: None
    _sets: dict[tuple[str, str], LabelledSet] = field(default_factory=dict)
    _trained: dict[str, Trained] = field(default_factory=dict)
    _chosen: dict[tuple[tuple[Method, ...], str], Chosen] = field(default_factory=dict)

    def test_set(self, name: str) -> LabelledSet:
        """Give what is measured on."""
        if name == CANVASES:
            return self._once(("test", name), lambda: self._canvases("test", self.budget.canvases[1]))
        return self._once(("test", name), lambda: self._read(name, "test", self.budget.test))

    def training_set(self, name: str) -> LabelledSet:
        """Give what is trained on."""
        of, teacher = _of_teacher(name)
        if name == CANVASES:
            return self._once(("train", name), lambda: self._canvases("train", self.budget.canvases[0]))
        if teacher is not None:
            return self._once(("train", name), lambda: self._outlined(name, self.training_set(of), teacher))
        return self._once(("train", name), lambda: self._read(name, "train", self.budget.training))

    def chosen(self, candidates: Sequence[Method], name: str) -> Chosen:
        """Give the best of some candidates on a few training images of a set; they are tried once, whatever is measured then."""
        key = (tuple(candidates), name)
        if key not in self._chosen:
            method = Chosen(candidates)
            method.fit(self._settings_set(name).pairs)
            self._chosen[key] = method
        return self._chosen[key]

    def trained(self, key: str) -> Trained:
        """Give a trained method of `RECIPES`; what it learns from is read or made first."""
        if key not in self._trained:
            self._trained[key] = self._train(key)
        return self._trained[key]

    def _settings_set(self, name: str) -> LabelledSet:
        """Give the training images that classic methods choose their settings on."""
        if name == CANVASES:
            return self.training_set(name).taken(self.budget.settings)
        return self._once(("settings", name), lambda: self._read(name, "train", self.budget.settings))

    def _train(self, key: str) -> Trained:
        recipe, name = RECIPES[key], key.replace("/", "-").replace(", ", "-").replace(" ", "_")
        folder = self.out / "trainings" / self.budget.name / name  # trainings of two budgets have other checkpoints
        learned_from = self.training_set(recipe.training)
        drawn, (_, teacher) = len(with_objects(learned_from.pairs)), _of_teacher(recipe.training)
        if teacher is not None and drawn < LEAST_IMAGES:
            logger.warning("%s drew an object in %d of %d images: %s learns nothing from it", teacher, drawn, len(learned_from.pairs), key)
            return Trained(Untaught(), 0.0, None)
        config = config_for(key, recipe, self.budget)
        run = TrainingRun(self.data, folder, device=self.device, threads=self.threads)
        course = Course(config, run, learned_from.mpp, on_step=partial(self.on_step, key))
        method = recipe.make(course)
        method.fit(learned_from.pairs)
        return Trained(method, _seconds_of(folder / "log.csv"), folder / "log.csv")

    def _outlined(self, name: str, images: LabelledSet, key: str) -> LabelledSet:
        """Give images with the masks that a trained method draws, from a prompt for each true object."""
        method = self.trained(key).method
        return images.with_truth(name, [method.segment(*pair) for pair in images.pairs])

    def _canvases(self, part: Part, count: int) -> LabelledSet:
        """Make images of touching cells, of each source its share: their colours go together."""
        made = []
        for number, folder in enumerate(FOLDERS["BCCD and set 1"]):
            single = read_set(folder.pattern.partition("_")[0], [_in(folder, part)], self.data, mpp=CELLS_MPP, size=Size())
            seed = SEED + 10 * number + (part == "test")
            made.append(touching_set(CANVASES, single, images=(count + 1 - number) // 2, canvas_px=CANVAS_PX, cells=CELLS, seed=seed))
        return joined(CANVASES, made)

    def _read(self, name: str, part: Part, size: Size) -> LabelledSet:
        return read_set(name, [_in(folder, part) for folder in FOLDERS[name]], self.data, mpp=MPP.get(name, NUCLEI_MPP), size=size)

    def _once(self, key: tuple[str, str], make: Callable[[], LabelledSet]) -> LabelledSet:
        if key not in self._sets:
            self._sets[key] = make()
        return self._sets[key]


def config_for(key: str, recipe: Recipe, budget: Budget) -> TrainingConfig:
    """Give the configuration of a training; all methods of one kind have the same data, budget and augmentation."""
    large = recipe.kind in ("squiggles", "boxes")
    batch = max(budget.batch // 4, 8) if large else budget.batch
    steps = budget.patches // 3 // batch if large else budget.patches // batch
    mpp = {"nuclei": NUCLEI_MPP, "cells": CELLS_MPP, "squiggles": SQUIGGLE_MPP, "boxes": GLANDS_MPP}[recipe.kind]
    base, _ = _of_teacher(recipe.training)
    folders = FOLDERS["BCCD and set 1" if base == CANVASES else base]
    return TrainingConfig.model_validate(
        {
            "name": "".join(letter if letter.isalnum() else "-" for letter in key),
            "prompt": "line" if large else "point",
            "description": f"{key} of the paper's tables, budget {budget.name}{_more_settings(recipe, budget)}",
            "licence": "as the data",
            "sources": [{"folder": folder.path.format(part="train"), "pattern": folder.pattern, "mpp": folder.mpp} for folder in folders],
            "seed": SEED,
            "mpp": mpp,
            "patch_px": 256 if large else 128,
            "min_object_px": 50 if recipe.kind != "nuclei" else 10,
            "width": budget.width,
            "ms_blocks": recipe.ms_blocks,
            "steps": steps,
            "batch_size": batch,
            "warmup_steps": min(100, steps // 10),
            "ema_decay": 0.998 if steps > 200 else 0.9,
            "validate_every": max(1, steps // (VALIDATIONS if steps > 200 else VALIDATIONS // 2)),
            "validation_patches": min(256, budget.patches // 10),
            "augmentation": {"off_centre_px": 30 if recipe.kind == "squiggles" else 8, "restain": 0.0, "hue": 10, "saturation": 0.2},
        }
    )


def _more_settings(recipe: Recipe, budget: Budget) -> str:
    """Say what of a recipe no other key of the configuration has: the settings of a lesson, and how a teacher was made."""
    _, teacher = _of_teacher(recipe.training)
    lesson = "" if recipe.lesson is None else f": {recipe.lesson}"
    if teacher is None:
        return lesson
    taught = config_for(teacher, RECIPES[teacher], budget).model_dump_json().encode()
    return f"{lesson}; the teacher is {teacher} of configuration {hashlib.sha256(taught).hexdigest()[:12]}"


def _of_teacher(training: str) -> tuple[str, str | None]:
    """Split the name of what is trained on into that of its images, and the key of the training that made its masks, if one did."""
    images, _, teacher = training.removesuffix(")").partition(MASKS_BY)
    return images, TEACHERS[teacher] if teacher else None


def _in(folder: Folder, part: Part) -> Folder:
    return Folder(folder.path.format(part=part), folder.pattern, folder.mpp)


def _seconds_of(log: Path) -> float:
    """Add up the seconds of all steps of a training, from its log."""
    rows = read_log(log)
    before = [0, *(row.step for row in rows)]
    return sum((row.step - since) * row.seconds_per_step for since, row in zip(before, rows, strict=False))
