package groovy.lang;

/** What javac has to know of Groovy's compiler, which QuPath brings. */
public class GroovyClassLoader extends ClassLoader {
    public GroovyClassLoader(ClassLoader parent) {
        super(parent);
    }

    public Class<?> parseClass(String text, String fileName) {
        throw new UnsupportedOperationException();
    }
}
