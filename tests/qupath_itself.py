"""What QuPath does with a project when its user opens an image, changes something and saves."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nuclick_qp.annotations.objects import PROMPT_KEY
from nuclick_qp.qupath.jvm.engine import JvmProject
from nuclick_qp.qupath.jvm.java_objects import metadata_reader, walk

Edit = Callable[["QuPathImage"], None]


class QuPathImage:
    """The objects of an image that is open in QuPath, and what its user does with them."""

    def __init__(self, project: JvmProject, hierarchy: Any) -> None:
        self.load = project.java.load
        self.hierarchy = hierarchy
        self.plane = self.load("qupath.lib.regions.ImagePlane").getDefaultPlane()
        self.metadata_of = metadata_reader(project.java)

    def objects(self) -> list[Any]:
        """Give all objects but the root, in the order of the hierarchy."""
        return list(walk(self.hierarchy.getRootObject()))

    def ours(self) -> list[Any]:
        """Give those that carry our metadata."""
        return [item for item in self.objects() if PROMPT_KEY in self.metadata_of(item)]

    def drawn(self, class_name: str) -> Any:
        """Give the only annotation of the user that has a class."""
        (item,) = (o for o in self.objects() if o.isAnnotation() and str(o.getPathClass()) == class_name)
        return item

    def remove(self, item: Any) -> None:
        """Delete an object; its children stay."""
        self.hierarchy.removeObject(item, True)

    def classify(self, item: Any, class_name: str) -> None:
        """Give an object another class."""
        item.setPathClass(self.load("qupath.lib.objects.classes.PathClass").fromString(class_name))

    def put(self, item: Any, *points: tuple[float, float]) -> None:
        """Give an annotation of points other points."""
        point = self.load("qupath.lib.geom.Point2")
        places = self.load("java.util.ArrayList")()
        for x, y in points:
            places.add(point(x, y))
        item.setROI(self.load("qupath.lib.roi.ROIs").createPointsROI(places, self.plane))

    def draw_line(self, start: tuple[float, float], end: tuple[float, float]) -> Any:
        """Draw a line without a class."""
        roi = self.load("qupath.lib.roi.ROIs").createLineROI(*start, *end, self.plane)
        item = self.load("qupath.lib.objects.PathObjects").createAnnotationObject(roi)
        self.hierarchy.addObject(item)
        return item

    def merge(self, *items: Any) -> None:
        """Make one annotation of several, with the class of the first."""
        rois = self.load("java.util.ArrayList")()
        for item in items:
            rois.add(item.getROI())
        merged = self.load("qupath.lib.roi.RoiTools").union(rois)
        for item in items:
            self.remove(item)
        self.hierarchy.addObject(self.load("qupath.lib.objects.PathObjects").createAnnotationObject(merged, items[0].getPathClass()))


def save_in_qupath(project: JvmProject, entry_id: str = "1", edit: Edit = lambda image: None) -> None:
    """Open an image through QuPath's own classes, change it, save it, and the project after it."""
    files = project.java.load("java.io.File")(str(project.path))
    opened = project.java.load("qupath.lib.projects.ProjectIO").loadProject(files, project.java.load("java.awt.image.BufferedImage").class_)
    (entry,) = (e for e in opened.getImageList() if str(e.getID()) == entry_id)
    data = entry.readImageData()
    edit(QuPathImage(project, data.getHierarchy()))
    entry.saveImageData(data)
    opened.syncChanges()


def slides_at(folder: Path, slides: Path) -> None:
    """Let a fixture project find its slides; QuPath writes URIs with one slash or three."""
    path = next(folder.glob("*.qpproj"))
    path.write_text(re.sub("file:(//)?/home/pathology/slides", slides.absolute().as_uri(), path.read_text("utf-8")), "utf-8")
