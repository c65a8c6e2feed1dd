package nuclick

import java.util.concurrent.Callable
import java.util.concurrent.Executors
import java.util.concurrent.FutureTask
import javafx.application.Platform
import javafx.scene.control.CheckMenuItem
import javafx.scene.control.Label
import javafx.scene.control.MenuItem
import javafx.scene.control.SeparatorMenuItem
import javafx.scene.input.KeyCombination
import org.slf4j.LoggerFactory
import qupath.fx.dialogs.Dialogs
import qupath.lib.gui.QuPathGUI
import qupath.lib.io.GsonTools
import qupath.lib.objects.hierarchy.events.PathObjectHierarchyListener
import qupath.lib.plugins.workflow.DefaultScriptableWorkflowStep

/** The menu Extensions > NuClick, and what listens to the user's clicks. */
class NuClick {
    static final HELP = '''Live (Shift+N) answers each click with the outline of a nucleus, and each line through a gland with the gland.

Points tool: click into the middle of a nucleus. Drag a point to move it, Alt and click to delete it: the outline follows.
Polyline or Line tool: draw along the middle of a gland.
A click into an outline that holds two nuclei splits it.
Points of a class that ends in *, such as Ignore*, mark background.
Undo last (Shift+U) takes back outline and click.

Outlines that you edit by hand are yours: nothing replaces or removes them.
Prompts that were drawn before: Segment selected prompts, Segment all prompts, Run on the whole project.
Something is wrong? Settings > Test, and View > Show log.'''
    static final MOST_STEPS = 100  // that can be undone
    static final logger = LoggerFactory.getLogger('NuClick')

    static final gson = GsonTools.instance
    static final service = new Service(fromJson: { gson.fromJson(it as String, Object) }, version: NuClickExtension.package?.implementationVersion,
        settings: { Settings.current() })
    static final exchange = new Exchange(service: service, toJson: { gson.toJson(it) }, fromJson: { gson.fromJson(it as String, Object) })

    // --- what both the window and scripts do

    /** For scripts, with or without a window; see NuClickExtension. */
    static Map<String, Integer> segmentAll(Object imageData, Map<String, ?> options) {
        def picture = new Picture(imageData)
        def problem = picture.unsuitable() ?: (picture.hasPixelSize() ? null : 'the image has no pixel size; set it in the Image tab')
        if (problem) throw new IllegalStateException(problem)
        def found = picture.prompts()
        def todo = unfinished(picture, found.prompts.values())
        def done = segment(picture, todo, found, options)
        onWindow { picture.change(done.removed, done.added, NuClick) }
        done.counts
    }

    /** Prompts without an outline. */
    static Collection unfinished(Picture picture, Collection prompts) {
        def standing = picture.outlines().collectEntries { [Picture.promptOf(it), it] }
        prompts.findAll { standing[Exchange.keyOf(it)] == null }
    }

    /**
     * Outline some prompts of an image.
     *
     * @return removed, added (pairs of object and parent), counts by status, failed (results without an outline)
     */
    static Map segment(Picture picture, Collection todo, Map found, Map options) {
        def done = [removed: [], added: [], counts: [:], failed: []]
        def isFar = !!Settings.current().address
        todo.groupBy { [z: it.z, t: it.t] }.each { plane, prompts ->
            prompts.sort { [(Picture.anchor(it)[1] / 2048) as int, Picture.anchor(it)[0]].join(',') }.collate(Exchange.MOST_AT_ONCE).each { batch ->
                def request = request(picture, batch, found, options)
                def standing = request.remove('ours')
                exchange.segment(request) { picture.read(it, plane, isFar) }.eachWithIndex { result, i -> take(picture, batch[i], result, standing, done) }
            }
        }
        done
    }

    private static void take(Picture picture, Map prompt, Map result, Collection standing, Map done) {
        done.counts.merge(result.status, 1, Integer::sum)
        done.removed.addAll(standing.findAll { Picture.promptOf(it) == result.key })
        if (result.feature == null) { done.failed << result; return }
        done.added << [Picture.toObject(result, prompt.item.pathClass), picture.holder(prompt)]
    }

