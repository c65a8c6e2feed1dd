"""What a training is made of, read from one TOML file."""

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from nuclick_qp.errors import OptionError
from nuclick_qp.model.import_options import is_model_name
from nuclick_qp.storage.plain_files import LARGEST_SMALL_FILE, read_file


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(_Strict):
    """Where labelled images come from: a folder of image and label files, or a QuPath project.

    Attributes
    ----------
    folder
        Folder of NAME.png|jpg with NAME_label.png|tif beside it, relative to the data folder of the run.
    project
        Instead of `folder`: a project.qpproj, whose closed annotations become the truth.
    pattern
        Glob of the images, by file name or by their name in the project; label images are never
        taken for images.
    classes
        Only annotations of these classes are objects (``""`` for unclassified ones); empty takes all
        but those whose class ends in ``*``, which QuPath ignores as well. For projects.
    mpp
        Micrometres per pixel of the images; a project mostly knows it itself.
    object_area_px
        Instead of `mpp`: each image is scaled so that its median object has this area in patch
        pixels (by at most a factor of 2 either way). For folders.
    validation
        Globs of the images that are kept for validation and never trained on. In a project,
        rectangles of class Validation do so too.
    hold_out
        Learn from single outlines: what lies round them is read, whatever else is in the image, and this
        share of them is held out for validation where neither globs nor rectangles do. For projects.
    weight
        Share of the samples that come from here, relative to the other sources.
    """

    folder: Path | None = None
    project: Path | None = None
    pattern: str = "*"
    classes: tuple[str, ...] = ()
    mpp: float | None = Field(default=None, gt=0)
    object_area_px: float | None = Field(default=None, gt=0)
    validation: tuple[str, ...] = ()
    hold_out: float | None = Field(default=None, gt=0, lt=1)
    weight: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _states_one_place_and_one_resolution(self) -> Self:
        if (self.folder is None) == (self.project is None):
            raise ValueError("a source has either `folder` or `project`")
        if self.folder is not None and (self.mpp is None) == (self.object_area_px is None):
            raise ValueError(f"source {self.folder} must state either `mpp` or `object_area_px`")
        if self.folder is not None and self.classes:
            raise ValueError(f"`classes` is for projects; label images of {self.folder} have none")
        if self.folder is not None and self.hold_out is not None:
            raise ValueError(f"`hold_out` is for projects; give source {self.folder} `validation`")
        if self.project is not None and self.object_area_px is not None:
            raise ValueError(f"`object_area_px` is for folders; give source {self.project} `mpp` if the project has no pixel size")
        return self


class TouchingCells(_Strict):
    """Images of touching cells, synthesised from the single cells of the training images.

    Attributes
    ----------
    images
        How many are made, from the seed of the run.
    canvas_px
        Side of each, at the resolution of the network.
    cells
        Least and greatest number of cells in one.
    weight
        Share of the samples that come from them, relative to the sources.

    References
    ----------
    Koohbanani et al. 2020, section 4.1.
    """

    images: int = Field(gt=0)
    canvas_px: int = Field(default=512, ge=64)
    cells: tuple[int, int] = (10, 30)
    weight: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _has_a_range_of_cells(self) -> Self:
        if not 2 <= self.cells[0] <= self.cells[1]:
            raise ValueError(f"`cells` must rise and start at 2 or more, not {list(self.cells)}")
        return self


