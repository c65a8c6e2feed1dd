package nuclick

import javafx.application.Platform
import javafx.scene.control.CheckMenuItem
import javafx.scene.control.MenuItem
import javafx.scene.control.SeparatorMenuItem
import javafx.scene.input.KeyCombination
import javafx.stage.Modality
import qupath.fx.dialogs.Dialogs
import qupath.lib.gui.QuPathGUI

/** The menu Extensions > NuClick. */
class NuClick {
    static final HELP = '''Live answers each click with the outline of a nucleus, and each line through a gland with the gland.

NuClick tool (Shift+N; switches Live on): click into the middle of a nucleus, or draw along the middle of a gland. Alt and click deletes a point.
Or use QuPath's Points, Line and Polyline tools. Move a point or delete it: its outline follows.
A click into an outline that holds two nuclei splits it.
Points of a class that ends in *, such as Ignore*, mark background.
Ctrl+Z takes back the last click with its outline. Undo last (Shift+U) does so in large images, too.

An outline is uncertain where its measurement NuClick: probability is below 0.5; look at it.

Outlines that you edit by hand are yours: nothing replaces or removes them.
Prompts that were drawn before: Segment selected prompts, Segment all prompts, Run on the whole project.
Something is wrong? Settings > Test, and Show log.'''

    private final QuPathGUI qupath
    private final Window window
    private final Steps steps
    private final Live live

    static void install(QuPathGUI qupath) { new NuClick(qupath).addMenu() }

    static Map<String, Integer> segmentAll(Object imageData, Map<String, ?> options) { Segmentation.segmentAll(imageData, options) }

    NuClick(QuPathGUI qupath) {
        this.qupath = qupath
        window = new Window(qupath)
        steps = new Steps(window)
        live = new Live(window, steps)
    }

    void addMenu() {
        def tick = new CheckMenuItem('Live')
        tick.selectedProperty().bindBidirectional(live.isOn)
        def items = [tick, new SeparatorMenuItem(), item('Segment selected prompts') { segmentSelected() }, item('Segment all prompts') { segmentOpen() },
                     item('Run on the whole project...') { runProject() }, new SeparatorMenuItem(),
                     item('Undo last', 'shift+u') { undo() }, item('Remove outlines without prompts') { prune() }, new SeparatorMenuItem(),
                     item('Settings...') { change() }, item('Create script') { showScript() }, item('Show log') { showLog() },
                     item('Help') { Dialogs.showPlainMessage('NuClick', HELP) }]
        Runtime.runtime.addShutdownHook(new Thread({ Segmentation.service.close() }))
        Platform.runLater {
            qupath.getMenu('Extensions>NuClick', true).items.setAll(items)
            qupath.toolBar.items.add(0, window.status)  // the far end is hidden in narrow windows
            new Tool(qupath, live).install()
        }
    }

    private MenuItem item(String name, String key = null, Closure action) {
        new MenuItem(name).tap {
            onAction = { window.safely(action) }
            if (key) accelerator = KeyCombination.valueOf(key)
        }
    }

    private void segmentSelected() {
        def picture = window.ready(qupath.imageData)
        if (picture == null) return
        def chosen = picture.hierarchy.selectionModel.selectedObjects as Set
        segmentNow(picture) { found -> found.prompts.values().findAll { chosen.contains(it.item) } }
    }

    private void segmentOpen() {
        def picture = window.ready(qupath.imageData)
        if (picture != null) segmentNow(picture) { found -> Segmentation.unfinished(picture, found.prompts.values()) }
    }

    /** Outline the prompts that a closure picks, in the background. */
    private void segmentNow(Picture picture, Map options = [:], Closure pick) {
        window.inBackground {
            def began = System.nanoTime()
            def found = Segmentation.onWindow { picture.prompts() }
            def classes = found.prompts.values().collectEntries { [Exchange.keyOf(it), it.class_name] }
            def edited = picture.outlines().findAll { Picture.isEdited(it, classes[Picture.promptOf(it)]) }.collect { Picture.promptOf(it) } as Set
            def todo = pick(found).findAll { !edited.contains(Exchange.keyOf(it)) }
            Segmentation.onWindow { window.status.text = "${todo.size()} prompts ..." }
            def done = Segmentation.segment(picture, todo, found, options)
            Segmentation.onWindow {
                if (!window.isShown(picture)) return
                steps.take(picture, done.removed, done.added)
                window.tell(picture, done, began)
                Dialogs.showInfoNotification('NuClick', todo ? "${done.added.size()} outlines for ${todo.size()} prompts" + (done.counts.uncertain ? ", ${done.counts.uncertain} of them uncertain" : '') : 'Every prompt has its outline')
            }
        }
    }

    private void runProject() {
        askModels { models ->
            new ProjectRun(qupath: qupath, exchange: Segmentation.exchange, models: models, segmentOpen: { data, classes, options ->
                def picture = window.ready(data)
                if (picture != null) segmentNow(picture, options) { found -> Segmentation.unfinished(picture, found.prompts.values()).findAll { !classes || classes.contains(it.class_name) } }
            }).ask(Settings.current())
        }
    }

    private void undo() {
        def picture = steps.undo()
        if (picture == null) return
        live.catchUp(picture)
        window.status.text = 'NuClick: undone'
    }

    private void prune() {
        def picture = window.ready(qupath.imageData)
        if (picture == null) return
        def keys = picture.prompts().prompts.values().collect { Exchange.keyOf(it) } as Set
        def orphans = picture.outlines().findAll { !keys.contains(Picture.promptOf(it)) && !Picture.isEdited(it, null) }
        steps.take(picture, orphans, [])
        Dialogs.showInfoNotification('NuClick', "${orphans.size()} outlines removed")
    }

    /** Do something with the names of the models, by what they take: 'point' or 'line'; none where there is no service, which Settings mends. */
    private void askModels(Closure action) {
        window.inBackground {
            def cards = []
            try { cards = Segmentation.exchange.ask('GET', '/models') } catch (IllegalStateException e) { Segmentation.logger.warn('NuClick: {}', e.message) }
            Platform.runLater { window.safely { action(cards.groupBy { it.prompt }.collectEntries { [it.key, it.value*.name] }.withDefault { [] }) } }
        }
    }

    private void change() {
        askModels { models ->
            def device = Settings.current().device
            if (!Settings.show(models)) return
            Segmentation.service.forget()
            if (Settings.current().device != device) window.inBackground { Segmentation.service.stop() }
        }
    }

    private void showScript() {
        qupath.scriptEditor.showScript('NuClick', "// Outlines all points and lines that have no outline yet. Run > Run for project does so for many images.\nprintln ${Segmentation.script()}\n")
    }

    /** What the service says of its work; the rest stands in View > Show log. */
    private void showLog() {
        def log = Segmentation.service.log, text = log?.exists() ? log.getText('UTF-8') : ''
        Dialogs.showTextWindow(qupath.stage, log ? "NuClick: $log" : 'NuClick', text ?: 'Nothing yet.', Modality.NONE, false)
    }
}
