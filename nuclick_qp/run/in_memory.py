"""Clicks and squiggles on an array, a slide or a file to outlines, without any project."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import geojson
import numpy as np
from numpy.typing import ArrayLike, NDArray

from nuclick_qp.annotations.objects import EntryContent
from nuclick_qp.errors import NoPixelSizeError, OptionError
from nuclick_qp.formats.geojson.writing import result_feature
from nuclick_qp.geometry import Window
from nuclick_qp.kinds import PromptKind
from nuclick_qp.model.cards import Card, default_model
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import XY, Outline, Prompt, click_at
from nuclick_qp.run.image import segment_by_plane
from nuclick_qp.run.image_scale import find_scale
from nuclick_qp.run.models import Models, check_kind, load_predictor
from nuclick_qp.run.results import to_objects
from nuclick_qp.run.resume import plan_prompts
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.shapes.fill import paint_outlines
from nuclick_qp.slides import Slide, open_slide
from nuclick_qp.slides.array_reader import open_array

LARGEST_LABELS_PX = 2**28  # 1 GB of labels; a whole slide would be 40


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Outlines(Sequence[Outline]):
    """One outline for each prompt of a call of `segment`, in their order: points first, then lines.

    Attributes
    ----------
    outlines
        Their polygons are in pixels of the image, level 0 of a slide.
    width, height
        Of the image.
    mpp
        Micrometres per pixel of the image.
    is_mpp_estimated
        Whether nothing stated them, and the objects under the clicks told them.
    cards
        The model that was used, by kind of prompt.
    options
        How it was used.
    """

    outlines: tuple[Outline, ...]
    width: int
    height: int
    mpp: float
    cards: Mapping[PromptKind, Card]
    options: SegmentOptions
    is_mpp_estimated: bool = False

    def __len__(self) -> int:
        return len(self.outlines)

    @overload
    def __getitem__(self, index: int) -> Outline: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Outline, ...]: ...
    def __getitem__(self, index: int | slice) -> Outline | tuple[Outline, ...]:
        return self.outlines[index]

    def __iter__(self) -> Iterator[Outline]:
        return iter(self.outlines)

    def __repr__(self) -> str:
        about = "about " if self.is_mpp_estimated else ""
        ok = sum(outline.polygon is not None for outline in self.outlines)
        return f"<Outlines: {ok} of {len(self)} prompts have one, image of {self.width} x {self.height} px at {about}{self.mpp:g} um/px>"

    def to_labels(self, window: Window | None = None) -> NDArray[np.int32]:
        """Paint the outlines as a label image.

        Parameters
        ----------
        window
            Part of the image, and scale; None for the whole image at full resolution.

        Returns
        -------
        (H, W) int32 array
            i + 1 on the pixels whose centres lie inside outline i, 0 elsewhere. A prompt without a
            polygon leaves its number out.

        Raises
        ------
        OptionError
            If it would have more than `LARGEST_LABELS_PX` pixels.
        """
        window = window or Window(0, 0, self.width, self.height)
        if window.width * window.height > LARGEST_LABELS_PX:
            raise OptionError(
                f"labels of {window.width} x {window.height} px would take {4 * window.width * window.height / 1e9:.1f} GB; "
                "pass a Window of the part that you need, or a coarser one"
            )
        return paint_outlines([outline.polygon for outline in self.outlines], window).labels

    def to_geojson(self) -> geojson.FeatureCollection:
        """Give the outlines as QuPath imports them: detections with probability, area and shape; in pixels where `is_mpp_estimated`.

        Prompts without a polygon are left out. For very many outlines `formats.geojson.writing` writes
        a file feature by feature.

        Returns
        -------
        geojson.FeatureCollection
            To a type checker it is Any, as that package states no types. `geojson.dumps` makes a text
            of it. The id of a feature follows from its prompt, and is that of the object that `run`
            would write for it.
        """
        options = RunOptions(segment=self.options)
        mpp = None if self.is_mpp_estimated else self.mpp
        objects = to_objects(self.outlines, options, cards=self.cards, stated_mpp=mpp, mpp=mpp)
        texts = [text for item in objects if (text := result_feature(item)) is not None]
        return geojson.FeatureCollection([geojson.loads(text) for text in texts])


def segment(
    image: NDArray[np.uint8] | Slide | Path | str,
    points: ArrayLike | None = None,
    *,
    lines: Iterable[ArrayLike | Sequence[ArrayLike]] = (),
    mpp: float | None = None,
    model: str | None = None,
    predictor: Predictor | None = None,
    device: str = "auto",
    options: SegmentOptions | None = None,
) -> Outlines:
    """Outline the object under each click, and under each squiggle.

    All prompts of a call are one another's neighbours, which tells the network where an object ends:
    give those of one image together.

    Parameters
    ----------
    image
        (H, W, 3) uint8 RGB, an open slide, or the path of a slide or picture.
    points
        (N, 2) x and y of clicks in pixels of the image, level 0 of a slide; the centre of the first
        pixel is (0.5, 0.5).
    lines
        One squiggle for each gland: (M, 2) x and y of a stroke, or a list of several such strokes.
    mpp
        Micrometres per pixel. An array does not know it; of a slide it is taken only when the file
        does not say. Where nothing says it, models of cells take it from the objects under the clicks.
    model
        Name of a model or path of its card; by default the shipped one for points, and that for lines.
    predictor
        A loaded model instead of a name, for many calls.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; not looked at when there is a predictor.
    options
        Batches, exclusion map, test-time augmentation.

    Raises
    ------
    OptionError
        If there is no prompt, points or lines have another shape, or the model is for the other kind.
    PromptError
        If a coordinate is NaN or infinite.
    SlideError
        If the image cannot be read, or nothing says how large its pixels are.
    ModelError
        If the model or the device is not there.

    Examples
    --------
    >>> image = np.full((200, 200, 3), 240, np.uint8)
    >>> image[90:110, 90:110] = (90, 60, 150)
    >>> [outline] = segment(image, [(100, 100)], mpp=0.25, device="cpu")
    >>> outline.polygon is not None and outline.polygon.contains(outline.polygon.centroid)
    True

    References
    ----------
    Koohbanani et al., NuClick, Med. Image Anal. 65 (2020) 101771.
    """
    prompts = [*_clicks(points), *map(_squiggle, lines)]
    kinds: set[PromptKind] = {prompt.kind for prompt in prompts}
    if not kinds:
        raise OptionError("there is no prompt; give points as (N, 2) x and y, or lines")
    if mpp is not None and not mpp > 0:
        raise OptionError(f"mpp is {mpp}; give the micrometres per pixel, such as 0.25")
    if model is not None and predictor is not None:
        raise OptionError(f"model {model!r} and a predictor of {predictor.card.name!r} are given; give one of the two")
    predictors = {kind: _predictor(kind, model=model, predictor=predictor, device=device) for kind in sorted(kinds)}
    cards = {kind: predictor.card for kind, predictor in predictors.items()}
    chosen = RunOptions(mpp=mpp, segment=options or SegmentOptions())
    content = EntryContent(tuple(prompts))
    with _opened(image) as slide:
        if mpp is None and slide.mpp is None and all(card.object_px is None for card in cards.values()):
            raise NoPixelSizeError(f"{slide.path} has no pixel size; give mpp, the micrometres per pixel")
        plan = plan_prompts(content, chosen, cards=cards, stated_mpp=mpp)
        scale = find_scale(
            slide, plan.todo, content=content, models=Models.of(predictors), options=chosen, project_mpp=None, option_name="mpp"
        )
        done = segment_by_plane(plan.todo, slide, content=content, predictors=predictors, mpp=scale.mpp, options=chosen.segment)
        by_prompt = {id(outline.prompt): outline for outline in (*plan.settled, *done)}
        outlines = tuple(by_prompt[id(prompt)] for prompt in prompts)
        return Outlines(outlines, slide.width, slide.height, scale.mpp, cards, chosen.segment, scale.is_estimated)


def _clicks(points: ArrayLike | None) -> list[Prompt]:
    if points is None:
        return []
    xy = _numbers(points, "points")
    if xy.size and (xy.ndim != 2 or xy.shape[1] != 2):
        raise OptionError(f"points have the shape {xy.shape}; give (N, 2) x and y")
    return [click_at(x, y) for x, y in xy.reshape(-1, 2).tolist()]


def _squiggle(line: ArrayLike | Sequence[ArrayLike]) -> Prompt:
    """Make a prompt of one stroke, or of several."""
    has_parts = isinstance(line, Sequence | np.ndarray) and len(line) and np.ndim(line[0]) == 2
    strokes: Any = line if has_parts else [line]
    return Prompt("line", tuple(_stroke(stroke) for stroke in strokes))


def _stroke(stroke: ArrayLike | Sequence[ArrayLike]) -> tuple[XY, ...]:
    xy = _numbers(stroke, "a line")
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise OptionError(f"a line has the shape {xy.shape}; give (M, 2) x and y, or a list of such strokes")
    return tuple((x, y) for x, y in xy.tolist())


def _numbers(values: ArrayLike | Sequence[ArrayLike], name: str) -> NDArray[np.float64]:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as err:
        raise OptionError(f"{name} cannot be read as numbers ({err}); give x and y") from err


def _predictor(kind: PromptKind, *, model: str | None, predictor: Predictor | None, device: str) -> Predictor:
    """Give the model for a kind of prompt, and refuse one that is for the other kind."""
    if predictor is not None:
        check_kind(predictor.card, kind)
        return predictor
    name = model or default_model(kind)
    if name is None:
        raise OptionError(f"no model for {kind}s comes with this installation; name one")
    return load_predictor(kind, name, device=device)


def _opened(image: NDArray[np.uint8] | Slide | Path | str) -> AbstractContextManager[Slide]:
    """Give a context with the slide; it closes only what was opened here."""
    match image:
        case Slide():
            return nullcontext(image)
        case str() | Path():
            return open_slide(Path(image))
        case _:
            return open_array(image)
