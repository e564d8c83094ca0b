/** The library on the command line: what it makes of bundles and photographs, as JSON. */

import java.awt.image.BufferedImage
import java.io.ByteArrayInputStream
import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import javax.imageio.ImageIO
import org.json.JSONArray
import org.json.JSONObject
import org.taxonvision.Answer
import org.taxonvision.Bundle
import org.taxonvision.BundleException
import org.taxonvision.Classifier
import org.taxonvision.Decoder
import org.taxonvision.Photograph
import org.taxonvision.Recognizer
import org.taxonvision.Suggestion
import org.taxonvision.goldenFindings

fun main(args: Array<String>) {
    val rest = args.drop(1)
    val result = when (args[0]) {
        "open" -> rest.map { open(File(it)) }
        "prepare" -> rest.drop(2).map { prepare(Bundle.open(File(rest[0])), File(rest[1]), File(it)) }
        "answer" -> rest.map { answer(File(it)) }
        "check" -> rest.drop(1).map { check(Bundle.open(File(rest[0])), File(it)) }
        else -> throw IllegalArgumentException(args[0])
    }
    println(JSONArray(result))
}

/** What is in a bundle, or why it cannot be used. */
private fun open(folder: File): Any =
    try {
        val bundle = Bundle.open(folder)
        val names = JSONObject()
        for (language in bundle.manifest.languages) names.put(language, bundle.names(language).size)
        bundle.files.names.forEach { bundle.files.read(it) }
        JSONObject()
            .put("schema", bundle.manifest.schemaVersion)
            .put("thresholds", bundle.manifest.thresholds.toString())
            .put("model", bundle.model().size)
            .put("labels", JSONArray(bundle.labels()))
            .put("names", names)
    } catch (error: BundleException) {
        error.message!!
    }

/** Write the pixels that a photograph becomes into a folder and say where. */
private fun prepare(bundle: Bundle, out: File, photograph: File): String {
    val pixels = bundle.manifest.contract.prepare(ImageIoDecoder.decode(photograph.readBytes()))
    val file = File(out, "${photograph.name}.rgb")
    file.writeBytes(pixels)
    return file.path
}

/** Answers to the rows of scores.f32 beside a folder `bundle`. */
private fun answer(case: File): JSONArray {
    val bundle = Bundle.open(File(case, "bundle"))
    val scores = floats(File(case, "scores.f32"))
    val answers = JSONArray()
    for (start in scores.indices step bundle.classes) {
        val row = scores.copyOfRange(start, start + bundle.classes)
        val recognizer = Recognizer(bundle, Rows { row })
        answers.put(asJson(recognizer.recognize(OnePixel)))
    }
    return answers
}

/** Golden findings, with the scores that a folder holds by the SHA-256 of the pixels. */
private fun check(bundle: Bundle, scores: File): JSONArray {
    val classifier = Rows { pixels ->
        val digest = MessageDigest.getInstance("SHA-256").digest(pixels)
        floats(File(scores, digest.joinToString("") { "%02x".format(it) } + ".f32"))
    }
    return JSONArray(goldenFindings(bundle, ImageIoDecoder, classifier))
}

private class Rows(private val give: (ByteArray) -> FloatArray) : Classifier {
    override fun scores(pixels: ByteArray): FloatArray = give(pixels)
}

private object OnePixel : Photograph {
    override val width = 1
    override val height = 1
    override val orientation = 1
    override fun readRow(y: Int, left: Int, argb: IntArray) = argb.fill(0)
}

private object ImageIoDecoder : Decoder {
    override fun decode(file: ByteArray): Photograph {
        val image = ImageIO.read(ByteArrayInputStream(file)) ?: throw IOException("no photograph")
        return BufferedPhotograph(image, orientation(file))
    }
}

private class BufferedPhotograph(
    private val image: BufferedImage,
    override val orientation: Int
) : Photograph {
    override val width: Int get() = image.width
    override val height: Int get() = image.height

    override fun readRow(y: Int, left: Int, argb: IntArray) {
        image.getRGB(left, y, argb.size, 1, argb, 0, argb.size)
    }
}

/** The orientation in the EXIF block of a JPEG or PNG, 1 where there is none. */
private fun orientation(file: ByteArray): Int {
    val text = String(file, Charsets.ISO_8859_1)
    val marker = listOf("Exif\u0000\u0000", "eXIf").firstOrNull { it in text } ?: return 1
    val start = text.indexOf(marker) + marker.length
    val block = ByteBuffer.wrap(file, start, file.size - start).slice()
    block.order(if (text[start] == 'I') ByteOrder.LITTLE_ENDIAN else ByteOrder.BIG_ENDIAN)
    val directory = block.getInt(4)
    for (entry in 0 until block.getShort(directory)) {
        val at = directory + 2 + 12 * entry
        if (block.getShort(at).toInt() == 0x0112) return block.getShort(at + 8).toInt()
    }
    return 1
}

private fun floats(file: File): FloatArray {
    val buffer = ByteBuffer.wrap(file.readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
    return FloatArray(buffer.remaining()) { buffer.get(it) }
}

private fun asJson(answer: Answer): JSONObject =
    JSONObject()
        .put("known", answer.isKnown)
        .put("suggestions", JSONArray(answer.suggestions.map(::asJson)))
        .put("branch", JSONArray(answer.branch.map(::asJson)))
        .put("sure", answer.sure?.let(::asJson) ?: JSONObject.NULL)
        .put("name", answer.name?.taxon?.name ?: JSONObject.NULL)
        .put("common_ancestor", answer.commonAncestor?.let(::asJson) ?: JSONObject.NULL)

private fun asJson(suggestion: Suggestion): JSONObject =
    JSONObject()
        .put("taxon_id", suggestion.taxon.id)
        .put("name", suggestion.taxon.name)
        .put("common_name", suggestion.commonName)
        .put("score", suggestion.score)
