"""QuPath projects: open one, read prompts, write results, find slides."""

from nuclick_qp.annotations.objects import Changes, EarlierResult, EntryContent, ResultObject
from nuclick_qp.projects.locate import SlidePlaces, find_slide
from nuclick_qp.projects.open_project import open_project
from nuclick_qp.qupath.project import ImageEntry, Project

__all__ = ["Changes", "EarlierResult", "EntryContent", "ImageEntry", "Project", "ResultObject", "SlidePlaces", "find_slide", "open_project"]
