package org.taxonvision

import java.io.File
import java.io.IOException
import java.security.MessageDigest

/** Gives the bytes of a file of the bundle by its name, such as `names/de.json`. */
typealias ReadFile = (name: String) -> ByteArray

/**
 * The files of a bundle, each compared with SHA256SUMS whenever it is read.
 *
 * What SHA256SUMS does not list is not read at all.
 */
class BundleFiles(private val readFile: ReadFile) {
    private val sums: Map<String, String> = parseSums(String(readOrExplain(CHECKSUMS), Charsets.UTF_8))

    /** Names of all files that SHA256SUMS lists. */
    val names: Set<String> get() = sums.keys

    /** The bytes of a file; BundleException where it is missing, damaged or not listed. */
    fun read(name: String): ByteArray {
        val expected = sums[name] ?: throw BundleException("$name is not listed in $CHECKSUMS")
        val content = readOrExplain(name)
        if (sha256(content) != expected) {
            throw BundleException("$name is damaged: it differs from $CHECKSUMS")
        }
        return content
    }

    private fun readOrExplain(name: String): ByteArray =
        try {
            readFile(name)
        } catch (error: IOException) {
            throw BundleException("$name cannot be read: ${error.message}")
        }

    companion object {
        const val CHECKSUMS = "SHA256SUMS"

        /** The files of a bundle in a folder. */
        fun inFolder(folder: File): BundleFiles = BundleFiles { name -> File(folder, name).readBytes() }
    }
}

/** SHA-256 by name, from lines of digest, two blanks and name. */
private fun parseSums(text: String): Map<String, String> {
    val sums = HashMap<String, String>()
    for (line in text.split('\n')) {
        if (line == "") continue
        val digest = line.substringBefore("  ")
        val name = line.substringAfter("  ", "")
        // A name that leads out of the bundle: the files may come from a download.
        val isPlain = name.split('/').none { it == "" || it == "." || it == ".." } && '\\' !in name
        if (!isPlain || sums.put(name, digest) != null) {
            throw BundleException("${BundleFiles.CHECKSUMS} has an unusable line: $line")
        }
    }
    return sums
}

private fun sha256(content: ByteArray): String {
    val digest = MessageDigest.getInstance("SHA-256").digest(content)
    return digest.joinToString("") { byte -> "%02x".format(byte) }
}
