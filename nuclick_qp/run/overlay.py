"""Pictures for checking: outlines and prompts of an image over its pixels.

Outlines have the colour of their class; a prompt without one is a cross, whose colour tells the reason, and one with
an uncertain outline has a ring round it.
"""

import io
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from shapely.geometry.base import BaseGeometry

from nuclick_qp.annotations.objects import UNCLASSIFIED, ResultObject
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.geometry import Window
from nuclick_qp.kinds import PromptKind
from nuclick_qp.model.cards import Card
from nuclick_qp.prompts import UNCERTAIN_BELOW, Outline, Prompt, Status
from nuclick_qp.run.overlay_legend import CROSS_PX, Colour, Entry, draw_cross, draw_ring, with_legend
from nuclick_qp.run.overlay_windows import MOST_PICTURES, Bounds, plan_windows
from nuclick_qp.slides import Slide
from nuclick_qp.storage.atomic import write_atomically, write_refusal

logger = logging.getLogger(__name__)

# Neither in H&E nor in DAB and haematoxylin.
NO_CLASS_COLOUR: Colour = (0, 245, 120)
CLEAR: tuple[Colour, ...] = ((255, 225, 0), (0, 200, 255), (255, 110, 0), (0, 90, 255), (255, 255, 255))
EDGE: Colour = (20, 20, 20)
DARK = 300  # red, green and blue together: QuPath's dark red of tumours would not show on nuclei without a light rim
RIM = (255, 255, 255, 200)
SMOOTH = 2  # lines are drawn so many times larger, and made smaller: Pillow knows no smooth ones
OUTLINE_PX, STROKE_PX, DOT_PX = 2, 2, 2.5
REASONS: dict[Status, Colour] = {
    Status.EMPTY: (255, 0, 80),
    Status.OUTSIDE_OWN_MASK: (255, 120, 0),
    Status.TOO_LARGE: (0, 90, 255),
    Status.BELOW_PROBABILITY: (170, 0, 255),
    Status.FAILED: (200, 0, 0),
    Status.OUTSIDE_SLIDE: (120, 0, 0),
    Status.NO_MODEL: (90, 90, 90),
    Status.STOPPED: (0, 0, 0),
}  # those of a prompt that may be left without an outline
UNCERTAIN: Colour = (255, 0, 255)


@dataclass(frozen=True, slots=True)
class Overlay:
    """What is drawn over one image.

    Attributes
    ----------
    title
        Name of the image.
    objects
        All outlines that it has now.
    prompts
        All prompts, of the kinds and classes that were left out, too.
    outcomes
        What became of those that the run looked at.
    colours
        Packed ARGB by full class name; other classes get clear ones in the order of their names.
    mpp
        Micrometres per level-0 pixel; None where nothing states it.
    cards
        The model for each kind of prompt: a picture has the resolution of the finest, where there is room.
    """

    title: str
    objects: Sequence[ResultObject]
    prompts: Sequence[Prompt]
    outcomes: Sequence[Outline]
    colours: Mapping[str, int]
    mpp: float | None
    cards: Mapping[PromptKind, Card]

    @property
    def scale(self) -> float:
        """Level-0 pixels per pixel of a picture, where there is room."""
        models = [self.cards[kind].mpp for kind in {prompt.kind for prompt in self.prompts} if kind in self.cards]
        return min(models) / self.mpp if models and self.mpp else 1.0

    @property
    def missed(self) -> dict[str, Status]:
        """Why prompts have no outline, by key; a second click in an object misses none."""
        there = {item.key for item in self.objects}
        return {one.prompt.key: one.status for one in self.outcomes if one.status in REASONS and one.prompt.key not in there}

    @property
    def uncertain(self) -> set[str]:
        """The keys of the prompts whose outline is uncertain, and not corrected by hand."""
        edited = {one.prompt.key for one in self.outcomes if one.status is Status.EDITED}
        doubtful = {item.key for item in self.objects if item.probability is not None and item.probability < UNCERTAIN_BELOW}
        return doubtful - edited

    @property
    def palette(self) -> dict[str | None, Colour]:
        """Give the colours of all classes, and that of objects without one."""
        named = {item.class_name for item in self.objects} | {prompt.class_name for prompt in self.prompts}
        unlisted = sorted(name for name in named if name is not None and name not in self.colours)
        palette: dict[str | None, Colour] = {None: NO_CLASS_COLOUR}
        palette |= {name: (packed >> 16 & 255, packed >> 8 & 255, packed & 255) for name, packed in self.colours.items()}
        return palette | {name: CLEAR[number % len(CLEAR)] for number, name in enumerate(unlisted)}


