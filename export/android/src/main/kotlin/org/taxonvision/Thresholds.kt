package org.taxonvision

import org.json.JSONObject

/**
 * What it takes to name a taxon. Scores and shares are fractions of 1.
 *
 * @property keptShare leaves below this share of the best leaf's score are dropped.
 * @property shown a taxon whose rolled-up score is above this is named as sure.
 * @property ancestorScore a common ancestor's score has to be above this.
 * @property ancestorLeaves a common ancestor is sought among so many of the best leaves.
 * @property ancestorShare of these, leaves below this share of the best leaf's score do not count.
 * @property ancestorLowest the lowest rank level of a common ancestor.
 * @property ancestorHighest the highest one.
 * @property unknown a photograph whose leaves' scores add up to less shows nothing that the model
 *     knows; 0 where this is never said.
 * @property byTaxon taxa, by their ids, that have another threshold of their own instead of `shown`.
 */
data class Thresholds(
    val keptShare: Double = 0.001,
    val shown: Double = 0.7,
    val ancestorScore: Double = 0.78,
    val ancestorLeaves: Int = 15,
    val ancestorShare: Double = 0.01,
    val ancestorLowest: Double = 20.0,
    val ancestorHighest: Double = 33.0,
    val unknown: Double = 0.0,
    val byTaxon: Map<Long, Double> = emptyMap()
) {
    init {
        val shares = listOf(keptShare, shown, ancestorScore, ancestorShare, unknown)
        for (share in shares + byTaxon.values) {
            require(share >= 0 && share <= 1) { "$share is no fraction of 1" }
        }
        require(ancestorLeaves >= 1) { "a common ancestor of $ancestorLeaves leaves" }
        require(ancestorLowest <= ancestorHighest) {
            "rank levels from $ancestorLowest to $ancestorHighest are no range"
        }
    }

    /** The score above which a taxon is named as sure. */
    fun shownOf(taxonId: Long): Double = byTaxon[taxonId] ?: shown

    companion object {
        /** The file of a bundle that holds `byTaxon`, where bundle.json names it. */
        const val TABLE = "thresholds.csv"

        private val COLUMNS = listOf("taxon_id", "threshold")

        /** Read the bytes of thresholds.csv: thresholds by taxon id. */
        internal fun parseTable(content: ByteArray): Map<Long, Double> {
            val rows = parseCsv(String(content, Charsets.UTF_8), TABLE)
            if (rows.firstOrNull() != COLUMNS) {
                throw BundleException("$TABLE has other columns than ${COLUMNS.joinToString()}")
            }
            val found = HashMap<Long, Double>(rows.size * 2)
            for (cells in rows.drop(1)) {
                val taxonId = cells[0].toLongOrNull()
                val threshold = cells.getOrNull(1)?.toDoubleOrNull()?.takeIf { it >= 0 && it <= 1 }
                if (
                    cells.size != 2 || taxonId == null || threshold == null ||
                    found.put(taxonId, threshold) != null // of two, either could be meant
                ) {
                    throw BundleException(
                        "$TABLE has a garbled row: ${cells.joinToString(",").take(200)}"
                    )
                }
            }
            return found
        }

        /** The object `thresholds` of bundle.json; that of version 1 has only `shown`. */
        internal fun of(json: JSONObject): Thresholds {
            val shown = json.getDouble("shown")
            if (!json.has("kept_share") && !json.has("common_ancestor") && !json.has("unknown")) {
                return Thresholds(shown = shown)
            }
            val ancestor = json.getJSONObject("common_ancestor")
            val levels = ancestor.getJSONArray("rank_levels")
            return Thresholds(
                json.getDouble("kept_share"),
                shown,
                ancestor.getDouble("score"),
                ancestor.getInt("leaves"),
                ancestor.getDouble("share"),
                levels.getDouble(0),
                levels.getDouble(1),
                json.getDouble("unknown")
            )
        }
    }
}