class Augmentation(_Strict):
    """How far a patch may be changed; every figure is the largest change either way.

    Attributes
    ----------
    zoom
        Factor of scale: drawn log-uniformly in [1 / zoom, zoom].
    stain
        Relative change of the amount of each stain (haematoxylin, eosin, DAB).
    restain
        Probability that eosin is turned into DAB.
    rings
        Probability that nuclei get rings of DAB, as in membranous immunohistochemistry.
    hue, saturation
        Turn of the colours in degrees, and relative change of their strength.
    brightness, contrast
        Shift of, and relative change around the mean, in units of the [0, 1] range.
    noise
        Greatest standard deviation of Gaussian noise, in the same units.
    blur, shuffle
        Probability that a patch is blurred or sharpened, or has its colour channels shuffled.
    off_centre_px
        A patch is centred on the prompt in use; in training it may be off by this much.
    """

    zoom: float = Field(default=1.25, ge=1)
    stain: float = Field(default=0.25, ge=0)
    restain: float = Field(default=0.2, ge=0, le=1)
    rings: float = Field(default=0.0, ge=0, le=1)
    hue: float = Field(default=0.0, ge=0, le=180)
    saturation: float = Field(default=0.0, ge=0, le=1)
    brightness: float = Field(default=0.1, ge=0)
    contrast: float = Field(default=0.2, ge=0)
    noise: float = Field(default=0.03, ge=0)
    blur: float = Field(default=0.4, ge=0, le=1)
    shuffle: float = Field(default=0.1, ge=0, le=1)
    off_centre_px: float = Field(default=8.0, ge=0)


class Loss(_Strict):
    """What the loss is made of, see `LossTerms`; the default is eq. 1.

    Attributes
    ----------
    overlap
        The term of the whole object: soft ``dice`` as in the paper, or soft ``iou``.
    weighted
        Whether the cross entropy is weighted as in eq. 1: wanted and other objects up, background not.
    rim, rim_px
        Factor of the mean cross entropy over the pixels near the outline of the wanted object, and how
        near they are.
    """

    overlap: Literal["dice", "iou"] = "dice"
    weighted: bool = True
    rim: float = Field(default=0.0, ge=0)
    rim_px: int = Field(default=4, gt=0)


class TeacherSettings(_Strict):
    """A finished model that the network learns from beside the labels, see `training.teacher`.

    Attributes
    ----------
    model
        Its name, or the path of its card, weights or folder; it sees patches as this configuration does.
    share
        Share of its probabilities in the target of the cross entropy; masks have the rest.
    """

    model: str
    share: float = Field(default=0.5, gt=0, le=1)


