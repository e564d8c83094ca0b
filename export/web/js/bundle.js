/** The bundle: what a device receives, read and checked before use. */

import { BundleError } from "./errors.js";
import { BundleFiles } from "./files.js";
import { MANIFEST, parseManifest } from "./manifest.js";
import { parseTaxonomy } from "./taxonomy.js";
import { decodeText, lineOf, parseObject, wholeIn } from "./texts.js";
import { TABLE, parseThresholds } from "./thresholds.js";

/** An opened bundle. */
export class Bundle {
  #files;

  /**
   * @param {BundleFiles} files
   * @param {import('./manifest.js').Description} description
   * @param {import('./taxonomy.js').Taxonomy} taxonomy
   */
  constructor(files, description, taxonomy) {
    this.#files = files;
    this.manifest = description.manifest;
    this.name = description.name;
    this.quantization = description.quantization;
    this.size = description.size;
    this.cropRatio = description.cropRatio;
    this.inputType = description.inputType;
    this.outputKind = description.outputKind;
    this.unknownLogit = description.unknownLogit;
    this.thresholds = description.thresholds;
    this.languages = description.languages;
    this.golden = description.golden;
    this.taxonomy = taxonomy;
    /** Index of the taxonomy's node of each output of the model. */
    this.classes = taxonomy.classes;
  }

  /**
   * The bytes of a file, compared with SHA256SUMS.
   *
   * @param {string} file such as `model.tflite`
   * @returns {Promise<Uint8Array>}
   */
  bytes(file) {
    return this.#files.bytes(file);
  }

  /**
   * Common names by taxon id; empty in a language that `languages` does not list.
   *
   * Names are text from elsewhere: show them as text and never as HTML.
   *
   * @param {string} language
   * @returns {Promise<Map<number, string>>}
   */
  async names(language) {
    if (!this.languages.includes(language)) return new Map();
    const file = `names/${language}.json`;
    const entries = Object.entries(parseObject(await this.bytes(file), file));
    return new Map(
      entries.map(([taxonId, name]) => [
        wholeIn(taxonId, `a taxon id of ${file}`),
        lineOf(name, `a name in ${file}`),
      ]),
    );
  }
}

/**
 * Open a bundle; BundleError says in a sentence why it cannot be used.
 *
 * The model, names and golden photographs are read when they are asked for.
 *
 * @param {URL|string} base the folder of the bundle, relative to the page
 * @param {object} [options]
 * @param {boolean} [options.verify] compare each file with SHA256SUMS as it is read
 * @param {(progress: import('./files.js').Progress) => void} [options.onProgress] told of what is
 *     read, also later
 * @returns {Promise<Bundle>}
 */
export async function openBundle(base, { verify = true, onProgress = () => {} } = {}) {
  const folder = new URL(base, globalThis.location?.href);
  if (!folder.pathname.endsWith("/")) folder.pathname += "/";
  const files = await BundleFiles.open(folder, verify, onProgress);
  for (const file of [MANIFEST, "taxonomy.csv", "model.tflite"]) {
    if (!files.has(file)) throw new BundleError(`The bundle has no ${file}.`);
  }
  const description = parseManifest(await files.bytes(MANIFEST));
  const taxonomy = parseTaxonomy(decodeText(await files.bytes("taxonomy.csv"), "taxonomy.csv"));
  if (description.hasThresholdTable) {
    description.thresholds.byTaxon = parseThresholds(decodeText(await files.bytes(TABLE), TABLE));
  }
  for (const file of [
    ...description.languages.map((language) => `names/${language}.json`),
    ...description.golden.map((golden) => golden.file),
  ]) {
    if (!files.has(file)) {
      throw new BundleError(`The bundle has no ${file}, which ${MANIFEST} names.`);
    }
  }
  return new Bundle(files, description, taxonomy);
}
