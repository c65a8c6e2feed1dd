"""Pixels of a window from any slide."""

from nuclick_qp.slides.opening import open_slide
from nuclick_qp.slides.pixel_size import resolve_mpp
from nuclick_qp.slides.slide import Slide, check_size

__all__ = ["Slide", "check_size", "open_slide", "resolve_mpp"]
