package nuclick

import java.util.concurrent.Executors
import javafx.scene.control.Label
import qupath.fx.dialogs.Dialogs
import qupath.lib.gui.QuPathGUI
import qupath.lib.plugins.workflow.DefaultScriptableWorkflowStep

/** What NuClick says in the window of QuPath, and the thread that it works in meanwhile. */
class Window {
    final QuPathGUI qupath
    final status = new Label('').tap { minWidth = 130; prefWidth = 130 }  // else the tools beside it move
    private final worker = Executors.newSingleThreadExecutor { new Thread(it, 'NuClick').tap { daemon = true } }

    Window(QuPathGUI qupath) { this.qupath = qupath }

    void inBackground(Closure action) { worker.submit { safely(action) } }

    /** Tell an error in words, in the window and in the log. */
    Object safely(Closure action) {
        try {
            action()
        } catch (Exception | LinkageError | AssertionError e) {  // the latter where a later QuPath or Groovy differs
            Segmentation.logger.error("NuClick: ${e.message}", e)
            Dialogs.showErrorNotification('NuClick', e.message ?: e.toString())
            Segmentation.onWindow { status.text = 'NuClick: failed' }
        }
    }

    /** The image, if it can be worked on; asks for a pixel size that is missing. */
    Picture ready(data) {
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

    boolean isShown(Picture picture) { qupath.allViewers.any { it.imageData.is(picture.imageData) } }

    /** Say what came of a step that began at a time of System.nanoTime(). */
    void tell(Picture picture, Map done, long began) {
        def ms = Math.round((System.nanoTime() - began) / 1e6)
        def took = ms < 1000 ? "$ms ms" : String.format('%.1f s', ms / 1000d)
        status.text = done.counts.uncertain ? "NuClick: ${done.counts.uncertain} uncertain" : "NuClick: $took"
        Segmentation.logger.info('NuClick: {} prompts, {} outlines ({} uncertain) in {} ms; the service took {}', done.counts.values().sum() ?: 0, done.added.size(), done.counts.uncertain ?: 0, ms, Math.round(Segmentation.exchange.seconds * 1000))
        if (done.failed) Dialogs.showWarningNotification('NuClick', done.failed.countBy { "${it.status}${it.detail ? ': ' + it.detail : ''}" }.collect { "${it.value} without an outline: ${it.key}" }.join('\n'))
        if (done.added) remember(picture.imageData)
    }

    /** A step of the workflow that does for other images what was done here; one is enough. */
    private static void remember(data) {
        if (data.historyWorkflow.lastStep?.name != 'NuClick') data.historyWorkflow.addStep(new DefaultScriptableWorkflowStep('NuClick', Segmentation.script()))
    }
}
