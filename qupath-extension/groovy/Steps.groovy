package nuclick

import qupath.fx.dialogs.Dialogs

/** What was done to images, so that Undo last can take it back. */
class Steps {
    static final MOST = 100

    final Window window
    final History history
    boolean isUndoing                       // what changes now is no wish of the user's
    private final taken = new ArrayDeque()  // last first

    Steps(Window window) {
        this.window = window
        history = new History(window.qupath)
    }

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
        if (removed || added) history.change(picture, before == null) { picture.change(removed, added, this) }
        else settle(picture)
    }

    /** Record a prompt that got no outline. */
    private void settle(Picture picture) {
        if (history.isOwed) history.change(picture, true) { picture.hierarchy.fireHierarchyChangedEvent(this) }
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
}
