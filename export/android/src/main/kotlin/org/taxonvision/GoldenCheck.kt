package org.taxonvision

/**
 * Run the golden photographs of a bundle; one sentence for each whose scores are not as expected.
 *
 * No finding means that decoding, preprocessing and the model's kernels work on this device as they
 * did where the bundle was made.
 */
fun goldenFindings(bundle: Bundle, decoder: Decoder, classifier: Classifier): List<String> =
    bundle.manifest.golden.mapNotNull { golden ->
        val photograph = decoder.decode(bundle.files.read(golden.file))
        val probabilities = bundle.probabilities(classifier, photograph)
        val difference = largestDifference(bundle, golden, probabilities)
        // Not "above": what is no number is a finding too.
        if (difference <= golden.tolerance) null
        else "${golden.file}: a score differs by ${"%.4f".format(difference)}, more than ${golden.tolerance}"
    }

private fun largestDifference(bundle: Bundle, golden: Golden, probabilities: DoubleArray): Double {
    val leafOfRow = HashMap<Int, Int>()
    for ((leaf, row) in bundle.taxonomy.leafRows.withIndex()) leafOfRow[row] = leaf
    var largest = 0.0
    for ((taxonId, expected) in golden.top) {
        val leaf = bundle.taxonomy.rowOf(taxonId)?.let { leafOfRow[it] }
            ?: throw BundleException("${golden.file} expects taxon $taxonId, which is no class")
        largest = Math.max(largest, Math.abs(probabilities[leaf] - expected))
    }
    return largest
}
