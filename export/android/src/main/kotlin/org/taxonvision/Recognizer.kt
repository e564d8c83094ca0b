package org.taxonvision

/**
 * Names what is in a photograph.
 *
 * It holds no state of its own: it may be used in as many threads as its classifier allows.
 *
 * @param language of the common names; the user's, where `bundle.manifest.languages` lists it.
 */
class Recognizer(
    private val bundle: Bundle,
    private val classifier: Classifier,
    language: String = "en"
) {
    private val rollUp = RollUp(bundle.taxonomy, bundle.manifest.thresholds)
    private val names = bundle.names(language)

    /** The answer for a photograph, with the `top` best classes. */
    fun recognize(photograph: Photograph, top: Int = 5): Answer =
        answer(probabilities(photograph), top)

    /** Step 1 alone: probabilities of a photograph, one a class, for an app that smooths frames. */
    fun probabilities(photograph: Photograph): DoubleArray =
        bundle.probabilities(classifier, photograph)

    /** Put probabilities, one a class, into names. */
    fun answer(probabilities: DoubleArray, top: Int = 5): Answer {
        require(probabilities.size == bundle.classes) { "there are ${bundle.classes} classes" }
        val suggestions = rollUp.best(probabilities, top).map { leaf ->
            suggestion(bundle.taxonomy.leafRows[leaf], probabilities[leaf])
        }
        val scores = rollUp.scores(probabilities)
        val branch = rollUp.bestBranch(scores)
        val isKnown = rollUp.isKnown(probabilities)
        val sure = if (isKnown) rollUp.sure(branch, scores) else null
        val ancestor =
            if (isKnown && rollUp.wantsCommonAncestor(sure)) rollUp.commonAncestor(probabilities) else null
        return Answer(
            isKnown,
            suggestions,
            branch.map { suggestion(it, scores.rows[it]) },
            sure?.let { suggestion(it, scores.rows[it]) },
            ancestor?.let { (row, score) -> suggestion(row, score) }
        )
    }

    private fun suggestion(row: Int, score: Double): Suggestion {
        val taxon = bundle.taxonomy.taxa[row]
        return Suggestion(taxon, names[taxon.id] ?: "", score)
    }
}

/** Step 1: what the model says of a photograph as probabilities, one a class. */
internal fun Bundle.probabilities(
    classifier: Classifier,
    photograph: Photograph,
    contract: Contract = manifest.contract
): DoubleArray {
    val output = classifier.scores(contract.prepare(photograph))
    if (output.size != classes) {
        throw BundleException("the model answers ${output.size} scores for $classes classes")
    }
    if (output.any { !it.isFinite() }) throw BundleException("the model answers what is no number")
    val values = DoubleArray(output.size) { output[it].toDouble() }
    return if (manifest.answersLogits) softmax(values, manifest.unknownLogit) else values
}

/** Probabilities of logits; those of one class more, with `unknownLogit`, are left out. */
private fun softmax(logits: DoubleArray, unknownLogit: Double?): DoubleArray {
    val unknown = unknownLogit ?: Double.NEGATIVE_INFINITY
    val highest = logits.fold(unknown, Math::max)
    val powers = DoubleArray(logits.size) { Math.exp(logits[it] - highest) }
    val sum = powers.sum() + Math.exp(unknown - highest)
    return DoubleArray(powers.size) { powers[it] / sum }
}