    private static Map request(Picture picture, Collection batch, Map found, Map options) {
        def facts = picture.facts(), wishes = [*: Settings.current(), *: options]
        double margin = 300 / facts.mpp  // um; more than the patch of any squiggle that is likely
        def here = picture.near(batch, margin)
        def chosen = batch as Set
        def context = found.prompts.values().findAll { !chosen.contains(it) && it.z == batch[0].z && it.t == batch[0].t && holds(here.box, Picture.anchor(it)) }
        def keys = context.collect { Exchange.keyOf(it) } as Set
        def spots = here.others.collect { [xy: [it.ROI.centroidX, it.ROI.centroidY], z: it.ROI.z, t: it.ROI.t] }
        def background = found.background.findAll { holds(here.box, it.xy) }.collect { [kind: 'point', strokes: [[it.xy]], class_name: 'Ignore*', z: it.z, t: it.t, nested: false] }
        [image: facts, prompts: batch.collect { Exchange.message(it) }, context: context.collect { Exchange.message(it) } + background, neighbours: spots,
         standing: here.ours.findAll { keys.contains(Picture.promptOf(it)) }.collect { [key: Picture.promptOf(it), geometry: gson.fromJson(gson.toJson(it.ROI), Map)] },
         points: wishes.points ?: null, lines: wishes.lines ?: null, options: [kind: wishes.kind, tta: wishes.tta], ours: here.ours]
    }

    private static boolean holds(box, List xy) { xy[0] >= box.x && xy[1] >= box.y && xy[0] <= box.x + box.width && xy[1] <= box.y + box.height }

    /** Do something in the thread of the window, and wait for it; at once where there is no window. */
    static Object onWindow(Callable work) {
        if (QuPathGUI.instance == null || Platform.isFxApplicationThread()) return work.call()
        def task = new FutureTask(work)
        Platform.runLater(task)
        task.get()
    }

    // --- the window

    static void install(QuPathGUI qupath) { new NuClick(qupath).addMenu() }

    private final QuPathGUI qupath
    private final worker = Executors.newSingleThreadExecutor { new Thread(it, 'NuClick').tap { daemon = true } }
    private final live = new CheckMenuItem('Live')
    private final status = new Label('').tap { minWidth = 110; prefWidth = 110 }  // else the tools beside it move
    private final steps = new ArrayDeque()      // that can be undone, last first
    private final listener = { event -> if (!event.changing && event.source !== this) look() } as PathObjectHierarchyListener
    private listened                            // image data that is listened to
    private Map known                           // prompts of that image when they were last looked at
    private long since                          // when the user did what is being worked on; 0 when nothing waits

    NuClick(QuPathGUI qupath) { this.qupath = qupath }

    private void addMenu() {
        def items = [live, new SeparatorMenuItem(), item('Segment selected prompts') { segmentSelected() }, item('Segment all prompts') { segmentOpen() },
                     item('Run on the whole project...') { runProject() }, new SeparatorMenuItem(),
                     item('Undo last') { undo() }, item('Remove outlines without prompts') { prune() }, new SeparatorMenuItem(),
                     item('Settings...') { change() }, item('Create script') { showScript() }, item('Help') { Dialogs.showPlainMessage('NuClick', HELP) }]
        live.accelerator = KeyCombination.valueOf('shift+n')
        items[6].accelerator = KeyCombination.valueOf('shift+u')
        live.selectedProperty().addListener({ p, was, now -> listen() } as javafx.beans.value.ChangeListener)
        qupath.imageDataProperty().addListener({ p, was, now -> listen() } as javafx.beans.value.ChangeListener)
        Runtime.runtime.addShutdownHook(new Thread({ service.close() }))
        Platform.runLater {
            qupath.getMenu('Extensions>NuClick', true).items.setAll(items)
            qupath.toolBar.items.add(0, status)  // the far end is hidden in narrow windows
        }
    }

    private MenuItem item(String name, Closure action) {
        new MenuItem(name).tap { onAction = { safely(action) } }
    }

    /** Tell an error in words, in the window and in the log. */
    private Object safely(Closure action) {
        try {
            action()
        } catch (Exception e) {
            logger.error("NuClick: ${e.message}", e)
            Dialogs.showErrorNotification('NuClick', e.message ?: e.toString())
            onWindow { status.text = 'NuClick: failed' }
        }
    }

    private void inBackground(Closure action) { worker.submit { safely(action) } }

    /** Listen to the image that is shown now, if live. */
    private void listen() {
        listened?.hierarchy?.removeListener(listener)
        listened = null
        steps.clear()
        def data = live.selected ? qupath.imageData : null
        if (data == null) { status.text = ''; return }
        def picture = ready(data)
        if (picture == null) { live.selected = false; return }
        known = picture.prompts()
        listened = data
        data.hierarchy.addListener(listener)
        status.text = 'NuClick: live'
        inBackground { exchange.ask('GET', '/models') }  // starts the service while the user takes aim
    }

