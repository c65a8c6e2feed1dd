package nuclick

import javafx.application.Platform
import javafx.scene.control.Button
import javafx.scene.control.ButtonType
import javafx.scene.control.CheckBox
import javafx.scene.control.ChoiceBox
import javafx.scene.control.ComboBox
import javafx.scene.control.Dialog
import javafx.scene.control.Label
import javafx.scene.control.TextArea
import javafx.scene.control.TextField
import javafx.scene.layout.GridPane
import qupath.fx.dialogs.Dialogs
import qupath.lib.gui.prefs.PathPrefs

/** What the user has set, kept by QuPath from one start to the next, and the window where it is set. */
class Settings {
    static final TEXTS = [executable: '', address: '', token: '', points: '', lines: '', kind: 'detection', device: 'auto'].collectEntries { name, text ->
        [name, PathPrefs.createPersistentPreference("nuclick.$name".toString(), text)]
    }
    static final INSTALLED_BY = NuClickExtension.text('executable.txt')?.trim()  // as install-extension notes it in the jar
    static final AS_SHIPPED = 'as shipped'
    static final KINDS = ['detection', 'annotation', 'cell']
    static final tta = PathPrefs.createPersistentPreference('nuclick.tta', false)

    /** All of them; empty texts are for what is found by itself. */
    static Map current() {
        [*: TEXTS.collectEntries { name, text -> [name, text.get()?.trim() ?: ''] }, tta: tta.get(), installed_by: INSTALLED_BY]
    }

    /** Ask for them; gives whether something was changed. */
    static boolean show(Map models) {
        def set = current()
        def fields = [:], grid = new GridPane(hgap: 8, vgap: 6)
        def row = { String name, String label, node -> fields[name] = node; grid.addRow(grid.rowCount, new Label(label), node) }
        row('executable', 'Program nuclick-qp', new TextField(text: set.executable, prefColumnCount: 36, promptText: whereItIs(set)))
        row('points', 'Model for points', choice(set.points, models.point))
        row('lines', 'Model for lines', choice(set.lines, models.line))
        row('kind', 'Outlines become', new ChoiceBox().tap { items.setAll(KINDS); value = set.kind })
        row('tta', 'More exact, five times slower', new CheckBox(selected: set.tta))
        row('device', 'Computed on', new ComboBox(editable: true).tap { items.setAll('auto', 'cpu', 'cuda', 'mps'); value = set.device ?: 'auto' })
        row('address', 'Service on another machine', new TextField(text: set.address, promptText: 'http://127.0.0.1:8765, the near end of an SSH tunnel'))
        row('token', 'Its token', new TextField(text: set.token))
        def findings = new TextArea(editable: false, prefRowCount: 7, prefColumnCount: 60, wrapText: true)
        def test = new Button('Test').tap { onAction = { findings.text = 'One moment ...'; examine(fields.executable.text, findings) } }
        grid.addRow(grid.rowCount, test, findings)
        def dialog = new Dialog(title: 'NuClick settings', resizable: true)
        dialog.initOwner(Dialogs.primaryWindow)
        dialog.dialogPane.content = grid
        dialog.dialogPane.buttonTypes.addAll(ButtonType.OK, ButtonType.CANCEL)
        if (dialog.showAndWait().orElse(null) != ButtonType.OK) return false
        TEXTS.each { name, text -> text.set(fields[name] instanceof TextField ? fields[name].text.trim() : fields[name].value == AS_SHIPPED ? '' : fields[name].value) }
        tta.set(fields.tta.selected)
        current() != set
    }

    private static ChoiceBox choice(String chosen, List names) {
        new ChoiceBox().tap { items.setAll(choices(chosen, names)); value = chosen ?: AS_SHIPPED }
    }

    /** Models to choose from, the one that is set among them. */
    static List choices(String chosen, List names) { [AS_SHIPPED, *names, *(chosen && !names.contains(chosen) ? [chosen] : [])] }

    private static String whereItIs(Map set) {
        try { Service.executable([*: set, executable: '']) } catch (IllegalStateException ignored) { 'not found; give its path' }
    }

    /** Let the program say whether all is well. */
    private static void examine(String executable, TextArea findings) {
        Thread.startDaemon {
            def text
            try {
                def program = Service.executable([*: current(), executable: executable.trim()])
                text = "$program\n" + Service.run([program, 'doctor'])
            } catch (Exception e) { text = e.message }
            Platform.runLater { findings.text = text }
        }
    }
}
