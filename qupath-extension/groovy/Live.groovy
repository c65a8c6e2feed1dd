package nuclick

import java.util.concurrent.atomic.AtomicReference
import javafx.beans.property.SimpleBooleanProperty
import javafx.beans.value.ChangeListener
import qupath.lib.objects.hierarchy.events.PathObjectHierarchyListener

/** Answers what the user draws in the image that is shown. */
class Live {
    final Window window
    final Steps steps
    final isOn = new SimpleBooleanProperty(false)
    private final listener = { event -> if (!event.changing && !event.source.is(steps) && !steps.isUndoing) look(event) } as PathObjectHierarchyListener
    private final waiting = new AtomicReference()  // what is to be answered next
    private final answered = new HashSet()         // keys of prompts that got their outline live
    private listened                               // image data that is listened to
    private Map known                              // its prompts when they were last looked at

    Live(Window window, Steps steps) {
        this.window = window
        this.steps = steps
        def again = { p, was, now -> listen() } as ChangeListener
        isOn.addListener(again)
        window.qupath.imageDataProperty().addListener(again)
    }

    /** Listen to the image that is shown now, if on. */
    private void listen() {
        listened?.hierarchy?.removeListener(listener)
        listened = null
        waiting.set(null)
        answered.clear()
        steps.clear()
        def data = isOn.get() ? window.qupath.imageData : null
        if (data == null) { window.status.text = ''; return }
        known = new Picture(data).prompts()
        listened = data
        data.hierarchy.addListener(listener)
        window.status.text = 'NuClick: live'
        window.inBackground { Segmentation.exchange.ask('GET', '/models') }  // starts the service while the user takes aim
    }

    /** Take the prompts of now as answered. */
    void catchUp(Picture picture) { if (listened.is(picture?.imageData)) known = picture.prompts() }

    /** Note that something has changed, with or without an event; what comes while an answer is under way is answered together, right after it. */
    void look(event = null) {
        if (event?.addedOrRemovedEvent) event.changedObjects.each { answered.remove(Picture.promptOf(it)) }
        def picture = new Picture(listened)
        def next = [now: picture.prompts(), began: System.nanoTime(), isDeep: event?.structureChangeEvent && !event.addedOrRemovedEvent]
        def before = waiting.getAndSet(next)
        if (before != null) { next.began = before.began; next.isDeep |= before.isDeep; return }
        window.inBackground {
            def at = waiting.getAndSet(null)
            if (at != null && picture.imageData.is(listened)) follow(picture, at)
        }
    }

    /** Do what changed prompts ask for. */
    private void follow(Picture picture, Map at) {
        def before = known, now = known = at.now
        def changes = Exchange.changes(before.prompts, now.prompts)
        def background = now.background - before.background, freed = before.background - now.background
        def isUndo = at.isDeep && now.drawn.any { id, drawn -> before.drawn[id] && !before.drawn[id].item.is(drawn.item) }  // QuPath's puts copies of all in place
        def todo = at.isDeep ? bare(picture, before, now, isUndo) : changes.added
        def recoloured = changes.reclassified.collectEntries { [Exchange.keyOf(it), it] }
        if (!todo && !changes.gone && !recoloured && !background && !freed) { Segmentation.onWindow { steps.history.dropRepeats(picture) }; return }
        def gone = changes.gone.collectEntries { [Exchange.keyOf(it), it.class_name] }
        def orphans = picture.outlinesOf(gone.keySet()).findAll { !Picture.isEdited(it, gone[Picture.promptOf(it)]) }
        todo += touched(picture, now, changes.added.collect { [xy: Picture.anchor(it), z: it.z, t: it.t] } + background, freed, todo)
        if (todo && !picture.isReady() && !Segmentation.onWindow { window.ready(picture.imageData) }) return
        def done = Segmentation.segment(picture, todo, now, [:])
        Segmentation.onWindow {
            if (!window.isShown(picture)) return  // another image meanwhile: nothing lands there
            def latest = waiting.get()?.now ?: now
            def lost = (now.prompts.keySet() - latest.prompts.keySet()).collect { Exchange.keyOf(now.prompts[it]) } as Set  // moved or deleted meanwhile
            def added = done.added.findAll { !lost.contains(Picture.promptOf(it[0])) }
            answered.addAll(added.collect { Picture.promptOf(it[0]) })
            def turned = picture.outlinesOf(recoloured.keySet())
            turned.each { Picture.reclassify(it, recoloured[Picture.promptOf(it)].item.pathClass) }
            if (turned) picture.hierarchy.fireObjectClassificationsChangedEvent(steps, turned)
            def removed = (orphans + done.removed).unique()
            if (removed || added || changes.added || changes.gone) steps.take(picture, removed, added, before, now)
            if (isUndo) steps.clear()  // they do not fit any more
            if (done.counts || orphans) window.tell(picture, done, at.began)
        }
    }

    /** New prompts without an outline; after an undo also those that lost theirs, since it went back to a moment between click and answer. */
    private Collection bare(Picture picture, Map before, Map now, boolean isUndo) {
        def standing = picture.outlines().collect { Picture.promptOf(it) } as Set
        if (!isUndo) answered.retainAll(standing)  // the user has deleted outlines
        now.prompts.findAll { id, prompt ->
            def key = Exchange.keyOf(prompt)
            !standing.contains(key) && (!before.prompts.containsKey(id) || answered.contains(key))
        }.values() as List
    }

    /**
     * Prompts whose outline a new spot lies in, for a click into a wrong merge splits it and a background click cuts
     * it; and those that a background click that has gone may have cut.
     */
    private static Collection touched(Picture picture, Map now, Collection spots, Collection freed, Collection but) {
        def near = { Map spot, double margin -> picture.near([[strokes: [[spot.xy]], z: spot.z, t: spot.t]], margin).ours }
        def hit = spots.collectMany { spot -> near(spot, 2).findAll { it.ROI.contains(spot.xy[0], spot.xy[1]) } }
        hit += freed.collectMany { near(it, NUCLEUS_UM / picture.facts().mpp) }
        if (!hit) return []
        def prompts = now.prompts.values().collectEntries { [Exchange.keyOf(it), it] }
        def keys = hit.findAll { !Picture.isEdited(it, prompts[Picture.promptOf(it)]?.class_name) }.collect { Picture.promptOf(it) } as Set
        keys -= but.collect { Exchange.keyOf(it) }
        prompts.subMap(keys).values() as List
    }
}
