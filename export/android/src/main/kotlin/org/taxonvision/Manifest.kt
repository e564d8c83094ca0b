package org.taxonvision

import org.json.JSONException
import org.json.JSONObject

/**
 * What a golden photograph's best taxa score, and how far a client may be off.
 *
 * @property isExact whether its pixels are the model's input as they are.
 * @property top scores of taxa, as shares of what all probabilities add up to.
 * @property known what they add up to.
 */
data class Golden(
    val file: String,
    val isExact: Boolean,
    val tolerance: Double,
    val top: Map<Long, Double>,
    val known: Double
)

/**
 * What bundle.json says, as far as a phone needs it; fields that are not known are passed over.
 *
 * @property readsFloats whether the input's values are floats from 0 to 255 instead of bytes.
 * @property answersLogits whether a softmax makes probabilities of the output.
 * @property unknownLogit that of "nothing that I know", one class more in the softmax; null where
 *     the model always knows something.
 * @property thresholds with those by taxon, once the bundle is open.
 * @property hasThresholdTable whether the bundle has a table of thresholds by taxon.
 */
data class Manifest(
    val schemaVersion: Int,
    val name: String,
    val version: String,
    val contract: Contract,
    val readsFloats: Boolean,
    val answersLogits: Boolean,
    val unknownLogit: Double?,
    val thresholds: Thresholds,
    val hasThresholdTable: Boolean,
    val languages: List<String>,
    val golden: List<Golden>
) {
    companion object {
        const val FILE = "bundle.json"

        /** The newest format that this library reads. */
        const val NEWEST_SCHEMA = 2

        /** BundleException for a newer format, and for one that lacks or garbles a field. */
        fun parse(content: ByteArray): Manifest {
            val json = parseObject(content, FILE)
            val schema = json.opt("schema_version") as? Int
                ?: throw BundleException("$FILE has no schema_version")
            if (schema < 1) throw BundleException("$FILE has no schema_version")
            if (schema > NEWEST_SCHEMA) {
                throw BundleException(
                    "the bundle has the newer format $schema, this library reads up to " +
                        "$NEWEST_SCHEMA: update the library"
                )
            }
            return try {
                read(json, schema)
            } catch (error: JSONException) {
                throw BundleException("$FILE lacks or garbles a field: ${error.message}")
            } catch (error: IllegalArgumentException) {
                throw BundleException("$FILE garbles a field: ${error.message}")
            }
        }

        private fun read(json: JSONObject, schema: Int): Manifest {
            val contract = json.getJSONObject("contract")
            val output = json.getJSONObject("output")
            return Manifest(
                schema,
                json.getString("name"),
                json.getString("version"),
                Contract(contract.getInt("size"), contract.getDouble("crop_ratio")),
                oneOf(json.getJSONObject("input").getString("dtype"), "uint8", "float32") == "float32",
                oneOf(output.getString("kind"), "probabilities", "logits") == "logits",
                if (output.isNull("unknown_logit")) null else output.getDouble("unknown_logit"),
                Thresholds.of(json.getJSONObject("thresholds")),
                hasThresholdTable(json.getJSONObject("thresholds")),
                json.getJSONArray("languages").let { codes -> List(codes.length(), codes::getString) },
                json.getJSONArray("golden").let { entries ->
                    List(entries.length()) { golden(entries.getJSONObject(it), schema) }
                }
            )
        }

        private fun hasThresholdTable(thresholds: JSONObject): Boolean {
            if (thresholds.isNull("by_taxon")) return false
            oneOf(thresholds.getString("by_taxon"), Thresholds.TABLE)
            return true
        }

        private fun golden(entry: JSONObject, schema: Int): Golden {
            val top = LinkedHashMap<Long, Double>()
            val best = entry.getJSONArray("top")
            for (place in 0 until best.length()) {
                val expected = best.getJSONObject(place)
                top[expected.getLong("taxon_id")] = expected.getDouble("score")
            }
            return Golden(
                entry.getString("file"),
                entry.getBoolean("exact"),
                entry.getDouble("tolerance"),
                top,
                if (schema == 1) 1.0 else entry.getDouble("known")
            )
        }

        private fun oneOf(value: String, vararg known: String): String {
            require(value in known) { "$value is none of ${known.joinToString()}" }
            return value
        }
    }
}

/** The JSON object in a file's bytes. */
internal fun parseObject(content: ByteArray, source: String): JSONObject =
    try {
        JSONObject(String(content, Charsets.UTF_8))
    } catch (error: JSONException) {
        throw BundleException("$source is no JSON: ${error.message.toString().take(200)}")
    } catch (error: StackOverflowError) { // brackets a mile deep
        throw BundleException("$source is nested too deeply")
    }
