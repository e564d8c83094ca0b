package org.taxonvision.android

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.ColorSpace
import android.os.Build
import androidx.exifinterface.media.ExifInterface
import java.io.ByteArrayInputStream
import java.io.IOException
import org.taxonvision.Decoder
import org.taxonvision.Photograph

private const val MAX_PIXELS = 200_000_000L // the largest sensors of phones; more is taken for a bomb

/** A bitmap, of a file or the camera; its `orientation` is EXIF's, see `orientationOf`. */
class BitmapPhotograph(private val bitmap: Bitmap, override val orientation: Int) : Photograph {
    override val width: Int get() = bitmap.width
    override val height: Int get() = bitmap.height

    override fun readRow(y: Int, left: Int, argb: IntArray) =
        bitmap.getPixels(argb, 0, argb.size, left, y, argb.size, 1)
}

/** Android's own decoder. */
class BitmapDecoder : Decoder {
    override fun decode(file: ByteArray): Photograph {
        val bounds = BitmapFactory.Options()
        bounds.inJustDecodeBounds = true
        BitmapFactory.decodeByteArray(file, 0, file.size, bounds)
        if (bounds.outWidth.toLong() * bounds.outHeight > MAX_PIXELS) {
            throw IOException("${bounds.outWidth} x ${bounds.outHeight} pixels are too many")
        }
        val options = BitmapFactory.Options()
        options.inScaled = false
        options.inPreferredConfig = Bitmap.Config.ARGB_8888
        val bitmap = try {
            BitmapFactory.decodeByteArray(file, 0, file.size, options)
        } catch (error: OutOfMemoryError) {
            throw IOException("${bounds.outWidth} x ${bounds.outHeight} pixels are too many for the memory")
        } ?: throw IOException("not a photograph that Android can decode")
        // Values as they are in the file: getPixels would convert them from the photograph's profile.
        if (Build.VERSION.SDK_INT >= 29 && bitmap.config == Bitmap.Config.ARGB_8888) {
            bitmap.setColorSpace(ColorSpace.get(ColorSpace.Named.SRGB))
        }
        return BitmapPhotograph(bitmap, orientation(file))
    }

    private fun orientation(file: ByteArray): Int =
        try {
            ExifInterface(ByteArrayInputStream(file))
                .getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL)
        } catch (error: IOException) {
            ExifInterface.ORIENTATION_NORMAL // a damaged EXIF block does not make the pixels bad
        }
}
