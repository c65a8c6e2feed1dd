"""The warm state of the service: loaded models, and the path of a request through them."""

import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from shapely.errors import ShapelyError
from shapely.geometry import shape

from nuclick_qp.annotations.objects import EarlierResult, EntryContent, ResultObject
from nuclick_qp.errors import ModelNotFoundError, PromptError, UnreadableSlideError
from nuclick_qp.formats.geojson.writing import result_feature
from nuclick_qp.geometry import Window
from nuclick_qp.guidance.signals import MarkedPatches
from nuclick_qp.kinds import PROMPT_KINDS, PromptKind
from nuclick_qp.model.cards import Card, default_model, leave_out_replaced, list_cards
from nuclick_qp.model.devices import choose_device, use_one_thread
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.prompts import Outline, Plane, Prompt
from nuclick_qp.run.image import segment_by_plane
from nuclick_qp.run.models import check_kind, load_predictor
from nuclick_qp.run.results import to_objects
from nuclick_qp.run.resume import plan_prompts
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.segmentation.prompts_to_outlines import refuse_prompt
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.segmentation.tiling import plan_tiles
from nuclick_qp.serve.batching import SharedPredictor
from nuclick_qp.serve.schema import (
    ModelMessage,
    PromptMessage,
    PromptResult,
    SegmentAnswer,
    SegmentRequest,
    StandingOutline,
    WantedRegion,
)
from nuclick_qp.serve.sent_pixels import (
    LARGEST_REGIONS,
    RegionReader,
    missing_regions,
    read_regions,
    wanted_region,
)
from nuclick_qp.slides import Slide
from nuclick_qp.slides.array_reader import NAME


