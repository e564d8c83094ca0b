package org.taxonvision

/**
 * One row of taxonomy.csv.
 *
 * @property id what lasts from release to release; a position in the output does not.
 * @property parentId null at a root.
 * @property rankLevel as iNaturalist counts: kingdom 70, order 40, family 30, genus 20, species 10.
 * @property name scientific name: text from elsewhere, to be shown as text and never as HTML.
 */
data class Taxon(
    val id: Long,
    val parentId: Long?,
    val rankLevel: Double,
    val rank: String,
    val name: String
)

/**
 * The tree of a bundle, checked: every parent exists, no taxon is its own ancestor.
 *
 * Rows are named by their place in the table, counted from 0.
 *
 * @property taxa the rows in the order of the table.
 * @property leafRows row of each output of the model; such a row may have children.
 */
class Taxonomy(val taxa: List<Taxon>, val leafRows: IntArray) {
    /** Row of each row's parent, -1 at a root. */
    val parents: IntArray

    /** Rows of each row's children, in the order of the table. */
    val children: Array<IntArray>

    /** The rows without a parent. */
    val roots: IntArray

    /** All rows depth first, each after its parent. */
    val downwards: IntArray

    private val rowOf = HashMap<Long, Int>()

    init {
        for ((row, taxon) in taxa.withIndex()) {
            if (rowOf.put(taxon.id, row) != null) {
                throw BundleException("$TABLE lists taxon ${taxon.id} twice")
            }
        }
        parents = IntArray(taxa.size) { row -> rowOfParent(taxa[row]) }
        roots = parents.indices.filter { parents[it] == -1 }.toIntArray()
        val lists = List(taxa.size) { ArrayList<Int>() }
        for (row in taxa.indices) if (parents[row] >= 0) lists[parents[row]].add(row)
        children = Array(taxa.size) { row -> lists[row].toIntArray() }
        downwards = rowsBelowRoots()
    }

    /** The row of a taxon, null where the tree lacks it. */
    fun rowOf(taxonId: Long): Int? = rowOf[taxonId]

    /** The taxon of an output of the model. */
    fun leaf(position: Int): Taxon = taxa[leafRows[position]]

    private fun rowOfParent(taxon: Taxon): Int {
        if (taxon.parentId == null) return -1
        return rowOf[taxon.parentId]
            ?: throw BundleException("$TABLE lacks the parent ${taxon.parentId} of taxon ${taxon.id}")
    }

    private fun rowsBelowRoots(): IntArray {
        val order = IntArray(taxa.size)
        var filled = 0
        val waiting = ArrayList<Int>()
        for (root in roots.reversedArray()) waiting.add(root)
        while (waiting.isNotEmpty()) {
            val row = waiting.removeAt(waiting.size - 1)
            order[filled++] = row
            for (child in children[row].reversedArray()) waiting.add(child)
        }
        if (filled < taxa.size) throw BundleException("$TABLE has a taxon among its own ancestors")
        return order
    }

    companion object {
        const val TABLE = "taxonomy.csv"

        /** Read the bytes of taxonomy.csv; columns are found by their names. */
        fun parse(content: ByteArray): Taxonomy {
            val rows = parseCsv(String(content, Charsets.UTF_8), TABLE)
            val header = rows.firstOrNull() ?: throw BundleException("$TABLE is empty")
            val columns = Columns(header)
            val taxa = ArrayList<Taxon>(rows.size)
            val rowOfLeaf = HashMap<Int, Int>()
            for (cells in rows.drop(1)) {
                if (cells.size != header.size) throw columns.garbled(cells)
                columns.leaf(cells)?.let { leaf ->
                    if (rowOfLeaf.put(leaf, taxa.size) != null) throw columns.garbled(cells)
                }
                taxa.add(columns.taxon(cells))
            }
            val leafRows = IntArray(rowOfLeaf.size) { leaf ->
                rowOfLeaf[leaf]
                    ?: throw BundleException("$TABLE: the leaf_class_ids do not count 0, 1, 2 ...")
            }
            return Taxonomy(taxa, leafRows)
        }
    }
}

/** Where the columns of taxonomy.csv stand. */
private class Columns(private val header: List<String>) {
    private val parent = place("parent_taxon_id")
    private val id = place("taxon_id")
    private val level = place("rank_level")
    private val rank = place("rank")
    private val leafClass = place("leaf_class_id")
    private val name = place("name")

    fun taxon(cells: List<String>): Taxon {
        val levelFound = cells[level].toDoubleOrNull()?.takeIf { Math.abs(it) < MAX_LEVEL }
        return Taxon(
            cells[id].toLongOrNull() ?: throw garbled(cells),
            if (cells[parent] == "") null else cells[parent].toLongOrNull() ?: throw garbled(cells),
            levelFound ?: throw garbled(cells),
            cells[rank],
            cells[name].trim().ifEmpty { throw garbled(cells) }
        )
    }

    /** The position of a row's output, null where it has none. */
    fun leaf(cells: List<String>): Int? =
        if (cells[leafClass] == "") null else cells[leafClass].toIntOrNull() ?: throw garbled(cells)

    fun garbled(cells: List<String>) =
        BundleException("${Taxonomy.TABLE} has a garbled row: ${cells.joinToString(",").take(200)}")

    private fun place(column: String): Int {
        val place = header.indexOf(column)
        if (place < 0) throw BundleException("${Taxonomy.TABLE} has no column $column")
        return place
    }

    private companion object {
        const val MAX_LEVEL = 1e9 // NaN and infinity are not below it
    }
}
