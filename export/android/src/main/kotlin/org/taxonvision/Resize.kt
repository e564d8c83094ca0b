package org.taxonvision

/** A square of a photograph's stored pixels. */
internal class Square(val left: Int, val top: Int, val side: Int)

/**
 * Resize a square of a photograph to `size` × `size` RGB bytes, as Pillow's BILINEAR does it.
 *
 * A triangle filter, widened by the scale where it shrinks; rows first, then columns, rounded to
 * bytes in between; weights in fixed point. Source: Pillow, src/libImaging/Resample.c.
 */
internal fun resize(photograph: Photograph, square: Square, size: Int): ByteArray {
    val filter = Filter(square.side, size)
    val narrow = ByteArray(square.side * size * 3) // all rows of the square, each `size` wide
    val argb = IntArray(square.side)
    val rgb = ByteArray(square.side * 3)
    for (y in 0 until square.side) {
        photograph.readRow(square.top + y, square.left, argb)
        overWhite(argb, rgb)
        for (x in 0 until size) filter.apply(rgb, 0, 3, x, narrow, 3 * (y * size + x))
    }
    val result = ByteArray(size * size * 3)
    for (y in 0 until size) for (x in 0 until size) {
        filter.apply(narrow, 3 * x, 3 * size, y, result, 3 * (y * size + x))
    }
    return result
}

/** Lay pixels 0xAARRGGBB over white. */
private fun overWhite(argb: IntArray, rgb: ByteArray) {
    var at = 0
    for (pixel in argb) {
        val alpha = pixel ushr 24
        rgb[at] = overWhite(pixel ushr 16 and 0xff, alpha)
        rgb[at + 1] = overWhite(pixel ushr 8 and 0xff, alpha)
        rgb[at + 2] = overWhite(pixel and 0xff, alpha)
        at += 3
    }
}

private fun overWhite(value: Int, alpha: Int): Byte =
    if (alpha == 255) value.toByte() else ((value * alpha + 255 * (255 - alpha) + 127) / 255).toByte()

/** The weights that make each of `outputs` pixels of a line of `inputs` pixels. */
private class Filter(inputs: Int, outputs: Int) {
    private val first = IntArray(outputs)
    private val weights: Array<IntArray>

    init {
        val scale = inputs.toDouble() / outputs
        val support = Math.max(scale, 1.0)
        weights = Array(outputs) { output ->
            val centre = (output + 0.5) * scale
            val from = Math.max(0, (centre - support + 0.5).toInt())
            val until = Math.min(inputs, (centre + support + 0.5).toInt())
            first[output] = from
            val exact = DoubleArray(until - from) { i ->
                Math.max(0.0, 1 - Math.abs((i + from - centre + 0.5) / support))
            }
            val sum = exact.sum()
            IntArray(exact.size) { i -> (0.5 + exact[i] / sum * ONE).toInt() }
        }
    }

    /**
     * One pixel of three channels.
     *
     * @param start where the line begins in `source`; its pixels are `step` bytes apart.
     */
    fun apply(source: ByteArray, start: Int, step: Int, output: Int, into: ByteArray, at: Int) {
        val weights = weights[output]
        var red = HALF
        var green = HALF
        var blue = HALF
        var from = start + first[output] * step
        for (weight in weights) {
            red += weight * (source[from].toInt() and 0xff)
            green += weight * (source[from + 1].toInt() and 0xff)
            blue += weight * (source[from + 2].toInt() and 0xff)
            from += step
        }
        // Weights are none below zero, but may add up to a little more than one.
        into[at] = Math.min(red shr BITS, 255).toByte()
        into[at + 1] = Math.min(green shr BITS, 255).toByte()
        into[at + 2] = Math.min(blue shr BITS, 255).toByte()
    }

    private companion object {
        const val BITS = 22
        const val ONE = 1 shl BITS
        const val HALF = 1 shl (BITS - 1)
    }
}
