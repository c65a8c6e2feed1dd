package nuclick

import groovy.transform.CompileStatic
import java.awt.image.BufferedImage
import java.lang.reflect.Method
import javax.imageio.ImageIO
import org.locationtech.jts.geom.LineString
import org.locationtech.jts.geom.Polygon
import qupath.lib.images.servers.ImageServerMetadata
import qupath.lib.io.GsonTools
import qupath.lib.objects.PathObject
import qupath.lib.objects.classes.PathClass
import qupath.lib.regions.ImageRegion
import qupath.lib.regions.RegionRequest
import qupath.lib.roi.PolygonROI
import qupath.lib.roi.interfaces.ROI

/** An image that is open in QuPath: its prompts, its outlines, its pixels. Knows nothing of the window. */
class Picture {
    static final String PROMPT = 'nuclick:prompt', OUTLINE = 'nuclick:outline'  // metadata that mark an outline as ours
    // QuPath 0.5 lets nobody write metadata of detections; from 0.6 on, looking at them makes a map for each of perhaps a million
    private static final Method STORE = hidden('storeMetadataValue', String, String), READ = hidden('getUnmodifiableMetadataMap')

    final imageData
    final hierarchy
    final server

    Picture(imageData) {
        this.imageData = imageData
        hierarchy = imageData.hierarchy
        server = imageData.server
    }

    /** Why this image cannot be worked on; null when it can. A missing pixel size is another matter. */
    String unsuitable() {
        if (!server.isRGB() || imageData.isFluorescence())
            return 'only brightfield images in colour are supported; set the type in the Image tab if this is one'
        null
    }

    boolean isReady() { hasPixelSize() && !unsuitable() }

    boolean hasPixelSize() { server.pixelCalibration.hasPixelSizeMicrons() }

    /** Kept with the image, so that later runs see it, too. */
    void setPixelSize(double um) {
        imageData.updateServerMetadata(new ImageServerMetadata.Builder(server.metadata).pixelSizeMicrons(um, um).build())
    }

    Map facts() {
        [levels: server.metadata.levels.collect { [it.width, it.height] }, mpp: server.pixelCalibration.averagedPixelSizeMicrons as double]
    }

    // --- prompts

    /**
     * What the user has drawn.
     *
     * @return prompts: by identity; background: spots of points of a class like Ignore*; drawn: the annotations that
     *         they came from, by id, with their ROI, so that a step can be taken back
     */
    Map prompts() {
        def prompts = new LinkedHashMap(), background = [], drawn = [:], squiggles = [:]
        for (PathObject item : annotations()) {
            def roi = item.ROI
            if (roi == null || !(roi.isPoint() || roi.isLine())) continue
            drawn[item.ID] = [item: item, roi: roi]
            def facts = [class_name: item.pathClass?.toString(), z: roi.z, t: roi.t, nested: item.parent != null && !item.parent.isRootObject(), item: item]
            if (roi.isPoint()) {
                def spots = spots(roi)
                if (facts.class_name?.endsWith('*')) background.addAll(spots.collect { [xy: it, z: roi.z, t: roi.t] })
                else for (spot in spots) prompts.putIfAbsent([roi.z, roi.t, inFile(spot)], [*: facts, kind: 'point', strokes: [[spot]]])
                continue
            }
            def strokes = strokes(roi).findAll { it.size() > 1 }
            if (!strokes) continue
            def squiggle = [item.name, facts.class_name, roi.z, roi.t]
            if (item.name && squiggles[squiggle]) {  // lines of one name and class are strokes of one prompt
                def first = squiggles[squiggle]
                first.strokes += strokes
                first.nested &= facts.nested
            } else squiggles[item.name ? squiggle : item.ID] = [*: facts, kind: 'line', strokes: strokes]
        }
        squiggles.values().each { prompts.putIfAbsent([it.z, it.t, it.strokes.collect { stroke -> stroke.collect { inFile(it) } }], it) }
        [prompts: prompts, background: background, drawn: drawn]
    }

    /** A place as files and QuPath's undo keep it: 32-bit floats. After Ctrl+Z all prompts would be new ones otherwise. */
    @CompileStatic
    private static List<Float> inFile(List xy) { [(xy[0] as Number).floatValue(), (xy[1] as Number).floatValue()] }

    /** Annotations in the order of the file, which is that of the strokes of a squiggle. */
    @CompileStatic
    List<PathObject> annotations() {
        def found = new ArrayList<PathObject>()
        walk(root(), found)
        found
    }

    private PathObject root() { hierarchy.rootObject }