class TrainingConfig(_Strict):
    """One training run.

    Attributes
    ----------
    name, prompt
        Name of the model, and the kind of prompt that it is for.
    touching
        Synthetic images of touching cells beside those of the sources.
    mpp, patch_px
        Micrometres per pixel that the network sees, and side of its patches.
    click_radius_px
        Radius of the discs that clicks are drawn as, in patch pixels, written into the card; 0 is one
        pixel, as in the paper. For points.
    threshold, min_object_px, max_hole_px
        Post-processing at that resolution, written into the card.
    tells_scale
        Whether objects are so alike in size that the one under a click tells the scale of an image
        without a pixel size, as blood cells are: their median diameter is written into the card. For points.
    exclusion_drop, exclusion_keep
        Share of the patches without any exclusion signal, and the least share of neighbours that
        keep theirs in the others: users seldom click on everything.
    background_share
        Share of the clicks that hit no object: the network learns to answer them with nothing. Only
        for points: a squiggle beside all glands is not simulated.
    max_ratio
        Upper bound of the factor a of eq. 1. The paper has none, which a very large number gives;
        in crowded patches outlines grow then, see `LossTerms`.
    teacher
        A model, mostly a larger one, to learn from beside the labels: distillation.
    validate_every, validation_patches
        Steps between two validations, and about how many patches each looks at.
    keep_statistics
        Batch norm keeps the statistics of the model that the run starts from, for few images and few
        steps; else it learns those of this run.
    init_share
        The result is the mean of the trained weights and those that the run started from (``--init``),
        which have this share of it: less noise, and less forgetting of what this run does not show.
    """

    name: str
    prompt: Literal["point", "line"]
    description: str
    licence: str
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    touching: TouchingCells | None = None
    seed: int = Field(default=0, ge=0, lt=2**31)
    mpp: float = Field(default=0.25, ge=0.01, le=100)
    patch_px: int = Field(default=128, gt=0, le=2048, multiple_of=32)
    click_radius_px: float = Field(default=0.0, ge=0)
    threshold: float = Field(default=0.5, gt=0, lt=1)
    min_object_px: int = Field(default=50, ge=0)
    max_hole_px: int = Field(default=0, ge=0)
    tells_scale: bool = False
    width: float = Field(default=0.25, gt=0, le=4)
    ms_blocks: Literal[0, 1, 2, 3, 4] = 3
    steps: int = Field(default=6000, gt=0)
    batch_size: int = Field(default=32, gt=0, le=4096)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    warmup_steps: int = Field(default=200, ge=0)
    ema_decay: float = Field(default=0.998, ge=0, lt=1)
    exclusion_drop: float = Field(default=0.15, ge=0, le=1)
    exclusion_keep: float = Field(default=0.6, ge=0, le=1)
    background_share: float = Field(default=0.0, ge=0, lt=1)
    max_ratio: float = Field(default=1.0, gt=0)
    keep_statistics: bool = False
    init_share: float = Field(default=0.0, ge=0, lt=1)
    loss: Loss = Loss()
    teacher: TeacherSettings | None = None
    validate_every: int = Field(default=250, gt=0)
    validation_patches: int = Field(default=256, gt=0)
    checkpoint_minutes: float = Field(default=3.0, gt=0)
    augmentation: Augmentation = Augmentation()

    @field_validator("name")
    @classmethod
    def _names_a_file(cls, name: str) -> str:
        """Weights, card and pictures are called after the model, and belong into the folder of the run."""
        if not is_model_name(name):
            raise ValueError("a name has letters, digits, '.', '_' and '-' only, and is not 'default' or 'none'")
        return name

    @model_validator(mode="after")
    def _has_no_clicks_among_squiggles(self) -> Self:
        if self.prompt == "line" and self.background_share:
            raise ValueError("`background_share` is for points; remove it")
        if self.prompt == "line" and self.click_radius_px:
            raise ValueError("`click_radius_px` is for points; remove it")
        if self.prompt == "line" and self.tells_scale:
            raise ValueError("`tells_scale` is for points; remove it")
        return self


_PARTS = (Source, TouchingCells, Augmentation, Loss, TeacherSettings)


def read_config(path: Path) -> TrainingConfig:
    """Read a training configuration.

    Raises
    ------
    OptionError
        If the file is missing, is not TOML, or has a key or value that is not allowed; the message
        names file, key and reason.
    """
    try:
        return TrainingConfig.model_validate(tomllib.loads(read_file(path, most=LARGEST_SMALL_FILE).decode()))
    except OSError as err:
        raise OptionError(f"{path} cannot be read ({err.strerror}); give the path of a training configuration") from err
    except tomllib.TOMLDecodeError as err:
        raise OptionError(f"{path} is not valid TOML: {err}; correct that line") from err
    except UnicodeDecodeError as err:
        raise OptionError(f"{path} is not text in UTF-8 (byte {err.start}); save it so") from err
    except RecursionError as err:
        raise OptionError(f"{path} nests its values too deeply; give a training configuration") from err
    except ValidationError as err:
        raise OptionError(f"{path}: {_problem(err)}") from err


def _problem(error: ValidationError) -> str:
    """Say which key of a configuration is wrong, why, and what to do."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "the file"
    if first["type"] != "extra_forbidden":
        return f"{key}: {first['msg'].removeprefix('Value error, ')}; correct that key"
    known = sorted({name for model in (TrainingConfig, *_PARTS) for name in model.model_fields})
    meant = get_close_matches(str(first["loc"][-1]), known, n=1)
    return f"{key}: there is no such key; {f'did you mean `{meant[0]}`?' if meant else 'remove it'}"
