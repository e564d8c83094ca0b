package org.taxonvision

/**
 * The rows of a table in RFC 4180's CSV: cells that hold a comma, a quote or a line break stand in
 * double quotes, and a quote inside is doubled.
 *
 * BundleException names the table (`source`) where a quote is out of place.
 */
internal fun parseCsv(text: String, source: String): List<List<String>> {
    val rows = ArrayList<List<String>>()
    var row = ArrayList<String>()
    val cell = StringBuilder()
    var at = 0

    fun endRow() {
        row.add(cell.toString())
        cell.setLength(0)
        if (row.size > 1 || row[0].isNotEmpty()) rows.add(row) // an empty line is no row
        row = ArrayList()
    }

    fun isCellEnd() = at == text.length || text[at] == ',' || text[at] == '\n' || text[at] == '\r'

    while (at < text.length) {
        when (text[at]) {
            '"' -> {
                if (cell.isNotEmpty()) throw BundleException("$source has a quote within a cell")
                at = readQuoted(text, at, cell, source)
                if (!isCellEnd()) throw BundleException("$source has text after a closing quote")
            }
            ',' -> {
                row.add(cell.toString())
                cell.setLength(0)
                at++
            }
            '\r', '\n' -> {
                endRow()
                at += if (text.startsWith("\r\n", at)) 2 else 1
            }
            else -> cell.append(text[at++])
        }
    }
    if (cell.isNotEmpty() || row.isNotEmpty()) endRow()
    return rows
}

/** Append the quoted cell that begins at `start` and return the place after its closing quote. */
private fun readQuoted(text: String, start: Int, cell: StringBuilder, source: String): Int {
    var at = start + 1
    while (at < text.length) {
        if (text[at] != '"') {
            cell.append(text[at++])
        } else if (text.startsWith("\"\"", at)) {
            cell.append('"')
            at += 2
        } else {
            return at + 1
        }
    }
    throw BundleException("$source ends within a quoted cell")
}
