"""Clicks and squiggles made from true masks, as a user would draw them: for training and evaluation.

All functions are pure; those that draw at random take the generator.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import skeletonize

Pixel = tuple[int, int]  # row, col


def click_places(labels: NDArray[np.int32]) -> NDArray[np.intp]:
    """Give the pixels of every object of a label image that a training click may hit.

    They are the pixels 2 px or more from the nearest pixel outside their object; in an object too thin
    for that, those where it is thickest. The border of the image counts as outside.

    Parameters
    ----------
    labels
        (H, W) int, 0 background, 1..n objects.

    Returns
    -------
    (Q, 3) int array
        Label, row, col, by rising label.

    References
    ----------
    Koohbanani et al. 2020, section 3.3.1, for the 2 px.
    """
    rows, cols = np.nonzero(labels)
    number = labels[rows, cols]
    depth = _depth_levels(labels)[rows, cols]
    thickest = np.zeros(int(labels.max()) + 1, depth.dtype)
    np.maximum.at(thickest, number, depth)
    places = np.column_stack([number, rows, cols])[depth == thickest[number]].astype(np.intp)
    return np.asarray(places[np.argsort(places[:, 0], kind="stable")])


def centroid_click(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Give the pixel of the centroid, or the mask's pixel nearest to it when it lies outside."""
    rows, cols = np.nonzero(mask)
    centre = rows.mean(), cols.mean()
    row, col = int(centre[0] + 0.5), int(centre[1] + 0.5)
    if mask[row, col]:
        return row, col
    nearest = int(np.argmin((rows - centre[0]) ** 2 + (cols - centre[1]) ** 2))
    return int(rows[nearest]), int(cols[nearest])


def label_centroids(labels: NDArray[np.int32]) -> NDArray[np.intp]:
    """Give the centroid click of every object of a label image.

    Parameters
    ----------
    labels
        (H, W) int, 0 background, 1..n objects; numbers without pixels are left out.

    Returns
    -------
    (M, 3) int array
        Label, row, col of each object, by rising label.
    """
    clicks = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            row, col = centroid_click(labels[box] == number)
            clicks.append((number, box[0].start + row, box[1].start + col))
    return np.array(clicks, np.intp).reshape(-1, 3)


def label_strokes(labels: NDArray[np.int32]) -> list[tuple[int, list[NDArray[np.intp]]]]:
    """Give label and squiggle of every object of a label image: the strokes of its skeleton.

    Parameters
    ----------
    labels
        As for `label_centroids`; the parts of an object need not touch.

    Returns
    -------
    list of (int, strokes)
        By rising label; strokes as `skeleton_strokes` gives them, in rows and cols of the image.
    """
    squiggles = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            strokes = skeleton_strokes(skeleton_squiggle(labels[box] == number))
            corner = np.array([box[0].start, box[1].start])
            squiggles.append((number, [stroke + corner for stroke in strokes]))
    return squiggles


