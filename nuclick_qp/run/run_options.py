"""What a run is asked to do, and where it tells how far it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nuclick_qp.kinds import ObjectKind, Overwrite, PromptKind, Scale
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.stopping import never


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run of a project does.

    Attributes
    ----------
    images
        Glob of image names; the others are left alone.
    skip
        Numbers of images that are left alone, too, as QuPath counts them: those that are open in it.
    classes
        Full class names whose prompts are segmented, an empty text for unclassified ones; empty for
        all. Prompts of other classes still mark neighbours.
    left_out
        Kinds of prompts that are not looked at.
    kind
        What outlines are written as, and those that stand are turned into, unless the user edited them;
        None is detections for new ones, and leaves the others as they are.
    image_root
        Folder to search for slides that are not where the project says.
    mpp
        Micrometres per pixel of images for which neither project nor file say it.
    scale
        Of images for which nothing says it: ``auto`` lets the objects under the clicks tell it, where the card of
        the model has their size; ``given`` refuses such images.
    force
        Segment images that are, or look like, fluorescence, too.
    overwrite
        ``unedited`` segments prompts anew that have an outline of an earlier run, whatever made it;
        ``edited`` also those whose outline the user has changed.
    prune
        Remove results of earlier runs whose prompt is gone, or that are less probable than `min_probability`.
    min_probability
        Outlines below it are not written.
    mark_failed
        Class of small annotations that are put where a prompt has no outline; None puts none.
    mark_uncertain
        Class of those where the outline is uncertain, or was in an earlier run and is as it was.
    dry_run
        Segment, but write nothing into the project.
    geojson
        Folder for one GeoJSON file per image: all outlines that it has after the run. Features of
        others in such a file stay.
    overlay
        Folder for pictures of each image: its outlines and prompts over its pixels, to be checked by eye.
    segment
        Batches, tiles, exclusion, test-time augmentation.
    """

    images: str = "*"
    skip: frozenset[str] = frozenset()
    classes: tuple[str, ...] = ()
    left_out: frozenset[PromptKind] = frozenset()
    kind: ObjectKind | None = None
    image_root: Path | None = None
    mpp: float | None = None
    scale: Scale = "auto"
    force: bool = False
    overwrite: Overwrite = "none"
    prune: bool = False
    min_probability: float = 0.0
    mark_failed: str | None = None
    mark_uncertain: str | None = None
    dry_run: bool = False
    geojson: Path | None = None
    overlay: Path | None = None
    segment: SegmentOptions = field(default_factory=SegmentOptions)


@dataclass(frozen=True, slots=True)
class ImageStart:
    """Where a run is when it begins to segment in an image.

    Attributes
    ----------
    name
        Of the image.
    prompts
        To be segmented in it.
    number, images
        Which it is, counted from 1, of how many.
    """

    name: str
    prompts: int
    number: int = 1
    images: int = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run tells how far it is.

    Attributes
    ----------
    start_image
        Called for each image before the work on it.
    advance
        Called with the number of prompts finished since the last call.
    stopped
        Asked often whether to leave off. What is finished by then is written, and reported.
    """

    start_image: Callable[[ImageStart], None] = lambda image: None
    advance: Callable[[int], None] = lambda count: None
    stopped: Callable[[], bool] = never
