"""Open the slide of an image of a project, checked against what the project says of it."""

from nuclick_qp.errors import SlideError, SlideSizeMismatchError
from nuclick_qp.qupath.locate import SlidePlaces, find_slide
from nuclick_qp.qupath.protocol import ImageEntry
from nuclick_qp.slides import Slide, check_size, open_slide


def open_image(entry: ImageEntry, places: SlidePlaces) -> Slide:
    """Open the slide of an image.

    Raises
    ------
    SlideError
        If the image has other pixels than its file, or lies in it in a way that no crop, turn or
        mirror describes; or, of a kind of its own, if the file is not found, cannot be read, or has
        another size than the project says.
    """
    if entry.wrapped is not None:
        raise SlideError(
            f"{places.project}: image {entry.name!r} is made by QuPath from its file ({entry.wrapped}) in a way that only QuPath can; "
            "export it there as OME-TIFF and add that to the project, or draw on the original image"
        )
    slide = open_slide(find_slide(entry, places), series=entry.series, is_cropped=entry.is_cropped, steps=entry.steps)
    try:
        if entry.file_size is not None:
            check_size(slide, width=entry.file_size[0], height=entry.file_size[1], image_name=entry.name)
        if entry.width is not None and entry.height is not None and (slide.width, slide.height) != (entry.width, entry.height):
            raise SlideSizeMismatchError(
                f"{places.project}: image {entry.name!r} should have {entry.width} x {entry.height} pixels, but cut and turned as the "
                f"project says {slide.path} gives {slide.width} x {slide.height}; add the image to the project again in QuPath"
            )
    except BaseException:
        slide.close()
        raise
    return slide
