package nuclick

import groovy.transform.CompileStatic
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import java.time.Duration

/**
 * What is said between QuPath and the service, free of QuPath's window, so that it can be tried without.
 *
 * A prompt is a map: kind ('point' or 'line'), strokes (lists of [x, y] in pixels of level 0), class_name, z, t, nested.
 * An image is a map: levels (lists of [width, height], largest first), mpp (um per pixel).
 */
class Exchange {
    static final int MOST_AT_ONCE = 100   // prompts of one request
    static final int MOST_GUESSED = 8     // regions that are sent before they are asked for
    static final int MOST_ROUNDS = 8      // a squiggle of a large gland asks twice more

    Service service
    Closure toJson, fromJson              // Gson is QuPath's
    private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).proxy(HttpClient.Builder.NO_PROXY)
        .connectTimeout(Duration.ofSeconds(5)).build()
    private List models
    double seconds                        // that the service took for the last request

    /**
     * Outline prompts of one plane.
     *
     * @param request    image, prompts, context, neighbours, standing, points, lines, options, as docs/service.md has them
     * @param readRegion takes a map (level, x, y, width, height) and gives it with encoding and data
     * @return one result for each prompt, in their order
     */
    List segment(Map request, Closure readRegion) {
        def pixels = guess(request).collect { readRegion(it) }
        for (int round = 0; round < MOST_ROUNDS; round++) {
            def answer = ask('POST', '/segment', [*: request, pixels: pixels])
            seconds = answer.seconds
            if (!answer.wanted) return answer.results
            pixels += answer.wanted.collect { readRegion(it) }
        }
        throw new IllegalStateException('the service asks for pixels again and again; zoom in and try a shorter line')
    }

    /** The regions that clicks will take, so that one round does; the service asks for what is missing. */
    List guess(Map request) {
        def clicks = request.prompts.findAll { it.kind == 'point' }
        if (!clicks || clicks.size() > MOST_GUESSED) return []
        def card = cardOf(request.points)
        card == null ? [] : clicks.collect { regionOf(it.strokes[0][0], request.image, card) }
    }

    /** What the service says of a model for points: patch_px, mpp (um per pixel) and more; without a name, of that which it takes. */
    Map cardOf(String points) {
        def wanted = { points ? it.name == points : it.prompt == 'point' && it.is_default }
        if (models?.find(wanted) == null) models = ask('GET', '/models')  // a model may be new
        models.find(wanted)
    }

    /** The whole pixels of a level that the patch of a click is made of; as slides/resample.py cuts them. */
    static Map regionOf(List xy, Map image, Map card) {
        double scale = card.mpp / image.mpp
        def levels = image.levels
        def downsamples = levels.collect { (levels[0][0] / it[0] + levels[0][1] / it[1]) / 2 as double }
        int level = (0..<levels.size()).findAll { downsamples[it] <= scale * 1.01 }.max { downsamples[it] } ?: 0
        double step = scale / downsamples[level]
        int block = Math.abs(step - 1) < 1e-9 ? 1 : 128
        int reach = Math.ceil(Math.max(step, 1d)) + 2 as int
        def spans = (0..1).collect { axis ->
            int first = Math.floor(xy[axis] / scale) - (card.patch_px as int).intdiv(2) as int
            int from = Math.floorDiv(first, block) * block, to = (Math.floorDiv(first + (card.patch_px as int) - 1, block) + 1) * block
            int most = levels[level][axis]
            int low = Math.max(0, Math.min(most - 1, Math.floor(from * step) - reach as int))
            [low, Math.max(low + 1, Math.min(most, Math.ceil(to * step) + reach as int))]
        }
        [level: level, x: spans[0][0], y: spans[1][0], width: spans[0][1] - spans[0][0], height: spans[1][1] - spans[1][0]]
    }

    /** Ask, and start the service again when it has gone meanwhile. */
    Object ask(String method, String path, Map body = null) {
        def text = body == null ? null : toJson(body) as String
        for (int tries = 0; ; tries++) {
            try {
                def answer = http.send(question(method, path, text), HttpResponse.BodyHandlers.ofString())
                if (answer.statusCode() < 300) return fromJson(answer.body())
                if (answer.statusCode() == 401 && tries == 0) { forget(); continue }
                if (answer.statusCode() in [429, 503] && tries < 5) { Thread.sleep(500); continue }
                throw new IllegalStateException(reason(answer))
            } catch (IOException e) {
                if (tries > 0) throw new IllegalStateException("the service does not answer (${e.message ?: e.class.simpleName}); its log is ${service.log ?: 'on its machine'}")
                forget()
            }
        }
    }

    private HttpRequest question(String method, String path, String text) {
        def reached = service.reach()
        def body = text == null ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(text)
        HttpRequest.newBuilder(URI.create(reached.address + path)).method(method, body).timeout(Duration.ofMinutes(5))
            .header('Authorization', "Bearer ${reached.token}").header('Content-Type', 'application/json').build()
    }

    private void forget() {
        service.forget()
        models = null
    }

    private String reason(HttpResponse answer) {
        try { return fromJson(answer.body()).detail } catch (Exception ignored) { return "the service answers with ${answer.statusCode()}" }
    }

    /** Run a whole project; `onState` gets each state of the job, the last one is given back. */
    Map runJob(Map job, Closure onState) {
        def state = ask('POST', '/jobs', job)
        onState(state)
        def events = http.send(question('GET', "/jobs/${state.job_id}/events", null), HttpResponse.BodyHandlers.ofLines())
        events.body().each { String line ->
            if (line.startsWith('data: ')) { state = fromJson(line.substring(6)); onState(state) }
        }
        state
    }

    void cancelJob(String id) { ask('DELETE', "/jobs/$id") }

    /** What of a prompt goes to the service. */
    static Map message(Map prompt) {
        [kind: prompt.kind, strokes: prompt.strokes, class_name: prompt.class_name, z: prompt.z, t: prompt.t, nested: prompt.nested]
    }

    /** What has happened to prompts, each a map by its identity: added, gone, and those of another class. */
    static Map changes(Map before, Map now) {
        [added: now.findAll { !before.containsKey(it.key) }.values() as List, gone: before.findAll { !now.containsKey(it.key) }.values() as List,
         reclassified: now.findAll { before.containsKey(it.key) && before[it.key].class_name != it.value.class_name }.values() as List]
    }

    /** Identity of a prompt in the file, as Prompt.key of nuclick_qp/prompts.py computes it. */
    @CompileStatic
    static String keyOf(Map prompt) {
        def text = new StringBuilder("${prompt.kind};${prompt.z};${prompt.t};")
        def strokes = (List<List<List<Number>>>) prompt.strokes
        for (int i = 0; i < strokes.size(); i++) {
            if (i > 0) text.append('|')
            for (int j = 0; j < strokes[i].size(); j++) {
                if (j > 0) text.append(',')
                rounded(text, strokes[i][j][0])
                rounded(text.append(' '), strokes[i][j][1])
            }
        }
        sha256(text.toString().getBytes('UTF-8')).substring(0, 20)
    }

    /** Write with two decimals; a place of the file, where it is a 32-bit float. */
    @CompileStatic
    private static void rounded(StringBuilder text, Number value) {
        long cents = (long) Math.rint((double) value.floatValue() * 100), rest = Math.abs(cents % 100)
        if (cents < 0) text.append('-')
        text.append(Math.abs(cents).intdiv(100)).append(rest < 10 ? '.0' : '.').append(rest)
    }

    /** Hash of the vertices of an outline, as nuclick_qp/shapes/identity.py computes it: tells whether somebody reshaped it. */
    @CompileStatic
    static String shapeDigest(List<double[]> vertices) {
        def steps = new TreeSet<double[]>({ double[] a, double[] b -> Double.compare(a[0], b[0]) ?: Double.compare(a[1], b[1]) } as Comparator<double[]>)
        for (double[] v : vertices)
            steps.add([Math.rint((double) (float) v[0] * 100) + 0.0d, Math.rint((double) (float) v[1] * 100) + 0.0d] as double[])
        def bytes = ByteBuffer.allocate(16 * steps.size()).order(ByteOrder.LITTLE_ENDIAN)
        for (double[] step : steps) bytes.putDouble(step[0]).putDouble(step[1])
        sha256(bytes.array()).substring(0, 12)
    }

    /** The last six digits of metadata nuclick:outline, which tell the class, as annotations/objects.py has it. */
    static String classDigest(String className) {
        sha256((className ?: '').replace(':', ' ').trim().split(/\s+/).join(' ').getBytes('UTF-8')).substring(0, 6)
    }

    @CompileStatic
    static String sha256(byte[] bytes) { MessageDigest.getInstance('SHA-256').digest(bytes).encodeHex().toString() }
}
