package org.taxonvision

private const val SPECIES_LEVEL = 10.0

/** From probabilities of classes to scores of the whole tree, as BUNDLE.md counts its steps. */
class RollUp(private val taxonomy: Taxonomy, private val thresholds: Thresholds) {
    /**
     * Scores of the rows of the tree.
     *
     * @property own what each row's own output has after step 3, 0 where it has none.
     * @property rows the same with all that is below it.
     */
    class Scores internal constructor(val own: DoubleArray, val rows: DoubleArray)

    /** Positions of the best outputs, best first; on equal scores the smaller position first. */
    fun best(probabilities: DoubleArray, count: Int): List<Int> {
        val best = ArrayList<Int>() // by insertion: sorting 60,000 scores takes too long for a frame
        for (leaf in probabilities.indices) {
            if (best.size == count) {
                if (count == 0 || probabilities[leaf] <= probabilities[best.last()]) continue
                best.removeAt(count - 1)
            }
            var place = best.size
            while (place > 0 && probabilities[best[place - 1]] < probabilities[leaf]) place--
            best.add(place, leaf)
        }
        return best
    }

    /** Step 2: whether the photograph shows anything that the model knows. */
    fun isKnown(probabilities: DoubleArray): Boolean = probabilities.sum() >= thresholds.unknown

    /** Steps 3 and 4: rolled-up scores of all rows, from the leaves that are kept. */
    fun scores(probabilities: DoubleArray): Scores {
        val cutoff = thresholds.keptShare * highest(probabilities)
        return sumUp(DoubleArray(probabilities.size) { leaf ->
            if (probabilities[leaf] < cutoff) 0.0 else probabilities[leaf]
        })
    }

    /** Step 5: rows from the best root on, each time the best child, the first of equals. */
    fun bestBranch(scores: Scores): List<Int> {
        val branch = ArrayList<Int>()
        var candidates = taxonomy.roots
        while (candidates.isNotEmpty()) {
            var best = candidates[0]
            for (row in candidates) if (scores.rows[row] > scores.rows[best]) best = row
            if (branch.isNotEmpty() && scores.own[branch.last()] > scores.rows[best]) break
            branch.add(best)
            candidates = taxonomy.children[best]
        }
        return branch
    }

    /** Step 6: the lowest row of the branch that may be named as sure, each by its own threshold. */
    fun sure(branch: List<Int>, scores: Scores): Int? =
        branch.lastOrNull { Math.min(scores.rows[it], 1.0) > thresholds.shownOf(taxonomy.taxa[it].id) }

    /** Step 7: whether a common ancestor is to be sought. */
    fun wantsCommonAncestor(sure: Int?): Boolean =
        sure == null || taxonomy.taxa[sure].rankLevel > SPECIES_LEVEL

    /** Step 7: what the best leaves have in common: a row and its score among them. */
    fun commonAncestor(probabilities: DoubleArray): Pair<Int, Double>? {
        val best = best(probabilities, thresholds.ancestorLeaves)
        val cutoff = thresholds.ancestorShare * probabilities[best.first()]
        val kept = DoubleArray(probabilities.size)
        for (leaf in best) if (probabilities[leaf] >= cutoff) kept[leaf] = probabilities[leaf]
        val scores = sumUp(kept)
        var found: Int? = null
        for (row in taxonomy.downwards) {
            val level = taxonomy.taxa[row].rankLevel
            if (level < thresholds.ancestorLowest || level > thresholds.ancestorHighest) continue
            if (!(scores.rows[row] > thresholds.ancestorScore)) continue
            if (found == null || isBetter(row, found, scores)) found = row
        }
        return found?.let { Pair(it, scores.rows[it]) }
    }

    private fun highest(probabilities: DoubleArray): Double = probabilities.fold(0.0, Math::max)

    private fun isBetter(row: Int, than: Int, scores: Scores): Boolean {
        val level = taxonomy.taxa[row].rankLevel
        val other = taxonomy.taxa[than].rankLevel
        return level < other || level == other && scores.rows[row] > scores.rows[than]
    }

    /** Leaves divided by their sum, and summed up the tree; zeros stay what they are. */
    private fun sumUp(leaves: DoubleArray): Scores {
        val sum = leaves.sum()
        val own = DoubleArray(taxonomy.taxa.size)
        for ((leaf, row) in taxonomy.leafRows.withIndex()) {
            own[row] = if (sum > 0) leaves[leaf] / sum else leaves[leaf]
        }
        val rows = own.copyOf()
        for (row in taxonomy.downwards.reversedArray()) {
            val parent = taxonomy.parents[row]
            if (parent >= 0) rows[parent] += rows[row]
        }
        return Scores(own, rows)
    }
}
