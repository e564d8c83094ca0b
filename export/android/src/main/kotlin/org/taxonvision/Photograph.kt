package org.taxonvision

/**
 * Decoded pixels as the file or the camera stores them, before they are turned upright.
 *
 * They are read a row at a time, so that a large photograph is not held twice.
 */
interface Photograph {
    val width: Int
    val height: Int

    /** The EXIF orientation, 1 to 8; 1 is upright. */
    val orientation: Int

    /**
     * Write `argb.size` pixels of row `y`, from column `left` on, as 0xAARRGGBB with colours that are
     * not multiplied by alpha.
     */
    fun readRow(y: Int, left: Int, argb: IntArray)
}

/** Makes pixels of the bytes of a JPEG or PNG. */
interface Decoder {
    /**
     * Decode the first frame; no colour profile is applied, as none was in training.
     *
     * IOException where the bytes are no photograph.
     */
    fun decode(file: ByteArray): Photograph
}

/** Runs the model. */
interface Classifier {
    /**
     * The model's output for what `Contract.prepare` gives, as it is: probabilities or logits.
     *
     * @param pixels RGB from 0 to 255, rows, columns, channels.
     */
    fun scores(pixels: ByteArray): FloatArray
}

/**
 * How the stored pixels of a photograph lie to the upright ones.
 *
 * The upright pixel (x, y) is stored at (x, y), or (y, x) where `isTransposed`, then counted from
 * the right where `fromRight` and from the bottom where `fromBottom`.
 */
internal class Turn(orientation: Int) {
    private val known = if (orientation in 1..8) orientation else 1 // nonsense counts as upright

    val isTransposed = known >= 5
    val fromRight = known == 2 || known == 3 || known == 7 || known == 8
    val fromBottom = known == 3 || known == 4 || known == 6 || known == 7
}

/** The EXIF orientation of a camera frame that has to be turned clockwise to be upright. */
fun orientationOf(clockwiseDegrees: Int): Int =
    when (Math.floorMod(clockwiseDegrees, 360)) {
        0 -> 1
        90 -> 6
        180 -> 3
        270 -> 8
        else -> throw IllegalArgumentException("$clockwiseDegrees degrees are no quarter turns")
    }
