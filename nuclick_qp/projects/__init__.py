"""QuPath projects: open one, read prompts, write results, find slides."""

from nuclick_qp.projects.locate import SlidePlaces, find_slide
from nuclick_qp.projects.open_project import open_project
from nuclick_qp.projects.protocol import Changes, EarlierResult, EntryContent, ImageEntry, Project, ResultObject

__all__ = ["Changes", "EarlierResult", "EntryContent", "ImageEntry", "Project", "ResultObject", "SlidePlaces", "find_slide", "open_project"]
