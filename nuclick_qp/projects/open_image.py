"""Open the slide of an image of a project, checked against what the project says of it."""

from nuclick_qp.errors import SlideError
from nuclick_qp.projects.locate import SlidePlaces, find_slide
from nuclick_qp.projects.protocol import ImageEntry
from nuclick_qp.slides import Slide, check_size, open_slide


def open_image(entry: ImageEntry, places: SlidePlaces) -> Slide:
    """Open the slide of an image.

    Raises
    ------
    SlideError
        If the image is a rotated, cropped or otherwise changed view of its file; or, of a kind of
        its own, if the file is not found, cannot be read, or has another size than the project says.
    """
    if entry.wrapped is not None:
        raise SlideError(
            f"{places.project}: image {entry.name!r} is a {entry.wrapped} view of its file, whose coordinates are not those of "
            "the file; draw on the original image instead"
        )
    slide = open_slide(find_slide(entry, places), series=entry.series)
    try:
        if entry.width is not None and entry.height is not None:
            check_size(slide, width=entry.width, height=entry.height, image_name=entry.name)
    except BaseException:
        slide.close()
        raise
    return slide
