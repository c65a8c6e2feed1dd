package nuclick;

import groovy.lang.GroovyClassLoader;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import qupath.lib.gui.QuPathGUI;
import qupath.lib.gui.extensions.QuPathExtension;

/**
 * Where QuPath finds the extension. All else is Groovy: its source lies in the jar and is compiled by the
 * Groovy of whichever QuPath runs, since classes that one Groovy compiled need not run on another.
 */
public class NuClickExtension implements QuPathExtension {
    private static final String[] SOURCES = {
        "Service", "Exchange", "Picture", "Settings", "Segmentation", "Window", "History", "Steps", "Live", "Tool", "ProjectRun", "NuClick"
    }; // each knows those before it
    private static Class<?> main;

    @Override
    public void installExtension(QuPathGUI qupath) {
        // compiling takes a second or two, in which the window need not wait
        Thread thread = new Thread(() -> call("install", new Class<?>[] {QuPathGUI.class}, qupath), "NuClick starts");
        thread.setDaemon(true);
        thread.start();
    }

    @Override
    public String getName() {
        return "NuClick";
    }

    @Override
    public String getDescription() {
        return "One click, one nucleus; one squiggle, one gland. Needs the Python package nuclick-qp.";
    }

    /**
     * For scripts: outlines all points and lines of an image that have none.
     *
     * @param imageData the image, such as getCurrentImageData()
     * @param options   kind, tta, points, lines; those left out are as in Settings
     * @return number of prompts by status
     */
    public static Object segmentAll(Object imageData, Map<String, ?> options) {
        return call("segmentAll", new Class<?>[] {Object.class, Map.class}, imageData, options);
    }

    /** Text of a file of the jar; null when there is none. */
    public static String text(String name) {
        try (InputStream in = NuClickExtension.class.getResourceAsStream("/nuclick/" + name)) {
            return in == null ? null : new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Object call(String method, Class<?>[] types, Object... arguments) {
        try {
            return compiled().getMethod(method, types).invoke(null, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause() instanceof RuntimeException ? (RuntimeException) e.getCause() : new IllegalStateException(e.getCause());
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("NuClick does not work with this QuPath: " + e, e);
        }
    }

    private static synchronized Class<?> compiled() {
        if (main == null) {
            GroovyClassLoader loader = new GroovyClassLoader(NuClickExtension.class.getClassLoader());
            Class<?> last = null;
            for (String name : SOURCES) {
                last = loader.parseClass(text(name + ".groovy"), name + ".groovy");
            }
            main = last;
        }
        return main;
    }
}
