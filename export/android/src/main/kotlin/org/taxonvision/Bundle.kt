package org.taxonvision

import java.io.File
import org.json.JSONException

/**
 * An opened bundle; immutable, and so free to be used in any thread.
 *
 * @property files its files, compared with SHA256SUMS as they are read.
 * @property manifest what bundle.json says.
 * @property taxonomy the tree over the outputs of the model.
 */
class Bundle private constructor(
    val files: BundleFiles,
    val manifest: Manifest,
    val taxonomy: Taxonomy
) {
    /** The number of outputs of the model. */
    val classes: Int get() = taxonomy.leafRows.size

    /** The bytes of the TFLite model. */
    fun model(): ByteArray = files.read("model.tflite")

    /** The scientific name of each output, from labels.txt. */
    fun labels(): List<String> {
        val labels = String(files.read("labels.txt"), Charsets.UTF_8).removeSuffix("\n").split('\n')
        if (labels.size != classes) {
            throw BundleException("labels.txt has ${labels.size} names for $classes classes")
        }
        return labels
    }

    /**
     * Common names by taxon id in a language that `manifest.languages` lists; empty in any other.
     *
     * Names are text from elsewhere: show them as text and never as HTML.
     */
    fun names(language: String): Map<Long, String> {
        if (language !in manifest.languages) return emptyMap()
        val file = "names/$language.json"
        val json = parseObject(files.read(file), file)
        val names = HashMap<Long, String>(json.length() * 2)
        try {
            for (key in json.keys()) names[key.toLong()] = json.getString(key)
        } catch (error: JSONException) {
            throw BundleException("$file does not hold a name for each taxon id")
        } catch (error: NumberFormatException) {
            throw BundleException("$file has a key that is no taxon id")
        }
        return names
    }

    companion object {
        /** Open a bundle; BundleException says in one sentence why it cannot be used. */
        fun open(files: BundleFiles): Bundle =
            Bundle(files, manifest(files), Taxonomy.parse(files.read(Taxonomy.TABLE)))

        /** Open a bundle in a folder. */
        fun open(folder: File): Bundle = open(BundleFiles.inFolder(folder))

        /** Open a bundle from any place that gives the bytes of a file by its name. */
        fun open(readFile: ReadFile): Bundle = open(BundleFiles(readFile))

        /** What bundle.json says, with the thresholds by taxon where there is a table of them. */
        private fun manifest(files: BundleFiles): Manifest {
            val manifest = Manifest.parse(files.read(Manifest.FILE))
            if (!manifest.hasThresholdTable) return manifest
            val byTaxon = Thresholds.parseTable(files.read(Thresholds.TABLE))
            return manifest.copy(thresholds = manifest.thresholds.copy(byTaxon = byTaxon))
        }
    }
}
