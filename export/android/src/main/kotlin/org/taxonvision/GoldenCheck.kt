package org.taxonvision

import java.io.IOException
import java.util.Locale

/**
 * Run the golden photographs of a bundle; one sentence for each whose scores are not as expected.
 *
 * No finding means that decoding, preprocessing and the model's kernels work on this device as they
 * did where the bundle was made.
 */
fun goldenFindings(bundle: Bundle, decoder: Decoder, classifier: Classifier): List<String> =
    bundle.manifest.golden.mapNotNull { golden -> finding(bundle, golden, decoder, classifier) }

private fun finding(
    bundle: Bundle,
    golden: Golden,
    decoder: Decoder,
    classifier: Classifier
): String? {
    val photograph = try {
        decoder.decode(bundle.files.read(golden.file))
    } catch (error: IOException) {
        return "${golden.file} cannot be decoded: ${error.message}"
    }
    val contract = bundle.manifest.contract
    val asItIs = if (golden.isExact) contract.copy(cropRatio = 1.0) else contract // cut already
    val probabilities = bundle.probabilities(classifier, photograph, asItIs)
    val difference = largestDifference(bundle, golden, probabilities)
    if (difference <= golden.tolerance) return null
    val found = String.format(Locale.ROOT, "%.4f", difference)
    return "${golden.file}: a score differs by $found, more than ${golden.tolerance}"
}

private fun largestDifference(bundle: Bundle, golden: Golden, probabilities: DoubleArray): Double {
    val leafOfRow = HashMap<Int, Int>()
    for ((leaf, row) in bundle.taxonomy.leafRows.withIndex()) leafOfRow[row] = leaf
    val known = probabilities.sum()
    var largest = Math.abs(known - golden.known)
    for ((taxonId, expected) in golden.top) {
        val leaf = bundle.taxonomy.rowOf(taxonId)?.let { leafOfRow[it] }
            ?: throw BundleException("${golden.file} expects taxon $taxonId, which is no class")
        largest = Math.max(largest, Math.abs(probabilities[leaf] / known - expected))
    }
    return largest
}