def random_squiggle(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the inclusion signal of a gland: the skeleton of a randomly shrunken mask.

    Parameters
    ----------
    mask
        (H, W) bool with at least one True; holes in it stay outside the squiggle.

    Returns
    -------
    (H, W) bool array
        One pixel wide; several strokes where shrinking takes the mask apart.

    References
    ----------
    Koohbanani et al. 2020, section 3.3.2: D is the distance to the boundary inside the mask, t is
    uniform in [0, mean + std of D], and the signal is the morphological skeleton of D > t.
    """
    box = _box(mask)
    depth = distance_inside(mask[box])
    inside = depth[mask[box]]
    # A threshold at or above the greatest depth would leave nothing to draw.
    highest = min(float(inside.mean() + inside.std()), float(inside.max()) - 1e-6)
    squiggle = np.zeros_like(mask)
    squiggle[box] = skeletonize(depth > rng.uniform(0, highest))
    return squiggle


def skeleton_squiggle(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Give the morphological skeleton of a mask: the squiggle of the evaluation protocol."""
    squiggle = np.zeros_like(mask)
    box = _box(mask)
    squiggle[box] = skeletonize(np.pad(mask[box], 1))[1:-1, 1:-1]
    return squiggle


def skeleton_strokes(skeleton: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Take a skeleton apart into the strokes that a hand would draw it with.

    Parameters
    ----------
    skeleton
        (H, W) bool, one pixel wide; loops, branches and several parts are fine.

    Returns
    -------
    list of (K, 2) int arrays
        Row, col of vertices, at least two each; one after the other they are neighbours, diagonally
        too. Drawing all strokes gives the skeleton and nothing else, and no gap opens when they are
        scaled up: loops are closed, and branches begin on the pixel that they leave from. A pixel
        by itself is a stroke of two equal vertices.

    Examples
    --------
    >>> [stroke.tolist() for stroke in skeleton_strokes(np.eye(3, dtype=bool))]
    [[[0, 0], [1, 1], [2, 2]]]
    """
    links = _pixel_links(skeleton)
    strokes = [[pixel, pixel] for pixel, linked in links.items() if not linked]
    # A trail from a pixel with an odd number of links ends at another such pixel, which saves a
    # stroke; what is left when none remains are closed trails.
    odd_first = sorted((pixel for pixel, linked in links.items() if len(linked) % 2), key=lambda pixel: len(links[pixel]))
    strokes += [_walk(pixel, links) for pixel in odd_first if len(links[pixel]) % 2]
    strokes += [_walk(pixel, links) for pixel in links if links[pixel]]
    return [np.array(stroke, np.intp) for stroke in strokes]


def distance_inside(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give for each pixel of a mask the distance to the nearest pixel outside it, else 0.

    The border of the array counts as outside.
    """
    depth: NDArray[np.float64] = ndimage.distance_transform_edt(np.pad(mask, 1))
    return depth[1:-1, 1:-1]


def _depth_levels(labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Give 2 where all eight neighbours are of the same object, 1 where the four along the sides are, else 0.

    The nearest pixel outside is then 2 or more, sqrt(2), and 1 away.
    """
    height, width = labels.shape
    around = np.pad(labels, 1)
    same = {
        (row, col): around[1 + row : 1 + row + height, 1 + col : 1 + col + width] == labels
        for row, col in product((-1, 0, 1), repeat=2)
        if row or col
    }
    sides = same[0, 1] & same[0, -1] & same[1, 0] & same[-1, 0]
    corners = same[1, 1] & same[1, -1] & same[-1, 1] & same[-1, -1]
    return np.asarray(sides.astype(np.uint8) + (sides & corners))


def _pixel_links(skeleton: NDArray[np.bool_]) -> dict[Pixel, list[Pixel]]:
    """Link the pixels of a skeleton, diagonally only where no way along a side joins them."""
    links: dict[Pixel, list[Pixel]] = {(row, col): [] for row, col in np.argwhere(skeleton).tolist()}
    for (row, col), linked in links.items():
        below, right = (row + 1, col), (row, col + 1)
        ahead = [pixel for pixel in (right, below) if pixel in links]
        if not ahead and (row + 1, col + 1) in links:
            ahead.append((row + 1, col + 1))
        if (row + 1, col - 1) in links and below not in links and (row, col - 1) not in links:
            ahead.append((row + 1, col - 1))
        for pixel in ahead:
            linked.append(pixel)
            links[pixel].append((row, col))
    return links


def _walk(start: Pixel, links: dict[Pixel, list[Pixel]]) -> list[Pixel]:
    """Follow links until there is none left where the way has led, and take them away."""
    here, way = start, [start]
    while links[here]:
        there = links[here].pop()
        links[there].remove(here)
        way.append(there)
        here = there
    return way


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Give the bounding box of a mask as slices."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