    @CompileStatic
    private void walk(PathObject parent, List<PathObject> found) {
        for (PathObject child : parent.childObjects) {
            if (child.isAnnotation()) found.add(child)
            if (child.hasChildObjects()) walk(child, found)
        }
    }

    @CompileStatic
    private static List<List<Double>> spots(ROI roi) {
        def found = new ArrayList<List<Double>>()
        for (p in roi.allPoints)
            if (Double.isFinite(p.x) && Double.isFinite(p.y)) found.add([p.x, p.y])
        found
    }

    private static List strokes(ROI roi) {
        if (roi.class.simpleName != 'GeometryROI') return [spots(roi)]
        def lines = roi.geometry
        (0..<lines.numGeometries).collect { n -> lines.getGeometryN(n).coordinates.collect { [it.x, it.y] } }
    }

    @CompileStatic
    static List<Number> anchor(Map prompt) {
        List<List<Number>> longest = []
        for (stroke in (List<List<List<Number>>>) prompt.strokes) if (stroke.size() > longest.size()) longest = stroke
        longest[longest.size().intdiv(2)]
    }

    static List<Double> bounds(Collection<Map> prompts) {
        def all = prompts.collectMany { it.strokes.collectMany { it } }
        [all*.get(0).min(), all*.get(1).min(), all*.get(0).max(), all*.get(1).max()]
    }

    // --- outlines

    private static Method hidden(String name, Class... types) { PathObject.getDeclaredMethod(name, types).tap { accessible = true } }

    /** Key of the prompt that an outline of ours belongs to; null for any other object. */
    @CompileStatic
    static String promptOf(PathObject item) { mark(item, PROMPT) }

    @CompileStatic
    private static String mark(PathObject item, String name) { ((Map<String, String>) READ.invoke(item)).get(name) }

    /** Outlines of ours and neighbours of others, within a margin of prompts of one plane. */
    Map near(Collection<Map> prompts, double margin) {
        def (left, top, right, bottom) = bounds(prompts)
        def box = ImageRegion.createInstance((left - margin) as int, (top - margin) as int, (right - left + 2 * margin) as int,
            (bottom - top + 2 * margin) as int, prompts[0].z as int, prompts[0].t as int)
        def found = hierarchy.respondsTo('getAllObjectsForRegion') ? hierarchy.getAllObjectsForRegion(box, null)  // QuPath 0.6
            : hierarchy.getObjectsForRegion(null, box, null)
        def (ours, others) = found.split { isOurs(it) }
        [ours: ours, others: others.findAll { it.isDetection() && !it.isTile() && it.ROI?.isArea() }, box: box]
    }

    /** Outlines of ours that belong to some prompts, whole image. */
    List<PathObject> outlinesOf(Collection<String> keys) {
        keys.isEmpty() ? [] : outlines().findAll { keys.contains(promptOf(it)) }
    }

    @CompileStatic
    List<PathObject> outlines() {
        def found = new ArrayList<PathObject>()
        gather(root(), found)
        found
    }

    @CompileStatic
    private void gather(PathObject parent, List<PathObject> found) {
        for (PathObject child : parent.childObjects) {
            if (isOurs(child)) found.add(child)
            if (child.hasChildObjects()) gather(child, found)
        }
    }

    @CompileStatic
    private static boolean isOurs(PathObject item) { promptOf(item) != null && item.ROI != null && item.ROI.isArea() }

    /** Whether the user has reshaped an outline, or given it a class other than that of its prompt: such an outline is the user's. */
    static boolean isEdited(PathObject outline, String promptClass) {
        def written = mark(outline, OUTLINE)
        if (!written) return false
        def vertices = outline.ROI instanceof PolygonROI ? outline.ROI.allPoints : outline.ROI.geometry.coordinates
        if (Exchange.shapeDigest(vertices.collect { [it.x, it.y] as double[] }) != written.take(12)) return true
        def now = outline.pathClass?.toString()
        Exchange.classDigest(now) != written.drop(12) && Exchange.classDigest(now) != Exchange.classDigest(promptClass)
    }

    /** An area as GeoJSON; that of QuPath is text only. */
    @CompileStatic
    static Map geometry(ROI roi) {
        if (roi instanceof PolygonROI) {  // whose geometry takes milliseconds
            def points = roi.allPoints.collect { [it.x, it.y] }
            return [type: 'Polygon', coordinates: [points + [points[0]]]]
        }
        def area = roi.geometry, ring = { LineString line -> line.coordinates.collect { [it.x, it.y] } }
        [type: 'MultiPolygon', coordinates: (0..<area.numGeometries).collect { int n ->
            def part = (Polygon) area.getGeometryN(n)
            [ring(part.exteriorRing)] + (0..<part.numInteriorRing).collect { int hole -> ring(part.getInteriorRingN(hole)) }
        }]
    }