def write_overlay(slide: Slide, overlay: Overlay, *, folder: Path, stem: str) -> int:
    """Write the pictures of one image as ``STEM-01.png`` and so on; those of an earlier run go.

    Returns
    -------
    int
        How many outlines, and prompts without one, are on none of them.

    Raises
    ------
    SlideError
        If the pixels cannot be read.
    WriteRefusedError
        If a picture cannot be written.
    """
    marked = [prompt for prompt in overlay.prompts if not prompt.is_background]
    things: list[Bounds] = [item.outline.bounds for item in overlay.objects]
    there = {item.key for item in overlay.objects}
    things += [prompt.bounds for prompt in marked if prompt.key not in there]
    plan = plan_windows(things, size=(slide.width, slide.height), scale=overlay.scale)
    if plan.undrawn:
        logger.warning(
            "%s: %d of %d outlines and prompts are on none of its %d pictures: they lie too far apart",
            *(overlay.title, plan.undrawn, len(things), len(plan.windows)),
        )
    paths = [folder / f"{stem}-{number:02d}.png" for number in range(1, MOST_PICTURES + 1)]
    try:
        for number, (path, window) in enumerate(zip(paths, plan.windows, strict=False), 1):
            place = f"picture {number} of {len(plan.windows)}" + (f", {plan.undrawn} not shown" if plan.undrawn else "")
            _save(draw(slide.read(window), overlay, window, place=place), path)
        for path in paths[len(plan.windows) :]:
            path.unlink(missing_ok=True)
    except OSError as err:
        raise WriteRefusedError(write_refusal(path, err)) from err
    return plan.undrawn


def draw(pixels: NDArray[np.uint8], overlay: Overlay, window: Window, *, place: str) -> Image.Image:
    """Draw what lies in a window over its pixels, with a legend below.

    Parameters
    ----------
    pixels
        (H, W, 3) uint8 of the window.
    place
        Which picture it is, for the legend.
    """
    frame = shapely.box(*window.slide_box)
    objects = [item for item in overlay.objects if item.outline.intersects(frame)]
    prompts = [p for p in overlay.prompts if not p.is_background and shapely.MultiPoint(_all_xy(p)).envelope.intersects(frame)]
    shown = {prompt.key for prompt in prompts}
    missed = {key: status for key, status in overlay.missed.items() if key in shown}
    uncertain = overlay.uncertain & shown
    palette = overlay.palette
    layer = Image.new("RGBA", (window.width * SMOOTH, window.height * SMOOTH), (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    for item in objects:
        _draw_rings(pen, item.outline, palette[item.class_name], window)
    for prompt in prompts:
        _draw_prompt(pen, prompt, palette[prompt.class_name], window, missed.get(prompt.key))
        if prompt.key in uncertain:
            draw_ring(pen, _on_layer([prompt.anchor], window)[0], UNCERTAIN, size=CROSS_PX * SMOOTH)
    picture = Image.fromarray(pixels).convert("RGBA")
    picture.alpha_composite(layer.resize(picture.size, Image.Resampling.BOX))
    title = f"{overlay.title}, {place}"
    entries = _entries(palette, objects, missed, uncertain=len(uncertain))
    return with_legend(picture.convert("RGB"), entries, title=title, px_um=_um(overlay, window))


def _um(overlay: Overlay, window: Window) -> float | None:
    return overlay.mpp * window.scale if overlay.mpp else None


def _entries(
    palette: Mapping[str | None, Colour], objects: Iterable[ResultObject], missed: Mapping[str, Status], *, uncertain: int
) -> list[Entry]:
    """Count outlines by class, those that are uncertain, and prompts without one by reason."""
    classes = Counter(item.class_name for item in objects)
    reasons = Counter(missed.values())
    return [
        *(Entry(f"{name or UNCLASSIFIED}: {n}", palette[name]) for name, n in classes.most_common()),
        *([Entry(f"{Status.UNCERTAIN}: {uncertain}", UNCERTAIN, "ring")] if uncertain else []),
        *(Entry(f"{status}: {n}", REASONS[status], "cross") for status, n in reasons.most_common()),
    ]


def _draw_rings(pen: ImageDraw.ImageDraw, shape: BaseGeometry, colour: Colour, window: Window) -> None:
    for part in shapely.get_parts(shape):
        for ring in (part.exterior, *part.interiors):
            places = _on_layer(np.array(ring.coords)[:, :2], window)
            if sum(colour) < DARK:
                pen.line(places, fill=RIM, width=(OUTLINE_PX + 2) * SMOOTH, joint="curve")
            pen.line(places, fill=colour, width=OUTLINE_PX * SMOOTH, joint="curve")


def _draw_prompt(pen: ImageDraw.ImageDraw, prompt: Prompt, colour: Colour, window: Window, missed: Status | None) -> None:
    for stroke in prompt.strokes if prompt.kind == "line" else ():
        places = _on_layer(stroke, window)
        pen.line(places, fill=EDGE, width=(STROKE_PX + 2) * SMOOTH, joint="curve")
        pen.line(places, fill=colour, width=STROKE_PX * SMOOTH, joint="curve")
    ((x, y),) = _on_layer([prompt.anchor], window)
    if missed is not None:
        draw_cross(pen, (x, y), REASONS[missed], size=CROSS_PX * SMOOTH)
    elif prompt.kind == "point":
        radius = DOT_PX * SMOOTH
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline=EDGE, width=SMOOTH)


def _on_layer(xy: object, window: Window) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in window.to_window(np.asarray(xy)) * SMOOTH]


def _all_xy(prompt: Prompt) -> list[tuple[float, float]]:
    return [xy for stroke in prompt.strokes for xy in stroke]


def _save(picture: Image.Image, path: Path) -> None:
    packed = io.BytesIO()
    picture.save(packed, "PNG")
    write_atomically(path, packed.getvalue())
