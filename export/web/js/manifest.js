/** bundle.json: what the model reads and answers, as far as a client needs it. */

import { BundleError } from "./errors.js";
import {
  flagOf,
  fractionOf,
  lineOf,
  listOf,
  numberOf,
  oneOf,
  parseObject,
  textOf,
  wholeOf,
} from "./texts.js";
import { TABLE, readThresholds } from "./thresholds.js";

export const MANIFEST = "bundle.json";

/** The newest format that is read here. */
const NEWEST_SCHEMA = 2;
const LARGEST_SIZE = 8192; // far beyond any network
const LARGE_LOGIT = 1e9;
const LANGUAGE = /^[A-Za-z][A-Za-z0-9_-]*$/; // becomes part of a file's name
const ROUNDING = 1e-6; // float32 probabilities may be a little above 1

/**
 * A photograph in the bundle with the scores that every client must find.
 *
 * @typedef {object} Golden
 * @property {string} file
 * @property {boolean} exact whether its pixels are the model's input as they are
 * @property {number} tolerance how far a score may differ, a fraction of 1
 * @property {{taxonId: number, score: number}[]} top shares of what all scores add up to
 * @property {number} known what they add up to
 * @property {string} license of the photograph
 * @property {string} attribution its line of credit, to be shown beside it
 */

/**
 * @typedef {object} Description
 * @property {Record<string, any>} manifest bundle.json as it is
 * @property {string} name what the model calls itself
 * @property {string} quantization the recipe: float32, float16, dynamic or int8
 * @property {number} size the input is size × size pixels
 * @property {number} cropRatio the side of the centre square as a share of the shorter side
 * @property {'uint8'|'float32'} inputType
 * @property {'probabilities'|'logits'} outputKind
 * @property {number|null} unknownLogit of logits: that of "nothing that I know"
 * @property {import('./thresholds.js').Thresholds} thresholds
 * @property {boolean} hasThresholdTable
 * @property {string[]} languages
 * @property {Golden[]} golden
 */

/**
 * Read the bytes of bundle.json; fields that are not known are passed over.
 *
 * @param {Uint8Array} bytes
 * @returns {Description}
 */
export function parseManifest(bytes) {
  const json = parseObject(bytes, MANIFEST);
  const version = wholeOf(json.schema_version, "schema_version");
  if (version < 1) throw new BundleError(`schema_version is ${version}, and the first was 1.`);
  if (version > NEWEST_SCHEMA) {
    throw new BundleError(
      `The bundle has the newer format ${version}, this page reads up to ${NEWEST_SCHEMA}: ` +
        "load the newest version of the page.",
    );
  }
  const isFirst = version === 1; // its models answer probabilities
  return {
    manifest: json,
    name: lineOf(json.name, "name"),
    quantization: textOf(json.quantization, "quantization"),
    size: sizeOf(json.contract?.size),
    cropRatio: cropRatioOf(json.contract?.crop_ratio),
    inputType: /** @type {any} */ (oneOf(json.input?.dtype, "input.dtype", ["uint8", "float32"])),
    outputKind: isFirst ? "probabilities" : kindOf(json.output?.kind),
    unknownLogit: isFirst ? null : unknownLogitOf(json.output?.unknown_logit),
    thresholds: readThresholds(json.thresholds),
    hasThresholdTable: hasThresholdTable(json.thresholds?.by_taxon),
    languages: listOf(json.languages, "languages").map(languageOf),
    golden: listOf(json.golden, "golden").map((entry) => goldenOf(entry, isFirst)),
  };
}

function sizeOf(value) {
  const size = wholeOf(value, "contract.size");
  if (size < 1 || size > LARGEST_SIZE) throw new BundleError(`contract.size is ${size}.`);
  return size;
}

function cropRatioOf(value) {
  const ratio = fractionOf(value, "contract.crop_ratio");
  if (ratio === 0) throw new BundleError("contract.crop_ratio is 0, which leaves no photograph.");
  return ratio;
}

function kindOf(value) {
  return /** @type {any} */ (oneOf(value, "output.kind", ["probabilities", "logits"]));
}

function unknownLogitOf(value) {
  if (value === null) return null;
  const logit = numberOf(value, "output.unknown_logit");
  if (Math.abs(logit) >= LARGE_LOGIT) throw new BundleError(`output.unknown_logit is ${logit}.`);
  return logit;
}

function hasThresholdTable(value) {
  return (value ?? null) !== null && oneOf(value, "thresholds.by_taxon", [TABLE]) === TABLE;
}

function languageOf(value) {
  const code = textOf(value, "a language");
  if (!LANGUAGE.test(code)) throw new BundleError("languages has an entry that is no code.");
  return code;
}

function goldenOf(entry, isFirst) {
  const top = listOf(entry?.top, "golden.top").map((best) => ({
    taxonId: wholeOf(best?.taxon_id, "golden.top.taxon_id"),
    score: fractionOf(best?.score, "golden.top.score", ROUNDING),
  }));
  if (top.length === 0) throw new BundleError("A golden photograph expects no taxon.");
  return {
    file: textOf(entry.file, "golden.file"),
    exact: flagOf(entry.exact, "golden.exact"),
    tolerance: fractionOf(entry.tolerance, "golden.tolerance"),
    top,
    known: isFirst ? 1 : fractionOf(entry.known, "golden.known", ROUNDING),
    license: textOf(entry.license, "golden.license"),
    attribution: textOf(entry.attribution, "golden.attribution"),
  };
}