class Session:
    """Models on a device, loaded when they are first needed and kept.

    Parameters
    ----------
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    ready
        Loaded models by kind of prompt; they are the only ones then. None offers all that are installed.
    """

    def __init__(self, *, device: str = "auto", ready: Predictors | None = None) -> None:
        self.device = choose_device(device)
        use_one_thread(self.device)
        ready = ready or {}
        self._only = tuple(predictor.card for predictor in ready.values())
        self._defaults = {kind: ready[kind].card.name if kind in ready else default_model(kind) for kind in PROMPT_KINDS}
        self._loaded = {predictor.card.name: SharedPredictor(predictor) for predictor in ready.values()}
        self._replaced: list[SharedPredictor] = []
        self._loading = threading.Lock()

    @property
    def cards(self) -> dict[str, Card]:
        """Cards of the models that a request can name, by name, as they are now: a model may be trained while the service runs."""
        return {card.name: card for card in self._only or list_cards()}

    def models(self) -> list[ModelMessage]:
        """List the models to choose from; a request can also name one that a newer one has replaced."""
        return [
            ModelMessage(
                name=card.name,
                prompt=card.prompt,
                description=card.description,
                sha256=card.sha256,
                mpp=card.mpp,
                patch_px=card.patch_px,
                is_default=card.name in self._defaults.values(),
            )
            for card in leave_out_replaced(list(self.cards.values()))
        ]

    def warm_up(self, kind: PromptKind) -> None:
        """Load the shipped model for a kind of prompt, and send a patch through it: the first one takes longest."""
        if (name := self._defaults[kind]) is not None:
            predictor = self.predictor(kind, name)
            predictor.predict(MarkedPatches.without_marks(np.zeros((1, predictor.card.patch_px, predictor.card.patch_px, 3), np.uint8)))

    def segment(self, request: SegmentRequest) -> SegmentAnswer:
        """Segment the prompts of a request, or say which pixels that takes.

        Raises
        ------
        SlideError
            If the pixels are not what the request says they are.
        PromptError
            If an outline that stands there cannot be read.
        ModelError, OptionError
            If a model is not there, or is for the other kind of prompt.
        """
        since = time.perf_counter()
        scene = _Scene.of(request)
        predictors = self._predictors(request)
        cards = {kind: predictor.card for kind, predictor in predictors.items()}
        options = RunOptions(kind=request.options.kind, segment=SegmentOptions(tta=request.options.tta))
        mpp = request.image.mpp
        plan = plan_prompts(EntryContent(scene.prompts), options, cards=cards, stated_mpp=mpp)
        slide = Slide(NAME, scene.reader)
        windows = [window for kind in cards for window in _first_windows(plan.todo, slide, card=cards[kind], mpp=mpp)]
        if wanted := missing_regions(request.image, scene.reader, windows):
            return _ask_for(wanted, since=since)
        outlines = segment_by_plane(plan.todo, slide, content=scene.content, predictors=predictors, mpp=mpp, options=options.segment)
        if missed := scene.reader.missed:  # what finds nothing, or does not fit, is looked at once more with more round it
            return _ask_for([wanted_region(request.image, level, box) for level, box in missed], since=since)
        objects = {item.key: item for item in to_objects(outlines, options, cards=cards, stated_mpp=mpp, mpp=mpp)}
        found = {id(outline.prompt): outline for outline in (*plan.settled, *outlines)}
        results = [_result(found[id(prompt)], objects) for prompt in scene.prompts]
        return SegmentAnswer(results=results, seconds=time.perf_counter() - since)

    def predictor(self, kind: PromptKind, name: str) -> SharedPredictor:
        """Give a model that is listed, loaded when this is the first time, or when it was replaced since."""
        cards = self.cards
        if name not in cards:
            raise ModelNotFoundError(f"there is no model {name!r}; choose one of {', '.join(cards)}")
        with self._loading:
            loaded = self._loaded.get(name)
            if loaded is None or loaded.card.sha256 != cards[name].sha256:
                self._loaded[name] = SharedPredictor(load_predictor(kind, name, device=str(self.device)))
                self._replaced += [loaded] if loaded else []  # a request may be at it, so it ends with the session
        check_kind(self._loaded[name].card, kind)
        return self._loaded[name]

    def close(self) -> None:
        """End the threads of the models."""
        for predictor in (*self._loaded.values(), *self._replaced):
            predictor.close()

    def _predictors(self, request: SegmentRequest) -> dict[PromptKind, SharedPredictor]:
        """Give the models for the kinds of prompts of a request."""
        named: dict[PromptKind, str | None] = {"point": request.points, "line": request.lines}
        chosen = {kind: named[kind] or self._defaults[kind] for kind in {prompt.kind for prompt in request.prompts}}
        return {kind: self.predictor(kind, name) for kind, name in chosen.items() if name is not None}


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a request says of its image."""

    prompts: tuple[Prompt, ...]
    content: EntryContent
    reader: RegionReader

    @classmethod
    def of(cls, request: SegmentRequest) -> "_Scene":
        prompts = tuple(map(_to_prompt, request.prompts))
        if any(prompt.is_background for prompt in prompts):
            raise PromptError("a click on the background (class Ignore*) gets no outline; send it as context")
        chosen = {prompt.key for prompt in prompts}
        context = [prompt for prompt in map(_to_prompt, request.context) if prompt.key not in chosen]
        content = EntryContent(
            (*prompts, *context),
            results=tuple(map(_to_result, request.standing)),
            neighbours=tuple((place.xy, Plane(place.z, place.t)) for place in request.neighbours),
        )
        return cls(prompts, content, read_regions(request.image, request.pixels))


def _to_prompt(message: PromptMessage) -> Prompt:
    strokes = tuple(map(tuple, message.strokes))
    return Prompt(message.kind, strokes, message.class_name, plane=Plane(message.z, message.t), nested=message.nested)


def _to_result(message: StandingOutline) -> EarlierResult:
    try:
        outline = shape(message.geometry)
    except (ShapelyError, ValueError, TypeError, LookupError, AttributeError) as err:
        raise PromptError(f"the outline of prompt {message.key} is no GeoJSON geometry ({err})") from err
    if outline.geom_type not in ("Polygon", "MultiPolygon") or not outline.is_valid:
        raise PromptError(f"the outline of prompt {message.key} is no valid polygon; leave it out")
    return EarlierResult(message.key, "", "", (outline.centroid.x, outline.centroid.y), outline=outline)


def _first_windows(prompts: Iterable[Prompt], slide: Slide, *, card: Card, mpp: float) -> list[Window]:
    """Give what is read for the prompts of a model before any of them asks for a coarser patch."""
    scale = card.mpp / mpp
    mine = [p for p in prompts if p.kind == card.prompt and refuse_prompt(p, slide, patch_px=card.patch_px, scale=scale) is None]
    return [tile.window for tile in plan_tiles(mine, patch_px=card.patch_px, scale=scale)]


def _ask_for(wanted: list[WantedRegion], *, since: float) -> SegmentAnswer:
    if sum(region.width * region.height for region in wanted) > LARGEST_REGIONS:
        raise UnreadableSlideError(f"the prompts take more than {LARGEST_REGIONS} pixels; ask for fewer at once")
    return SegmentAnswer(wanted=wanted, seconds=time.perf_counter() - since)


def _result(outline: Outline, objects: Mapping[str, ResultObject]) -> PromptResult:
    key = outline.prompt.key
    made = objects.get(key) if outline.polygon is not None else None
    text = None if made is None else result_feature(made)
    return PromptResult(
        key=key,
        status=str(outline.status),
        detail=outline.detail,
        probability=outline.probability,
        feature=None if text is None else json.loads(text),
        metadata={} if made is None else dict(made.metadata),
    )
