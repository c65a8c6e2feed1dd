package nuclick

import qupath.fx.dialogs.Dialogs

/** What was done to images, so that it can be taken back: by Undo last, and by QuPath's own undo. */
class Steps {
    static final MOST = 100

    final Window window
    boolean isUndoing                       // what changes now is no wish of the user's
    private final taken = new ArrayDeque()  // last first

    Steps(Window window) { this.window = window }

    void clear() { taken.clear() }

    /**
     * Change an image, and remember how to take it back.
     *
     * @param added  pairs of object and parent
     * @param before what the user had drawn before that led to this, and now; see Picture.prompts
     */
    void take(Picture picture, Collection removed, List added, Map before = null, Map now = null) {
        taken.push([picture: picture, removed: removed.collect { [it, it.parent] }, added: added*.get(0), before: before?.drawn, now: now?.drawn])
        while (taken.size() > MOST) taken.removeLast()
        if (!removed && !added) return
        def states = before == null ? [:] : histories(picture).collectEntries { [it, it.@current] }
        picture.change(removed, added, this)
        if (states.any { history, was -> history.@current.is(was) })  // QuPath 0.5 records no change that does not name its objects
            picture.hierarchy.fireObjectsChangedEvent(this, (added*.get(0) + removed) as List)
        states.each { history, was -> drop(history, was) }
    }

    /** Take back outlines and prompts of the last step. */
    Picture undo() {
        if (!taken) { Dialogs.showInfoNotification('NuClick', 'Nothing to undo'); return null }
        def step = taken.pop()
        isUndoing = true
        try { restore(step) } finally { isUndoing = false }
        step.picture
    }

    private void restore(Map step) {
        def hierarchy = step.picture.hierarchy
        def ids = step.added*.ID as Set, standing = step.picture.annotations().collectEntries { [it.ID, it] }  // QuPath's own undo puts copies in their place
        step.picture.change(step.picture.outlines().findAll { ids.contains(it.ID) }, step.removed, this)
        (step.now ?: [:]).each { id, now -> if (!step.before.containsKey(id) && standing[id]) hierarchy.removeObject(standing[id], true) }
        (step.before ?: [:]).each { id, was ->
            if (was.roi.is(step.now[id]?.roi)) return
            def item = standing[id] ?: was.item
            item.ROI = was.roi
            if (standing[id]) hierarchy.fireObjectsChangedEvent(this, [item]) else hierarchy.addObject(item)
        }
    }

    /** Forget states that QuPath recorded twice: one for pressing the mouse and one for releasing it. */
    void dropRepeats(Picture picture) { histories(picture).each { drop(it, it.@current) } }

    // QuPath records a click and its outline as two changes, and has no call to make them one. Where a later QuPath
    // keeps its states elsewhere, Ctrl+Z takes back outline and click one after the other.

    private List histories(Picture picture) {
        try {
            def shown = window.qupath.allViewers.findAll { it.imageData.is(picture.imageData) }
            def found = shown.collect { window.qupath.undoRedoManager.@map[it] }.findAll { it != null }
            found.each { it.@undoStack.size(); it.@current }
            return found
        } catch (MissingFieldException | MissingPropertyException e) {
            Segmentation.logger.debug('NuClick: no undo in one step', e)
            return []
        }
    }

    private static void drop(history, byte[] state) {
        def earlier = history.@undoStack
        while (state != null && earlier && Arrays.equals((byte[]) earlier.peek(), state)) earlier.poll()
    }
}
