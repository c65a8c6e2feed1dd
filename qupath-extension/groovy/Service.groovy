package nuclick

import java.util.concurrent.TimeUnit

/** The running `nuclick-qp serve`: found, started when first needed, started again when it died. */
class Service {
    static final int WAIT_S = 120  // the first start after an installation compiles Python files

    Closure fromJson                // text -> map
    Closure settings                // -> map: executable, device, address, token
    String version                  // of this extension
    private Map reached             // address and token, once known
    private Process process
    File log

    /** Address and token of a service that fits this extension; starts one if need be. */
    synchronized Map reach() {
        if (reached == null) {
            def set = settings()
            reached = set.address ? [address: set.address.replaceAll('/+$', ''), token: set.token] : start(executable(set), true)
        }
        reached
    }

    /** Forget a service that does not answer any more; the next call looks again. */
    synchronized void forget() { reached = null }

    /** End the service that this window started. */
    synchronized void close() {
        process?.outputStream?.close()  // it follows the end of its input
        reached = null
    }

    /** End whatever service of this user runs, so that the next one takes new settings. */
    synchronized void stop() {
        close()
        if (!settings().address) run([executable(settings()), 'serve', '--stop'])
    }

    private Map start(String executable, boolean mayReplace) {
        log = log ?: File.createTempFile('nuclick-qp-', '.log')
        process?.destroy()
        try {
            process = new ProcessBuilder(executable, 'serve', '--follow-parent', '--device', settings().device ?: 'auto').redirectError(log).start()
        } catch (IOException e) {
            throw new IllegalStateException("$executable cannot be started (${e.message}). Choose the program nuclick-qp in Extensions > NuClick > Settings.")
        }
        def line = firstLine(process)
        if (!line?.startsWith('{'))
            throw new IllegalStateException("$executable is no nuclick-qp that can serve: ${lastWords() ?: 'it said nothing'}")
        def told = fromJson(line)
        if (told.version != version && mayReplace && told.was_there) {  // left over from before an update
            run([executable, 'serve', '--stop'])
            Thread.sleep(2000)
            return start(executable, false)
        }
        checkVersion(told.version, executable)
        def announced = fromJson(new File(told.announced_in as String).getText('UTF-8'))
        def host = (announced.host as String).contains(':') ? "[${announced.host}]" : announced.host
        [address: "http://$host:${announced.port as int}".toString(), token: announced.token]
    }

    /** Tell a jar that does not belong to the program before anything goes wrong. */
    void checkVersion(String found, String where) {
        if (version != null && found != version)
            throw new IllegalStateException("This extension is of version $version, and $where is nuclick-qp $found. Run 'nuclick-qp install-extension' and start QuPath again.")
    }

    private static String firstLine(Process process) {
        def line = null
        def reading = Thread.startDaemon { line = process.inputReader().readLine() }
        reading.join(WAIT_S * 1000L)
        line
    }

    String lastWords() { log?.exists() ? log.readLines().findAll { it.trim() }.takeRight(3).join(' ') : '' }

    /** What a short command prints, stdout and stderr together. */
    static String run(List<String> command) {
        def process = new ProcessBuilder(command).redirectErrorStream(true).start()
        process.outputStream.close()
        def text = process.inputStream.getText('UTF-8')
        process.waitFor(WAIT_S, TimeUnit.SECONDS)
        text
    }

    /** The program that the settings name, else the one that installed this jar, else one that lies where installers put it. */
    static String executable(Map set) {
        def name = System.getProperty('os.name').startsWith('Windows') ? 'nuclick-qp.exe' : 'nuclick-qp'
        def home = System.getProperty('user.home')
        def folders = (System.getenv('PATH') ?: '').split(File.pathSeparator).toList()
        folders += ["$home/.local/bin", "$home/miniconda3/bin", "$home/anaconda3/bin", "$home/.venv/bin", '/opt/homebrew/bin', '/usr/local/bin']
        def places = [set.executable, set.installed_by] + folders.collect { "$it/$name".toString() }
        def found = places.find { it && new File(it).canExecute() && new File(it).isFile() }
        if (set.executable && found != set.executable)
            throw new IllegalStateException("${set.executable} is no program. Choose nuclick-qp in Extensions > NuClick > Settings.")
        if (!found)
            throw new IllegalStateException("The program nuclick-qp was not found. Install nuclick-qp (see the page Install of its documentation), or choose it in Extensions > NuClick > Settings.")
        found
    }
}