    /** The image, if it can be worked on; asks for a pixel size that is missing. */
    private Picture ready(data) {
        if (data == null) { Dialogs.showErrorNotification('NuClick', 'No image is open'); return null }
        def picture = new Picture(data)
        def problem = picture.unsuitable()
        if (problem) { Dialogs.showErrorNotification('NuClick', problem); return null }
        if (!picture.hasPixelSize()) {
            def um = Dialogs.showInputDialog('NuClick', 'The image has no pixel size. How many µm is one pixel? (40x is about 0.25)', 0.25d)
            if (um == null || !(um >= 0.01 && um <= 100)) return null
            picture.pixelSize = um
        }
        picture
    }

    /** Note that something has changed; one look covers all that has come until then. */
    private void look() {
        if (since) return
        since = System.nanoTime()
        def data = listened
        inBackground {
            def began = since
            since = 0
            if (data === listened) follow(new Picture(data), began)
        }
    }

    /** Do what changed prompts ask for. */
    private void follow(Picture picture, long began) {
        def before = known, now = onWindow { picture.prompts() }
        known = now
        // QuPath's own undo puts copies of all objects in place: our steps do not fit any more
        if (now.drawn.any { id, drawn -> before.drawn[id] && !before.drawn[id].item.is(drawn.item) }) onWindow { steps.clear() }
        def changes = Exchange.changes(before.prompts, now.prompts)
        def background = now.background - before.background
        def recoloured = changes.reclassified.collectEntries { [Exchange.keyOf(it), it] }
        if (!changes.added && !changes.gone && !recoloured && !background) return
        def orphans = picture.outlinesOf(changes.gone.collect { Exchange.keyOf(it) } as Set).findAll { !Picture.isEdited(it, it.pathClass?.toString()) }
        def todo = changes.added + touched(picture, now, changes.added.collect { [xy: Picture.anchor(it), z: it.z, t: it.t] } + background, changes.added)
        if (todo) onWindow { status.text = 'NuClick: ...' }
        def done = segment(picture, todo, now, [:])
        onWindow {
            if (!isShown(picture)) return  // another image meanwhile: nothing lands there
            def lost = now.prompts.keySet() - picture.prompts().prompts.keySet()  // moved or deleted meanwhile
            def gone = lost.collect { Exchange.keyOf(now.prompts[it]) } as Set
            def added = done.added.findAll { !gone.contains(Picture.promptOf(it[0])) }
            def turned = picture.outlinesOf(recoloured.keySet())
            turned.each { Picture.reclassify(it, recoloured[Picture.promptOf(it)].item.pathClass) }
            if (turned) picture.hierarchy.fireObjectClassificationsChangedEvent(this, turned)
            apply(picture, (orphans + done.removed).unique(), added, before, now)
            tell(picture, done, began)
        }
    }

    /** Prompts whose outline a new spot lies in: a click into a wrong merge splits it, a background click cuts it. */
    private static Collection touched(Picture picture, Map now, Collection spots, Collection but) {
        if (!spots) return []
        def own = but.collect { Exchange.keyOf(it) } as Set
        def hit = spots.collectMany { spot ->
            picture.near([[strokes: [[spot.xy]], z: spot.z, t: spot.t]], 2).ours.findAll { it.ROI.contains(spot.xy[0], spot.xy[1]) && !Picture.isEdited(it, it.pathClass?.toString()) }
        }.collect { Picture.promptOf(it) } as Set
        hit -= own
        hit ? now.prompts.values().findAll { hit.contains(Exchange.keyOf(it)) } : []
    }

    private boolean isShown(Picture picture) { qupath.allViewers.any { it.imageData.is(picture.imageData) } }

    private void apply(Picture picture, Collection removed, List added, Map before, Map now) {
        steps.push([picture: picture, removed: removed.collect { [it, it.parent] }, added: added*.get(0), before: before?.drawn, now: now?.drawn])
        while (steps.size() > MOST_STEPS) steps.removeLast()
        picture.change(removed, added, this)
    }

    private void tell(Picture picture, Map done, long began) {
        def ms = Math.round((System.nanoTime() - began) / 1e6)
        status.text = ms < 10_000 ? "NuClick: $ms ms" : "NuClick: ${Math.round(ms / 1000)} s"
        logger.info('NuClick: {} prompts, {} outlines in {} ms; the service took {}', done.counts.values().sum() ?: 0, done.added.size(), ms, Math.round(exchange.seconds * 1000))
        if (done.failed) Dialogs.showWarningNotification('NuClick', done.failed.countBy { "${it.status}${it.detail ? ': ' + it.detail : ''}" }.collect { "${it.value} without an outline: ${it.key}" }.join('\n'))
        if (done.added) remember(picture.imageData)
    }

