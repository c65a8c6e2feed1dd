package qupath.lib.gui;

/** What javac has to know of QuPath's main class: its name. */
public class QuPathGUI {
}
