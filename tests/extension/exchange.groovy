// What the extension says to the service, tried without QuPath: `groovy exchange.groovy SOURCES EXECUTABLE PICTURE X,Y ...`
// prints one JSON object. A plain picture stands for QuPath's image server, Groovy's JSON for Gson.
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import java.awt.image.BufferedImage
import javax.imageio.ImageIO

def asGson  // gives every number as a double
asGson = { it instanceof Map ? it.collectEntries { k, v -> [k, asGson(v)] } : it instanceof List ? it.collect(asGson) : it instanceof Number ? (it as double) : it }
def fromJson = { asGson(new JsonSlurper().parseText(it as String)) }
def loader = new GroovyClassLoader()
def Service = loader.parseClass(new File(args[0], 'Service.groovy'))
def Exchange = loader.parseClass(new File(args[0], 'Exchange.groovy'))

BufferedImage picture = ImageIO.read(new File(args[2]))
def reads = []
def read = { Map wanted ->
    int x = wanted.x, y = wanted.y, w = wanted.width, h = wanted.height
    reads << [x, y, w, h]
    def bytes = new ByteArrayOutputStream()
    ImageIO.write(picture.getSubimage(x, y, w, h), 'png', bytes)
    [level: wanted.level as int, x: x, y: y, width: w, height: h, encoding: 'png', data: bytes.toByteArray().encodeBase64().toString()]
}
def set = [executable: args[1], address: '', token: '']
def service = Service.newInstance(fromJson: fromJson, settings: { set }, version: args[3])
def exchange = Exchange.newInstance(service: service, toJson: { JsonOutput.toJson(it) }, fromJson: fromJson)
def prompts = args.drop(4).collect { [kind: 'point', strokes: [[it.split(',').collect { it as double }]], class_name: 'Tumor', z: 0, t: 0, nested: false, item: this] }
def request = { List some -> [image: [levels: [[picture.width, picture.height]], mpp: 0.25], prompts: some.collect { Exchange.message(it) }] }
def told = [:]
try {
    told.one = exchange.segment(request(prompts.take(1)), read)
    told.reads_of_one = reads.clone()
    told.all = exchange.segment(request(prompts), read)
    told.keys = prompts.collect { Exchange.keyOf(it) }
    told.digests = told.all.findAll { it.feature }.collect { r -> Exchange.shapeDigest(r.feature.geometry.coordinates[0].collect { it as double[] }) + Exchange.classDigest('Tumor') }
    def line = [kind: 'line', strokes: [[[20d, 20d], [60.125d, 70.3d]], [[1.005d, 2d], [-0.001d, 4d]]], class_name: null, z: 1, t: 2, nested: false]
    told.line_key = Exchange.keyOf(line)
    def first = service.reach()
    def process = ProcessHandle.of(fromJson(new File(System.getenv('XDG_RUNTIME_DIR'), 'nuclick-qp/serve.json').text).pid as long).get()
    process.destroyForcibly()
    process.onExit().join()
    told.after_kill = exchange.segment(request(prompts.take(1)), read)*.key
    told.moved = service.reach() != first
    set.address = service.reach().address
    set.token = 'wrong'
    service.forget()
    try { exchange.ask('GET', '/models'); told.wrong_token = null } catch (IllegalStateException e) { told.wrong_token = e.message }
    set.address = ''
    service.forget()
    service.version = '9.9'
    try { exchange.ask('GET', '/models'); told.other_version = null } catch (IllegalStateException e) { told.other_version = e.message }
    set.executable = '/no/such/program'
    try { exchange.ask('GET', '/models'); told.no_program = null } catch (IllegalStateException e) { told.no_program = e.message }
    def before = [a: [class_name: 'Tumor'], b: [class_name: 'Tumor'], c: [class_name: null]], now = [b: [class_name: 'Stroma'], c: [class_name: null], d: [class_name: null]]
    told.changes = Exchange.changes(before, now)
} finally {
    service.close()
}
println JsonOutput.toJson(told)
System.exit(0)
