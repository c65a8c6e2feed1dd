package nuclick

import groovy.transform.CompileStatic
import java.util.concurrent.Callable
import java.util.concurrent.FutureTask
import javafx.application.Platform
import org.slf4j.LoggerFactory
import qupath.lib.gui.QuPathGUI
import qupath.lib.io.GsonTools
import qupath.lib.regions.ImageRegion

/** From prompts of an image to outlines, with a window or without. */
class Segmentation {
    static final double REACH_OF_LINES = 300  // um; what lies farther away is in no patch that is likely

    static final logger = LoggerFactory.getLogger('NuClick')
    static final gson = GsonTools.instance
    static final service = new Service(fromJson: { gson.fromJson(it as String, Object) }, version: NuClickExtension.package?.implementationVersion,
        settings: { Settings.current() })
    static final exchange = new Exchange(service: service, toJson: { gson.toJson(it) }, fromJson: { gson.fromJson(it as String, Object) })

    /** For scripts; see NuClickExtension. */
    static Map<String, Integer> segmentAll(Object imageData, Map<String, ?> options) {
        def picture = new Picture(imageData)
        def problem = picture.unsuitable() ?: (picture.hasPixelSize() ? null : 'the image has no pixel size; set it in the Image tab')
        if (problem) throw new IllegalStateException(problem)
        def found = picture.prompts()
        def done = segment(picture, unfinished(picture, found.prompts.values()), found, options)
        onWindow { picture.change(done.removed, done.added, Segmentation) }
        done.counts
    }

    /** Prompts without an outline. */
    static Collection unfinished(Picture picture, Collection prompts) {
        def standing = picture.outlines().collectEntries { [Picture.promptOf(it), it] }
        prompts.findAll { standing[Exchange.keyOf(it)] == null }
    }

    /**
     * Outline some prompts of an image.
     *
     * @return removed, added (pairs of object and parent), counts by status, failed (results without an outline)
     */
    static Map segment(Picture picture, Collection todo, Map found, Map options) {
        def done = [removed: [], added: [], counts: [:], failed: []]
        def isFar = Settings.current().address != ''
        todo.groupBy { [z: it.z, t: it.t] }.each { plane, prompts ->
            prompts.sort { [(Picture.anchor(it)[1] / 2048) as int, Picture.anchor(it)[0]].join(',') }.collate(Exchange.MOST_AT_ONCE).each { batch ->
                def request = request(picture, batch, found, options)
                def standing = request.remove('ours')
                exchange.segment(request) { picture.read(it, plane, isFar) }.eachWithIndex { result, i -> take(picture, batch[i], result, standing, done) }
            }
        }
        done
    }

    private static void take(Picture picture, Map prompt, Map result, Collection standing, Map done) {
        done.counts.merge(result.status, 1, Integer::sum)
        done.removed.addAll(standing.findAll { Picture.promptOf(it) == result.key })
        if (result.feature == null) { done.failed << result; return }
        done.added << [Picture.toObject(result, prompt.item.pathClass), picture.holder(prompt)]
    }

    private static Map request(Picture picture, Collection batch, Map found, Map options) {
        def facts = picture.facts(), wishes = [*: Settings.current(), *: options]
        def card = batch.every { it.kind == 'point' } ? exchange.cardOf(wishes.points) : null
        double margin = (card == null ? REACH_OF_LINES : card.mpp * card.patch_px) / facts.mpp
        def here = picture.near(batch, margin)
        def chosen = batch as Set
        def context = found.prompts.values().findAll { !chosen.contains(it) && it.z == batch[0].z && it.t == batch[0].t && holds(here.box, Picture.anchor(it)) }
        def keys = context.collect { Exchange.keyOf(it) } as Set
        def spots = here.others.collect { [xy: [it.ROI.centroidX, it.ROI.centroidY], z: it.ROI.z, t: it.ROI.t] }
        def background = found.background.findAll { holds(here.box, it.xy) }.collect { [kind: 'point', strokes: [[it.xy]], class_name: 'Ignore*', z: it.z, t: it.t, nested: false] }
        [image: facts, prompts: batch.collect { Exchange.message(it) }, context: context.collect { Exchange.message(it) } + background, neighbours: spots,
         standing: here.ours.findAll { keys.contains(Picture.promptOf(it)) }.collect { [key: Picture.promptOf(it), geometry: Picture.geometry(it.ROI)] },
         points: wishes.points ?: null, lines: wishes.lines ?: null, options: [kind: wishes.kind, tta: wishes.tta], ours: here.ours]
    }

    @CompileStatic
    private static boolean holds(ImageRegion box, List<Number> xy) { box.contains(xy[0].intValue(), xy[1].intValue(), box.z, box.t) }

    /** The current settings as a call for scripts. */
    static String script() {
        def options = Settings.current().subMap(['kind', 'tta', 'points', 'lines']).findAll { it.value != '' }
        "nuclick.NuClickExtension.segmentAll(getCurrentImageData(), [${options.collect { k, v -> "$k: ${v instanceof Boolean ? v : "'$v'"}" }.join(', ')}])"
    }

    /** Do something in the thread of the window, and wait for it; at once where there is no window. */
    static Object onWindow(Callable work) {
        if (QuPathGUI.instance == null || Platform.isFxApplicationThread()) return work.call()
        def task = new FutureTask(work)
        Platform.runLater(task)
        task.get()
    }
}
