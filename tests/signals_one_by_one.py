"""Maps and inputs drawn one patch at a time with numpy: slow, and what is drawn on any device must be like."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from skimage.draw import line as draw_line

from nuclick_qp.errors import PromptError
from nuclick_qp.geometry import Window
from nuclick_qp.prompts import Prompt


def inclusion_map(prompt: Prompt, window: Window, *, click_radius_px: float = 0.0) -> NDArray[np.float32]:
    """Draw one prompt as the inclusion signal of a patch.

    Parameters
    ----------
    prompt
        The click or squiggle, in the slide frame (level-0 pixels).
    window
        The patch; its scale maps level-0 pixels to patch pixels.
    click_radius_px
        Radius of the disc that a click marks, in patch pixels; 0 is one pixel, as in the paper.

    Returns
    -------
    (H, W) float32 array
        1 on the pixels under the prompt, 0 elsewhere. A click marks one pixel or a disc, a squiggle
        a line one pixel wide; what lies outside the patch is left out.

    Raises
    ------
    PromptError
        If no part of the prompt falls into the window.

    References
    ----------
    Koohbanani et al., NuClick, Med. Image Anal. 65 (2020) 101771, section 3.3.

    Examples
    --------
    >>> from nuclick_qp.prompts import click_at
    >>> float(inclusion_map(click_at(10, 20), Window(0, 0, 32, 32)).sum())
    1.0
    """
    signal = np.zeros((window.height, window.width), np.float32)
    for stroke in prompt.strokes:
        rows, cols = _stroke_pixels(window.to_array(stroke))
        seen = (rows >= 0) & (rows < window.height) & (cols >= 0) & (cols < window.width)
        signal[rows[seen], cols[seen]] = 1
    if not signal.any():
        raise PromptError(f"the {prompt.kind} prompt at {prompt.anchor} lies outside its patch {window.slide_box}")
    if prompt.kind == "point":
        draw_clicks(signal, np.argwhere(signal), radius_px=click_radius_px)
    return signal


def exclusion_map(
    others_xy: NDArray[np.float64], inclusion: NDArray[np.float32], window: Window, *, click_radius_px: float = 0.0
) -> NDArray[np.float32]:
    """Draw the neighbours of a prompt as the exclusion signal of its patch.

    Parameters
    ----------
    others_xy
        (M, 2) one place in each other object, in the slide frame; may lie outside the patch.
    inclusion
        (H, W) inclusion signal of the same patch. Its pixels stay 0 here: two clicks in one pixel
        would tell the network to want and not to want the same object.
    window
        The patch.
    click_radius_px
        As for `inclusion_map`.

    Returns
    -------
    (H, W) float32 array
        1 on one pixel, or disc, of each neighbour inside the patch, 0 elsewhere.
    """
    signal = np.zeros((window.height, window.width), np.float32)
    others_xy = np.asarray(others_xy, np.float64).reshape(-1, 2)
    draw_clicks(signal, window.to_array(others_xy[window.contains(others_xy)]), radius_px=click_radius_px)
    signal[inclusion > 0] = 0
    return signal


def draw_clicks(signal: NDArray[np.float32], row_col: NDArray[np.intp], *, radius_px: float) -> None:
    """Set a disc round each of the (M, 2) places to 1, in place; what lies outside the signal is left out.

    References
    ----------
    Sofiiuk et al., Reviving iterative training with mask guidance, ICIP 2022: discs train better than
    distance maps; Koohbanani 2020 marks one pixel, which a radius of 0 gives.

    Examples
    --------
    >>> signal = np.zeros((5, 5), np.float32)
    >>> draw_clicks(signal, np.array([[2, 2], [0, 4]]), radius_px=1)
    >>> signal.astype(int).tolist()
    [[0, 0, 0, 1, 1], [0, 0, 1, 0, 1], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    """
    reach = int(radius_px)
    rows, cols = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.column_stack([rows.ravel(), cols.ravel()])[(rows**2 + cols**2 <= radius_px**2).ravel()]
    pixels = (np.asarray(row_col)[:, None] + disc).reshape(-1, 2)
    seen = ((pixels >= 0) & (pixels < signal.shape)).all(axis=1)
    signal[tuple(pixels[seen].T)] = 1


def build_inputs(
    pixels: NDArray[np.uint8],
    prompts: Sequence[Prompt],
    *,
    windows: Sequence[Window],
    others_xy: Sequence[NDArray[np.float64]],
    click_radius_px: float = 0.0,
) -> NDArray[np.float32]:
    """Stack patches and their signals into the input of the network.

    Parameters
    ----------
    pixels
        (N, P, P, 3) uint8, RGB.
    prompts, windows
        N prompts, and N patches in the slide frame.
    others_xy
        N arrays (M_i, 2) of neighbours, in the slide frame.
    click_radius_px
        As for `inclusion_map`; the card of the model says it.

    Returns
    -------
    (N, 5, P, P) float32 array
        R, G, B in [0, 1], inclusion, exclusion.
    """
    inputs = np.empty((len(pixels), 5, *pixels.shape[1:3]), np.float32)
    inputs[:, :3] = pixels.transpose(0, 3, 1, 2)
    inputs[:, :3] /= 255
    for i, (prompt, window) in enumerate(zip(prompts, windows, strict=True)):
        inputs[i, 3] = inclusion_map(prompt, window, click_radius_px=click_radius_px)
        inputs[i, 4] = exclusion_map(others_xy[i], inputs[i, 3], window, click_radius_px=click_radius_px)
    return inputs


def _stroke_pixels(row_col: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give rows and columns of the pixels that join the vertices of a stroke."""
    if len(row_col) == 1:
        return row_col[:, 0], row_col[:, 1]
    parts = [draw_line(r0, c0, r1, c1) for (r0, c0), (r1, c1) in pairwise(row_col)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
