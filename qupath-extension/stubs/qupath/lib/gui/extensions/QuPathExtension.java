package qupath.lib.gui.extensions;

import qupath.lib.gui.QuPathGUI;

/** What javac has to know of QuPath's interface; the real one has defaults for all else. */
public interface QuPathExtension {
    void installExtension(QuPathGUI qupath);

    String getName();

    String getDescription();
}
