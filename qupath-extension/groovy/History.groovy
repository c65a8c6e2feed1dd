package nuclick

import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.prefs.PathPrefs

/**
 * QuPath's own undo, Ctrl+Z. It keeps all objects after each change, and has Java collect all garbage each time, which
 * takes some tenths of a second; and it has no call that makes a click and its outline one step. So what NuClick changes
 * is recorded here, in QuPath's own states. Where a later QuPath keeps them elsewhere, it records as it does for any
 * other change: slower, and click and outline are two steps.
 */
class History {
    final QuPathGUI qupath
    boolean isOwed  // whether something was changed that QuPath did not record

    History(QuPathGUI qupath) { this.qupath = qupath }

    /** Change an image and record that: as a step of its own, or as part of what was recorded last. */
    void change(Picture picture, boolean isStep, Closure change) {
        def stacks = stacks(picture), manager = qupath.undoRedoManager
        if (!stacks) { change(); return }
        manager.@undoingOrRedoing = true  // it looks away
        try { change() } finally { manager.@undoingOrRedoing = false }
        stacks.each { write(it, picture.hierarchy, isStep || isOwed) }
        isOwed = false
        manager.refreshProperties()
    }

    /** Forget states that QuPath recorded twice: one for pressing the mouse and one for releasing it. */
    void dropRepeats(Picture picture) { stacks(picture).each { drop(it, it.@current) } }

    private List stacks(Picture picture) {
        try {
            if (picture.hierarchy.nObjects() > PathPrefs.maxUndoHierarchySizeProperty().get()) return []
            def shown = qupath.allViewers.findAll { it.imageData.is(picture.imageData) }
            def found = shown.collect { qupath.undoRedoManager.@map[it] }.findAll { it != null }
            qupath.undoRedoManager.@undoingOrRedoing
            found.each { [it.@undoStack, it.@redoStack, it.@current] }
            return found
        } catch (MissingFieldException | MissingPropertyException e) {
            Segmentation.logger.debug('NuClick: this QuPath keeps its undo elsewhere', e)
            return []
        }
    }

    private static void write(stack, hierarchy, boolean isStep) {
        byte[] was = stack.@current
        stack.@current = stack.serialize(hierarchy, was == null ? 1024 : was.length + 1024)
        if (!isStep || was == null) { drop(stack, was); return }
        stack.@undoStack.push(was)
        stack.@redoStack.clear()
        while (stack.@undoStack.size() > Math.max(1, PathPrefs.maxUndoLevelsProperty().get())) stack.@undoStack.pollLast()
    }

    private static void drop(stack, byte[] state) {
        def earlier = stack.@undoStack
        while (state != null && earlier && Arrays.equals((byte[]) earlier.peek(), state)) earlier.poll()
    }
}
