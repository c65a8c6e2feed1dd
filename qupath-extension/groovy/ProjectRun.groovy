package nuclick

import javafx.application.Platform
import javafx.geometry.Insets
import javafx.scene.Scene
import javafx.scene.control.Button
import javafx.scene.control.Label
import javafx.scene.control.ProgressBar
import javafx.scene.layout.VBox
import javafx.stage.Stage
import qupath.fx.dialogs.Dialogs
import qupath.lib.gui.tools.GuiTools
import qupath.lib.plugins.parameters.ParameterList

/**
 * A run of the whole project. Images that are open belong to QuPath: their prompts are outlined in it, and are
 * saved when the user saves. The files of the others are written by a job of the service.
 */
class ProjectRun {
    static final OVERWRITE = ['keep it': 'none', 'do it again': 'unedited', 'also if it was edited': 'edited']

    final qupath
    final Exchange exchange
    final Map models           // names of those for 'point' and 'line'
    final Closure segmentOpen  // takes image data, classes and options
    private Stage stage
    private final label = new Label('NuClick starts ...').tap { minHeight = 45 }, bar = new ProgressBar(-1)
    private volatile String jobId
    private volatile boolean isCancelled

    ProjectRun(Map parts) {
        qupath = parts.qupath
        exchange = parts.exchange
        models = parts.models
        segmentOpen = parts.segmentOpen
    }

    void ask(Map set) {
        def project = qupath.project
        if (project == null) { Dialogs.showErrorNotification('NuClick', 'No project is open'); return }
        if (set.address) { Dialogs.showErrorNotification('NuClick', 'A service on another machine does not see the project; use Create script, and "Run for project"'); return }
        def wishes = wishes(set)
        if (!GuiTools.showParameterDialog('NuClick on the whole project', wishes)) return
        def open = qupath.allViewers*.imageData.findAll().collect { [data: it, entry: project.getEntry(it)] }.findAll { it.entry }
        def classes = wishes.getStringParameterValue('classes').split(',')*.trim().findAll()
        def mpp = wishes.getDoubleParameterValue('mpp'), choice = { wishes.getChoiceParameterValue(it) }
        def options = [tta: wishes.getBooleanParameterValue('tta'), kind: choice('kind'), *: ['points', 'lines'].collectEntries { [it, choice(it) == Settings.AS_SHIPPED ? null : choice(it)] }]
        def job = [*: options, project: project.path.toAbsolutePath().toString(), skip: open*.entry*.ID, classes: classes, prune: wishes.getBooleanParameterValue('prune'),
                   overwrite: OVERWRITE[choice('overwrite')], mpp: mpp > 0 ? mpp : null]
        project.syncChanges()  // the job reads files: a pixel size that was set by hand is in them only then
        open.findAll { new Picture(it.data).prompts().prompts }.each { segmentOpen(it.data, classes, options) }
        if (open.size() < project.imageList.size()) start(job)
    }

    private ParameterList wishes(Map set) {
        new ParameterList().addStringParameter('classes', 'Classes (comma between them; none: all)', '')
            .addChoiceParameter('points', 'Model for points', set.points ?: Settings.AS_SHIPPED, Settings.choices(set.points, models.point))
            .addChoiceParameter('lines', 'Model for lines', set.lines ?: Settings.AS_SHIPPED, Settings.choices(set.lines, models.line))
            .addChoiceParameter('kind', 'Outlines become', set.kind, Settings.KINDS)
            .addBooleanParameter('tta', 'More exact, five times slower', set.tta)
            .addChoiceParameter('overwrite', 'Prompts that have an outline', OVERWRITE.keySet()[0], OVERWRITE.keySet() as List)
            .addDoubleParameter('mpp', 'µm per pixel of images that do not say it (0: cells tell it, all others are left out)', 0)
            .addBooleanParameter('prune', 'Remove outlines without prompts', false)
    }

    private void start(Map job) {
        def cancel = new Button('Cancel').tap { onAction = { cancel() } }
        bar.prefWidth = 420
        stage = new Stage(title: 'NuClick')
        stage.initOwner(qupath.stage)
        stage.scene = new Scene(new VBox(10, label, bar, cancel).tap { padding = new Insets(15) })
        stage.onCloseRequest = { cancel() }
        stage.show()
        Thread.startDaemon('NuClick job') {
            try {
                def last = exchange.runJob(job) { state -> if (isCancelled && !jobId) exchange.cancelJob(state.job_id); jobId = state.job_id; Platform.runLater { show(state) } }
                Platform.runLater { end(last) }
            } catch (Exception e) {
                Platform.runLater { stage.close(); Dialogs.showErrorNotification('NuClick', e.message ?: e.toString()) }
            }
        }
    }

    private void cancel() {
        isCancelled = true
        label.text = 'Stopping; what is finished is being written ...'
        if (jobId) Thread.startDaemon { exchange.cancelJob(jobId) }
    }

    private void show(Map state) {
        def at = state.progress
        if (at == null || isCancelled) return
        def left = at.seconds_left == null ? '' : ", ${Math.ceil(at.seconds_left / 60) as int} min left"
        label.text = "Image ${at.number as int} of ${at.images as int}: ${at.image}\n${at.done as int} of ${at.prompts as int} prompts" +
            (at.clicks_per_second ? String.format(' (%.1f clicks/s)', at.clicks_per_second) : '') + left
        bar.progress = at.prompts ? at.done / at.prompts : -1
    }

    private void end(Map state) {
        stage.close()
        qupath.refreshProject()
        def report = state.report
        def sums = report == null ? state.detail : summary(report)
        def problems = (report?.images ?: []).findAll { it.error }.collect { "${it.image}: ${it.error}" }
        Dialogs.showPlainMessage('NuClick', ([[done: 'The project is done', cancelled: 'Stopped'].getOrDefault(state.state, 'The run has failed'), sums] + problems.take(10)).join('\n'))
    }

    private static String summary(Map report) {
        def left = report.images.sum { it.statuses?.stopped ?: 0 } ?: 0
        "${(report.ok + report.uncertain) as int} new outlines, ${report.uncertain as int} of them uncertain, ${(report.skipped - left) as int} prompts were left as they are, ${(report.empty + report.outside + report.failed) as int} got none" +
            (left || report.not_begun ? "\nNot reached: ${left as int} prompts, and ${report.not_begun as int} images" : '')
    }
}
