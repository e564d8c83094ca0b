package org.taxonvision.android

import java.io.Closeable
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.taxonvision.Bundle
import org.taxonvision.BundleException
import org.taxonvision.Classifier
import org.tensorflow.lite.Interpreter

/** The model of a bundle run by LiteRT on the CPU; threads take turns. */
class LiteRtClassifier(bundle: Bundle, threads: Int = 2) : Classifier, Closeable {
    private val readsFloats = bundle.manifest.readsFloats
    private val interpreter = opened(bundle.model(), threads)
    private val input = interpreter.getInputTensor(0).numBytes().let { bytes ->
        ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())
    }
    private val output = Array(1) { FloatArray(bundle.classes) }

    init {
        val size = bundle.manifest.contract.size
        val expected = size * size * 3 * (if (readsFloats) 4 else 1)
        val answers = interpreter.getOutputTensor(0).shape()
        if (input.capacity() != expected || !answers.contentEquals(intArrayOf(1, bundle.classes))) {
            interpreter.close()
            throw BundleException("model.tflite does not fit bundle.json and taxonomy.csv")
        }
    }

    @Synchronized
    override fun scores(pixels: ByteArray): FloatArray {
        input.rewind()
        if (readsFloats) {
            for (value in pixels) input.putFloat((value.toInt() and 0xff).toFloat())
        } else {
            input.put(pixels)
        }
        input.rewind()
        interpreter.run(input, output)
        return output[0].copyOf()
    }

    /** Free the model's memory; it may not be run again. */
    @Synchronized
    override fun close() = interpreter.close()
}

private fun opened(model: ByteArray, threads: Int): Interpreter =
    try {
        Interpreter(direct(model), Interpreter.Options().setNumThreads(threads))
    } catch (error: IllegalArgumentException) {
        throw BundleException("model.tflite is no model that LiteRT can run: ${error.message}")
    }

private fun direct(content: ByteArray): ByteBuffer {
    val buffer = ByteBuffer.allocateDirect(content.size).order(ByteOrder.nativeOrder())
    buffer.put(content)
    buffer.rewind()
    return buffer
}