    /** The object of a result of the service, as `nuclick-qp run` would write it; the class is that of the prompt. */
    static PathObject toObject(Map result, PathClass pathClass) {
        def gson = GsonTools.instance
        def feature = [*: result.feature, properties: result.feature.get('properties').findAll { it.key != 'classification' }]  // without a colour in it QuPath 0.5 fails; feature.properties would be those of the Java object in Groovy 5
        def made = gson.fromJson(gson.toJson(feature), PathObject)
        made.pathClass = pathClass
        result.metadata.each { name, text -> STORE.invoke(made, name as String, text as String) }
        made
    }

    /** Give an outline the new class of its prompt, so that a later run finds it unchanged. */
    static void reclassify(PathObject outline, PathClass pathClass) {
        outline.pathClass = pathClass
        def written = mark(outline, OUTLINE)
        if (written) STORE.invoke(outline, OUTLINE, written.take(12) + Exchange.classDigest(pathClass?.toString()))
    }

    /**
     * Take objects out and put others in, as one change of the hierarchy.
     *
     * @param added  pairs of object and parent; a parent of null is the root
     */
    void change(Collection<PathObject> removed, List added, source) {
        if (!removed && !added) return
        removed.groupBy { it.parent }.each { parent, items -> parent?.removeChildObjects(items) }
        added.groupBy { it[1] ?: root() }.each { parent, pairs -> parent.addChildObjects(pairs*.get(0)) }
        hierarchy.fireHierarchyChangedEvent(source)
    }

    /** The smallest closed annotation of the user that holds a nested prompt; null is the root. */
    PathObject holder(Map prompt) {
        if (!prompt.nested) return null
        def (x, y) = anchor(prompt)
        annotations().findAll {
            def roi = it.ROI
            roi?.isArea() && promptOf(it) == null && roi.z == prompt.z && roi.t == prompt.t && roi.contains(x, y)
        }.min { it.ROI.getArea() }  // roi.area would be isArea()
    }

    // --- pixels

    /** Read a region that the service wants; PNG is for a service that is far away. */
    Map read(Map wanted, Map plane, boolean packed) {
        double downsample = server.getDownsampleForResolution(wanted.level as int)
        int w = wanted.width, h = wanted.height
        int x = Math.round(wanted.x * downsample), y = Math.round(wanted.y * downsample)
        int right = Math.min(server.width, Math.round((wanted.x + w) * downsample) as int)
        int bottom = Math.min(server.height, Math.round((wanted.y + h) * downsample) as int)
        BufferedImage pixels = server.readRegion(RegionRequest.createInstance(server.path, downsample, x, y, right - x, bottom - y, plane.z as int, plane.t as int))
        def encoded = packed ? png(exactly(pixels, w, h)) : rgb(exactly(pixels, w, h))
        [level: wanted.level as int, x: wanted.x as int, y: wanted.y as int, width: w, height: h, encoding: packed ? 'png' : 'rgb', data: encoded.encodeBase64().toString()]
    }

    /** Levels whose sizes are no whole fractions come out a pixel larger or smaller. */
    @CompileStatic
    private static BufferedImage exactly(BufferedImage pixels, int w, int h) {
        if (pixels.width == w && pixels.height == h && pixels.type == BufferedImage.TYPE_INT_RGB) return pixels
        def copy = new BufferedImage(w, h, BufferedImage.TYPE_INT_RGB)
        def canvas = copy.createGraphics()
        canvas.drawImage(pixels, 0, 0, w, h, null)
        canvas.dispose()
        copy
    }

    @CompileStatic
    private static byte[] rgb(BufferedImage pixels) {
        int[] packed = pixels.getRGB(0, 0, pixels.width, pixels.height, null, 0, pixels.width)
        def bytes = new byte[3 * packed.length]
        for (int i = 0, at = 0; i < packed.length; i++) {
            int value = packed[i]
            bytes[at++] = (byte) (value >> 16)
            bytes[at++] = (byte) (value >> 8)
            bytes[at++] = (byte) value
        }
        bytes
    }

    private static byte[] png(BufferedImage pixels) {
        def bytes = new ByteArrayOutputStream()
        ImageIO.write(pixels, 'png', bytes)
        bytes.toByteArray()
    }
}
