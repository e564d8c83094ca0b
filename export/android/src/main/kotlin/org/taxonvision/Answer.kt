package org.taxonvision

/** A taxon with its score, a fraction of 1; the common name is empty where there is none. */
data class Suggestion(val taxon: Taxon, val commonName: String, val score: Double)

/**
 * What the model says of one photograph.
 *
 * @property isKnown false where the photograph shows no organism that the model knows: then nothing
 *     is sure, and suggestions are no more than guesses.
 * @property suggestions the best classes, best first, with the model's own scores.
 * @property branch the best branch of the tree from the root on, with rolled-up scores.
 * @property sure the lowest taxon on the branch that may be named as sure.
 * @property commonAncestor what the best classes have in common where no species is sure, with
 *     their share of the score.
 */
data class Answer(
    val isKnown: Boolean,
    val suggestions: List<Suggestion>,
    val branch: List<Suggestion>,
    val sure: Suggestion?,
    val commonAncestor: Suggestion?
) {
    /** What names the photograph: the finer of `sure` and `commonAncestor`; null is "not sure". */
    val name: Suggestion?
        get() = if (finerAncestor()) commonAncestor else sure

    private fun finerAncestor(): Boolean =
        sure == null || commonAncestor != null && commonAncestor.taxon.rankLevel < sure.taxon.rankLevel
}