    /** A step of the workflow that does for other images what was done here; one is enough. */
    private static void remember(data) {
        def last = data.historyWorkflow.lastStep
        if (last?.name != 'NuClick') data.historyWorkflow.addStep(new DefaultScriptableWorkflowStep('NuClick', script()))
    }

    static String script() {
        def options = Settings.current().subMap(['kind', 'tta', 'points', 'lines']).findAll { it.value != '' }
        "nuclick.NuClickExtension.segmentAll(getCurrentImageData(), [${options.collect { k, v -> "$k: ${v instanceof Boolean ? v : "'$v'"}" }.join(', ')}])"
    }

    private void showScript() {
        qupath.scriptEditor.showScript('NuClick', "// Outlines all points and lines that have no outline yet. Run > Run for project does so for many images.\nprintln ${script()}\n")
    }

    private void segmentSelected() {
        def picture = ready(qupath.imageData)
        if (picture == null) return
        def chosen = picture.hierarchy.selectionModel.selectedObjects as Set
        segmentNow(picture) { found -> found.prompts.values().findAll { chosen.contains(it.item) } }
    }

    private void runProject() {
        new ProjectRun(qupath: qupath, exchange: exchange, segmentOpen: { data, classes ->
            def picture = ready(data)
            if (picture != null) segmentNow(picture) { found -> unfinished(picture, found.prompts.values()).findAll { !classes || classes.contains(it.class_name) } }
        }).ask(Settings.current())
    }

    private void change() {
        def models = []
        try { models = exchange.ask('GET', '/models') } catch (Exception e) { logger.info('NuClick: {}', e.message) }  // Settings is where that is mended
        if (Settings.show { kind -> models.findAll { it.prompt == kind }*.name }) service.forget()
    }

    private void segmentOpen() {
        def picture = ready(qupath.imageData)
        if (picture != null) segmentNow(picture) { found -> unfinished(picture, found.prompts.values()) }
    }

    /** Outline the prompts that a closure picks, in the background. */
    private void segmentNow(Picture picture, Closure pick) {
        inBackground {
            def began = System.nanoTime()
            def found = onWindow { picture.prompts() }
            def edited = picture.outlines().findAll { Picture.isEdited(it, it.pathClass?.toString()) }.collect { Picture.promptOf(it) } as Set
            def todo = pick(found).findAll { !edited.contains(Exchange.keyOf(it)) }
            onWindow { status.text = "NuClick: ${todo.size()} prompts ..." }
            def done = segment(picture, todo, found, [:])
            onWindow {
                if (!isShown(picture)) return
                apply(picture, done.removed, done.added, null, null)
                tell(picture, done, began)
                Dialogs.showInfoNotification('NuClick', todo ? "${done.added.size()} outlines for ${todo.size()} prompts" : 'Every prompt has its outline')
            }
        }
    }

    /** Take back outlines and prompts of the last step. */
    private void undo() {
        if (!steps) { Dialogs.showInfoNotification('NuClick', 'Nothing to undo'); return }
        def step = steps.pop(), hierarchy = step.picture.hierarchy
        def ids = step.added*.ID as Set, standing = step.picture.annotations().collectEntries { [it.ID, it] }  // QuPath's own undo puts copies in their place
        step.picture.change(step.picture.outlines().findAll { ids.contains(it.ID) }, step.removed, this)
        (step.now ?: [:]).each { id, now -> if (!step.before.containsKey(id) && standing[id]) hierarchy.removeObject(standing[id], true) }
        (step.before ?: [:]).each { id, was ->
            if (was.roi.is(step.now[id]?.roi)) return
            def item = standing[id] ?: was.item
            item.ROI = was.roi
            if (standing[id]) hierarchy.fireObjectsChangedEvent(this, [item]) else hierarchy.addObject(item)
        }
        if (listened === step.picture.imageData) known = step.picture.prompts()
        status.text = 'NuClick: undone'
    }

    private void prune() {
        def picture = ready(qupath.imageData)
        if (picture == null) return
        def keys = picture.prompts().prompts.values().collect { Exchange.keyOf(it) } as Set
        def orphans = picture.outlines().findAll { !keys.contains(Picture.promptOf(it)) && !Picture.isEdited(it, it.pathClass?.toString()) }
        apply(picture, orphans, [], null, null)
        Dialogs.showInfoNotification('NuClick', "${orphans.size()} outlines removed")
    }
}
