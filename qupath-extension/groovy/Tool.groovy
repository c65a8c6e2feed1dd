package nuclick

import javafx.event.EventHandler
import javafx.scene.Group
import javafx.scene.SnapshotParameters
import javafx.scene.image.ImageView
import javafx.scene.input.KeyCombination
import javafx.scene.input.MouseButton
import javafx.scene.input.MouseEvent
import javafx.scene.paint.Color
import javafx.scene.shape.Circle
import javafx.scene.shape.Ellipse
import qupath.lib.geom.Point2
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.prefs.PathPrefs
import qupath.lib.gui.viewer.tools.PathTools
import qupath.lib.objects.PathObjects
import qupath.lib.roi.ROIs

/** A tool in QuPath's toolbar: a click puts a point, a drag a squiggle, and Live answers both. */
class Tool implements EventHandler<MouseEvent> {
    static final double SLACK = 6  // pixels of the screen that the hand may move in a click

    final QuPathGUI qupath
    final Live live
    private List stroke  // of the button that is held down, as places of the image
    private double pressedX, pressedY
    private line         // the annotation of a drag

    Tool(QuPathGUI qupath, Live live) {
        this.qupath = qupath
        this.live = live
    }

    /** Put the tool beside the others. */
    void install() {
        def tool = PathTools.createTool(this, 'NuClick', icon())
        qupath.toolManager.installTool(tool, KeyCombination.valueOf('shift+n'))
        qupath.toolManager.selectedToolProperty().addListener({ p, was, now -> if (now.is(tool)) live.isOn.set(true) } as javafx.beans.value.ChangeListener)
    }

    /** A nucleus with a click in it. A picture, since one node cannot be in toolbar and menu at once. */
    private static ImageView icon() {
        def outline = new Ellipse(0, 0, 7, 5.5).tap { fill = null; stroke = Color.DODGERBLUE; strokeWidth = 1.5 }
        new ImageView(new Group(outline, new Circle(2).tap { fill = Color.DODGERBLUE }).snapshot(new SnapshotParameters(fill: Color.TRANSPARENT), null))
    }

    @Override
    void handle(MouseEvent event) {
        def type = event.eventType, viewer = qupath.viewer
        if (viewer?.imageData == null || event.button != MouseButton.PRIMARY && type != MouseEvent.MOUSE_MOVED) return
        def at = viewer.componentPointToImagePoint(event.x, event.y, null, true)
        if (type == MouseEvent.MOUSE_PRESSED) {
            event.source.requestFocus()
            stroke = [new Point2(at.x, at.y)]
            (pressedX, pressedY) = [event.x, event.y]
        } else if (type == MouseEvent.MOUSE_DRAGGED && stroke) {
            stroke << new Point2(at.x, at.y)
            if (line != null || Math.hypot(event.x - pressedX, event.y - pressedY) > SLACK) draw(viewer)
        } else if (type == MouseEvent.MOUSE_RELEASED && stroke) {
            if (line != null) tell(viewer, line)
            else if (event.altDown) remove(viewer, stroke[0])
            else put(viewer, stroke[0])
            stroke = line = null
        } else return
        event.consume()
    }

    private void draw(viewer) {
        def roi = ROIs.createPolylineROI(stroke, viewer.imagePlane)
        if (line == null) line = PathObjects.createAnnotationObject(roi, PathPrefs.autoSetAnnotationClassProperty().get())
        else line.ROI = roi
        viewer.hierarchy.updateObject(line, true)
    }

    /** Add a point to the points of the class that is set, where there are some. */
    private void put(viewer, Point2 spot) {
        if (viewer.hierarchy.rootObject == null || !isInside(viewer, spot)) return
        def wanted = PathPrefs.autoSetAnnotationClassProperty().get(), plane = viewer.imagePlane
        def points = pointsOf(viewer).find { it.pathClass.is(wanted) }
        if (points == null) points = PathObjects.createAnnotationObject(ROIs.createPointsROI(spot.x, spot.y, plane), wanted)
        else if (points.ROI.getNearest(spot.x, spot.y, PathPrefs.pointRadiusProperty().get() / 4) != null) return  // a double click
        else points.ROI = ROIs.createPointsROI(points.ROI.allPoints + spot, plane)
        tell(viewer, points)
    }

    /** Let Live answer, which records prompt and outline as one; or let QuPath record the prompt. */
    private void tell(viewer, item) {
        def isAnswered = live.isOn.get()
        viewer.hierarchy.updateObject(item, isAnswered)
        if (!isAnswered) return
        live.steps.history.isOwed = true
        live.look()
    }

    /** Take the point away that is under the mouse. */
    private void remove(viewer, Point2 spot) {
        double radius = PathPrefs.pointRadiusProperty().get()
        def points = pointsOf(viewer).find { it.ROI.getNearest(spot.x, spot.y, radius) != null }
        if (points == null) return
        def rest = points.ROI.allPoints - points.ROI.getNearest(spot.x, spot.y, radius)
        if (rest) {
            points.ROI = ROIs.createPointsROI(rest, viewer.imagePlane)
            tell(viewer, points)
        } else viewer.hierarchy.removeObject(points, false)
    }

    private static List pointsOf(viewer) {
        new Picture(viewer.imageData).annotations().findAll { it.ROI?.isPoint() && !it.isLocked() && it.ROI.imagePlane == viewer.imagePlane }
    }

    private static boolean isInside(viewer, Point2 spot) { spot.x >= 0 && spot.y >= 0 && spot.x < viewer.serverWidth && spot.y < viewer.serverHeight }
}
