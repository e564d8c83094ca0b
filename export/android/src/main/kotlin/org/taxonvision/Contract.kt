package org.taxonvision

/**
 * The preprocessing contract: the same pixels as in training, in Python and in the browser.
 *
 * The upright photograph's centre square, its side times `cropRatio`, is resized to `size` × `size`
 * with an antialiased bilinear filter; transparent pictures are laid over white.
 */
data class Contract(val size: Int, val cropRatio: Double) {
    init {
        require(size in 1..MAX_SIZE) { "size must be from 1 to $MAX_SIZE, not $size" }
        require(cropRatio > 0 && cropRatio <= 1) { "crop_ratio must be above 0 and at most 1" }
    }

    /** RGB bytes of `size` rows, `size` columns and 3 channels. */
    fun prepare(photograph: Photograph): ByteArray {
        val turn = Turn(photograph.orientation)
        val stored = resize(photograph, crop(photograph, turn), size)
        return upright(stored, turn)
    }

    /** The centre square in stored pixels. */
    private fun crop(photograph: Photograph, turn: Turn): Square {
        val shorter = Math.min(photograph.width, photograph.height)
        val side = Math.max(1, Math.rint(shorter * cropRatio).toInt()) // a half to the even number
        return Square(
            margin(photograph.width, side, turn.fromRight),
            margin(photograph.height, side, turn.fromBottom),
            side
        )
    }

    /** The stored margin before the square: upright, the wider one is on the right and below. */
    private fun margin(length: Int, side: Int, isReversed: Boolean): Int {
        val before = (length - side) / 2
        return if (isReversed) length - side - before else before
    }

    private fun upright(stored: ByteArray, turn: Turn): ByteArray {
        if (!turn.isTransposed && !turn.fromRight && !turn.fromBottom) return stored
        val pixels = ByteArray(stored.size)
        for (y in 0 until size) for (x in 0 until size) {
            val along = if (turn.isTransposed) y else x
            val down = if (turn.isTransposed) x else y
            val storedX = if (turn.fromRight) size - 1 - along else along
            val storedY = if (turn.fromBottom) size - 1 - down else down
            System.arraycopy(stored, 3 * (storedY * size + storedX), pixels, 3 * (y * size + x), 3)
        }
        return pixels
    }

    private companion object {
        const val MAX_SIZE = 8192
    }
}
