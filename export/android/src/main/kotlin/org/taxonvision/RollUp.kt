package org.taxonvision

private const val SPECIES_LEVEL = 10.0

/** From probabilities of classes to scores of the whole tree, as BUNDLE.md counts its steps. */
class RollUp(private val taxonomy: Taxonomy, private val thresholds: Thresholds) {
    /** Rows of the tree with their scores. */
    class Scores internal constructor(val own: DoubleArray, val rows: DoubleArray)

    /** Positions of the best outputs, best first; on equal scores the smaller position first. */
    fun best(probabilities: DoubleArray, count: Int): List<Int> =
        probabilities.indices.sortedByDescending { probabilities[it] }.take(count) // a stable sort

    /** Step 2: whether the photograph shows anything that the model knows. */
    fun isKnown(probabilities: DoubleArray): Boolean =
        probabilities[best(probabilities, 1).first()] >= thresholds.unknown

    /** Steps 3 and 4: rolled-up scores of all rows, from the leaves that are kept. */
    fun scores(probabilities: DoubleArray): Scores {
        val cutoff = thresholds.keptShare * probabilities[best(probabilities, 1).first()]
        val kept = DoubleArray(probabilities.size) { leaf ->
            if (probabilities[leaf] < cutoff) 0.0 else probabilities[leaf]
        }
        var dropped = 0.0
        for (leaf in kept.indices) dropped += probabilities[leaf] - kept[leaf]
        return sumUp(kept, 1 - dropped)
    }

    /** Step 5: rows from the best root on, each time the child with the highest score. */
    fun bestBranch(scores: Scores): List<Int> {
        val branch = ArrayList<Int>()
        var candidates = taxonomy.roots
        while (candidates.isNotEmpty()) {
            var best = candidates[0]
            for (row in candidates) if (scores.rows[row] > scores.rows[best]) best = row
            if (branch.isNotEmpty()) {
                if (scores.rows[best] <= 0 || scores.own[branch.last()] > scores.rows[best]) break
            }
            branch.add(best)
            candidates = taxonomy.children[best]
        }
        return branch
    }

    /** Step 6: the lowest row of the branch that may be named as sure. */
    fun sure(branch: List<Int>, scores: Scores): Int? =
        branch.lastOrNull { scores.rows[it] > thresholds.shown }

    /** Step 7: whether a common ancestor is to be sought. */
    fun wantsCommonAncestor(sure: Int?): Boolean =
        sure == null || taxonomy.taxa[sure].rankLevel > SPECIES_LEVEL

    /** Step 7: what the best leaves have in common, a row and the scores it is taken from. */
    fun commonAncestor(probabilities: DoubleArray): Pair<Int, Scores>? {
        val best = best(probabilities, thresholds.ancestorLeaves)
        val cutoff = thresholds.ancestorShare * probabilities[best.first()]
        val kept = DoubleArray(probabilities.size)
        var sum = 0.0
        for (leaf in best) {
            if (probabilities[leaf] < cutoff) continue
            kept[leaf] = probabilities[leaf]
            sum += probabilities[leaf]
        }
        val scores = sumUp(kept, sum)
        var found: Int? = null
        // Downwards, so that of equals the row nearer to the root comes first and stays.
        for (row in taxonomy.downwards) {
            val level = taxonomy.taxa[row].rankLevel
            if (level < thresholds.ancestorLowest || level > thresholds.ancestorHighest) continue
            if (!(scores.rows[row] > thresholds.ancestorScore)) continue
            if (found == null || isBetter(row, found, scores)) found = row
        }
        return found?.let { Pair(it, scores) }
    }

    private fun isBetter(row: Int, than: Int, scores: Scores): Boolean {
        val level = taxonomy.taxa[row].rankLevel
        val other = taxonomy.taxa[than].rankLevel
        return level < other || level == other && scores.rows[row] > scores.rows[than]
    }

    /** Scores of leaves, divided by `whole`, summed up the tree. */
    private fun sumUp(leaves: DoubleArray, whole: Double): Scores {
        val own = DoubleArray(taxonomy.taxa.size)
        for ((leaf, row) in taxonomy.leafRows.withIndex()) own[row] = leaves[leaf]
        val rows = own.copyOf()
        for (place in taxonomy.downwards.indices.reversed()) {
            val row = taxonomy.downwards[place]
            val parent = taxonomy.parents[row]
            if (parent >= 0) rows[parent] += rows[row]
        }
        for (row in rows.indices) {
            own[row] /= whole
            rows[row] /= whole
        }
        return Scores(own, rows)
    }
}
