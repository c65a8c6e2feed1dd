"""The legend below a picture for checking: what the colours mean, how many there are, and a scale bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from nuclick_qp.plain_text import one_line

Colour = tuple[int, int, int]
Symbol = Literal["square", "cross", "ring"]

PAPER: Colour = (255, 255, 255)
INK: Colour = (20, 20, 20)
LINE_PX = 22
FONT_PX = 15
PAD_PX = 8
MOST_ROWS = 7  # the last says how many entries are left out
LONGEST_NAME = 60  # characters
LEAST_WIDTH_PX = 360  # a picture of one nucleus is narrower than its legend
BAR_UM = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
BAR_SHARE = 0.3  # of the width, at most
CROSS_PX = 7


@dataclass(frozen=True, slots=True)
class Entry:
    """One colour and what it means."""

    text: str
    colour: Colour
    symbol: Symbol = "square"


def with_legend(picture: Image.Image, entries: Sequence[Entry], *, title: str, px_um: float | None) -> Image.Image:
    """Give a picture with a legend below.

    Parameters
    ----------
    px_um
        Micrometres per pixel of the picture, for the scale bar; None draws none.
    """
    width = max(picture.width, LEAST_WIDTH_PX)
    font = ImageFont.load_default(FONT_PX)
    rows = _rows(entries, width, font)
    height = LINE_PX * (len(rows) + 1 + (px_um is not None)) + 2 * PAD_PX
    page = Image.new("RGB", (width, picture.height + height), PAPER)
    page.paste(picture)
    pen = ImageDraw.Draw(page)
    y = picture.height + PAD_PX
    pen.text((PAD_PX, y), _fitting(one_line(title), width - 2 * PAD_PX, font), INK, font=font)
    for row in rows:
        y += LINE_PX
        for x, entry in row:
            _draw_entry(pen, (x, y), entry, font)
    if px_um is not None:
        _draw_bar(pen, (PAD_PX, y + LINE_PX), px_um=px_um, most_px=BAR_SHARE * width, font=font)
    return page


def draw_cross(pen: ImageDraw.ImageDraw, xy: tuple[float, float], colour: Colour, *, size: float) -> None:
    """Draw a cross that shows on any ground."""
    x, y = xy
    for ink, wider in ((PAPER, 0.6), (colour, 0.3)):
        reach = size + (0.15 * size if ink is PAPER else 0)
        for slant in (reach, -reach):
            pen.line((x - reach, y - slant, x + reach, y + slant), fill=ink, width=max(2, round(wider * size)))


def draw_ring(pen: ImageDraw.ImageDraw, xy: tuple[float, float], colour: Colour, *, size: float) -> None:
    """Draw a ring that shows on any ground."""
    x, y = xy
    for ink, wider, reach in ((PAPER, 0.6, 1.15 * size), (colour, 0.3, size)):
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), outline=ink, width=max(2, round(wider * size)))


def _rows(entries: Sequence[Entry], width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[list[tuple[int, Entry]]]:
    """Place entries beside one another, and below; the last row tells of those for which there is no room."""
    rows: list[list[tuple[int, Entry]]] = []
    x = width
    for number, entry in enumerate(entries):
        short = Entry(one_line(entry.text, longest=LONGEST_NAME), entry.colour, entry.symbol)
        needed = 2 * LINE_PX + round(font.getlength(short.text))
        if x + needed > width - PAD_PX:
            if len(rows) == MOST_ROWS - 1:
                rows.append([(PAD_PX, Entry(f"and {len(entries) - number} more", PAPER))])
                break
            rows.append([])
            x = PAD_PX
        rows[-1].append((x, short))
        x += needed
    return rows


def _draw_entry(pen: ImageDraw.ImageDraw, xy: tuple[int, int], entry: Entry, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> None:
    x, y = xy
    if entry.symbol == "cross":
        draw_cross(pen, (x + 8, y + LINE_PX / 2), entry.colour, size=CROSS_PX - 1)
    elif entry.symbol == "ring":
        draw_ring(pen, (x + 8, y + LINE_PX / 2), entry.colour, size=CROSS_PX - 1)
    elif entry.colour is not PAPER:
        pen.rectangle((x, y + 5, x + 15, y + LINE_PX - 5), fill=entry.colour, outline=INK)
    pen.text((x + LINE_PX, y), entry.text, INK, font=font)


def _draw_bar(
    pen: ImageDraw.ImageDraw, xy: tuple[int, int], *, px_um: float, most_px: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    x, y = xy  # the font of Pillow has no micro sign
    length_um = max((um for um in BAR_UM if um / px_um <= most_px), default=BAR_UM[0])
    length = length_um / px_um
    pen.rectangle((x, y + 8, x + length, y + 12), fill=INK)
    pen.text((x + length + PAD_PX, y), f"{length_um} um; {px_um:.3g} um per pixel", INK, font=font)


def _fitting(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Shorten a text in its middle until it fits."""
    longest = len(text)
    while longest > 40 and font.getlength(text) > width:
        longest -= 4
        text = one_line(text, longest=longest)
    return text
