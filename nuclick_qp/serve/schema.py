"""What is asked of the service and what it answers, field by field; the OpenAPI page shows the same."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Base64Bytes, BaseModel, ConfigDict, Field, FiniteFloat, field_validator, model_validator

from nuclick_qp.kinds import ObjectKind, Overwrite, PromptKind, Scale
from nuclick_qp.mpp_limits import LARGEST_MPP, SMALLEST_MPP

MOST_PROMPTS = 1000  # of one request; more belong in several, or in a job
MOST_CONTEXT = 20_000
MOST_REGIONS = 256
LARGEST_SIDE = 2**31 - 1  # px of an image; QuPath counts in ints

Coordinate = Annotated[FiniteFloat, Field(ge=-1e9, le=1e9)]
XYPair = tuple[Coordinate, Coordinate]
Count = Annotated[int, Field(ge=1, le=LARGEST_SIDE)]
PixelSize = Annotated[FiniteFloat, Field(ge=SMALLEST_MPP, le=LARGEST_MPP)]
Name = Annotated[str, Field(max_length=500)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RegionBox(_Message):
    """A rectangle of one pyramid level.

    Attributes
    ----------
    level
        Index into `ImageFacts.levels`.
    x, y, width, height
        In whole pixels of that level, from the top left of the image as QuPath shows it.
    """

    level: Annotated[int, Field(ge=0, le=63)] = 0
    x: Annotated[int, Field(ge=0, le=LARGEST_SIDE)]
    y: Annotated[int, Field(ge=0, le=LARGEST_SIDE)]
    width: Count
    height: Count


class WantedRegion(RegionBox):
    """Pixels that are needed and did not come with the request; `downsample` is that of the level."""

    downsample: float


class PixelRegion(RegionBox):
    """The pixels of a rectangle.

    Attributes
    ----------
    encoding
        ``png``, ``jpeg``, or ``rgb``: three bytes per pixel, row by row.
    data
        In base64.
    """

    encoding: Literal["png", "jpeg", "rgb"] = "png"
    data: Base64Bytes


class ImageFacts(_Message):
    """The image that the prompts lie on, as QuPath shows it.

    Attributes
    ----------
    levels
        (width, height) of each pyramid level, level 0 first.
    mpp
        Micrometres per level-0 pixel, mean of x and y.
    """

    levels: Annotated[list[tuple[Count, Count]], Field(min_length=1, max_length=64)]
    mpp: PixelSize


class PromptMessage(_Message):
    """One click, or the strokes of one squiggle, in level-0 pixels; see `nuclick_qp.Prompt`."""

    kind: PromptKind
    strokes: Annotated[list[Annotated[list[XYPair], Field(min_length=1, max_length=10_000)]], Field(min_length=1, max_length=100)]
    class_name: Name | None = None
    z: Annotated[int, Field(ge=0, le=LARGEST_SIDE)] = 0
    t: Annotated[int, Field(ge=0, le=LARGEST_SIDE)] = 0
    nested: bool = False

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "PromptMessage":
        lengths = [len(stroke) for stroke in self.strokes]
        if self.kind == "point" and lengths != [1]:
            raise ValueError("a point has one stroke of one x and y")
        if self.kind == "line" and min(lengths) < 2:
            raise ValueError("every stroke of a line has two points or more")
        return self


class StandingOutline(_Message):
    """The outline that a context prompt got earlier; its pixels are taken.

    Attributes
    ----------
    geometry
        GeoJSON Polygon or MultiPolygon in level-0 pixels.
    """

    key: Annotated[str, Field(max_length=64)]
    geometry: dict[str, Any]


class NeighbourPlace(_Message):
    """A place in an object that stands in the image and is not ours."""

    xy: XYPair
    z: int = 0
    t: int = 0


class SegmentWishes(_Message):
    """How the prompts are segmented, and what the outlines become; the options of `nuclick-qp run`."""

    kind: ObjectKind = "detection"
    tta: bool = False


class SegmentRequest(_Message):
    """Prompts of one image, with the pixels round them.

    Attributes
    ----------
    prompts
        To be segmented.
    context
        Other prompts of the image: they mark neighbours.
    standing
        Outlines of context prompts.
    pixels
        What is at hand; the answer says what else is needed.
    points, lines
        Models; None is the shipped one.
    """

    image: ImageFacts
    prompts: Annotated[list[PromptMessage], Field(min_length=1, max_length=MOST_PROMPTS)]
    context: Annotated[list[PromptMessage], Field(max_length=MOST_CONTEXT)] = []
    neighbours: Annotated[list[NeighbourPlace], Field(max_length=MOST_CONTEXT)] = []
    standing: Annotated[list[StandingOutline], Field(max_length=MOST_CONTEXT)] = []
    pixels: Annotated[list[PixelRegion], Field(max_length=MOST_REGIONS)] = []
    points: Name | None = None
    lines: Name | None = None
    options: SegmentWishes = SegmentWishes()


class PromptResult(_Message):
    """What became of one prompt.

    Attributes
    ----------
    key
        Of the prompt, as `nuclick-qp run` computes it.
    status, detail
        See docs/statuses.md; the detail says why there is no outline.
    feature
        The object that `run` would write, as GeoJSON; None without an outline.
    metadata
        The object's metadata, which QuPath 0.5 cannot import along with a detection.
    """

    key: str
    status: str
    detail: str = ""
    probability: float | None = None
    feature: dict[str, Any] | None = None
    metadata: dict[str, str] = {}


class SegmentAnswer(_Message):
    """Either one result per prompt, in their order, or the pixels that are wanted first.

    Attributes
    ----------
    seconds
        Time in the service.
    """

    results: list[PromptResult] = []
    wanted: list[WantedRegion] = []
    seconds: float


class ModelMessage(_Message):
    """One model that can be named in a request.

    Attributes
    ----------
    mpp, patch_px
        The network sees `patch_px` squared pixels of `mpp` micrometres round a prompt.
    is_default
        Whether it is taken when none is named.
    """

    name: str
    prompt: PromptKind
    description: str
    sha256: str
    mpp: float
    patch_px: int
    is_default: bool


def _fits_a_command_line(name: str) -> str:
    if "\0" in name:
        raise ValueError("no name has a NUL in it")
    return name


def _fits_a_list(name: str) -> str:
    if "," in name:
        raise ValueError("a class with a comma cannot be named, as `--classes` is a list; give no comma, or no classes")
    return name


Argument = Annotated[Name, AfterValidator(_fits_a_command_line)]
ClassArgument = Annotated[Argument, AfterValidator(_fits_a_list)]


class JobRequest(_Message):
    """A run of a whole project, as `nuclick-qp run` does it; the only request that names a file.

    Attributes
    ----------
    project
        Absolute path of the project, on the machine of the service.
    skip
        Numbers of images that are open in QuPath, which are left alone.
    """

    project: Path
    images: Argument | None = None
    skip: Annotated[list[Annotated[str, Field(pattern=r"^\d{1,19}$")]], Field(max_length=1000)] = []
    classes: Annotated[list[ClassArgument], Field(max_length=100)] = []
    points: Argument | None = None
    lines: Argument | None = None
    kind: ObjectKind | None = None
    mpp: PixelSize | None = None
    scale: Scale | None = None
    tta: bool = False
    overwrite: Overwrite = "none"
    prune: bool = False
    min_probability: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = None
    mark_failed: Argument | None = None
    mark_uncertain: Argument | None = None
    force: bool = False
    dry_run: bool = False

    @field_validator("project")
    @classmethod
    def _is_absolute(cls, project: Path) -> Path:
        if not project.is_absolute() or "\0" in str(project):
            raise ValueError("give the absolute path of the project")
        return project


class JobState(_Message):
    """How far a job is.

    Attributes
    ----------
    progress
        What ``run --events`` said last: image, prompts, clicks per second, seconds left.
    exit_code
        Of the process; None while it runs.
    report
        What ``run --json`` printed.
    detail
        The last messages of a job that did not end well.
    """

    job_id: str
    state: Literal["running", "done", "cancelled", "failed"]
    progress: dict[str, Any] | None = None
    exit_code: int | None = None
    report: dict[str, Any] | None = None
    detail: str = ""


class ServiceHealth(_Message):
    """What anybody on this machine may know."""

    version: str
    pid: int
    device: str
    models: list[str]
    busy: int
    jobs: int
