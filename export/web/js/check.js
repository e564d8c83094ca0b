/** The photographs in the bundle whose answers are known: does this device give them, too? */

import { BundleError, PhotographError } from "./errors.js";
import { photographOf, pixelsOf } from "./preprocess.js";
import { sumOf } from "./rollup.js";

const ROUNDING = 0.02; // of probabilities that were quantised

/**
 * @typedef {object} CheckResult
 * @property {string} file
 * @property {boolean} exact whether its pixels are the model's input as they are
 * @property {number} worst the largest difference of a score, NaN where there is no score
 * @property {number} tolerance
 * @property {boolean} passed
 */

/**
 * Run the model on the golden photographs.
 *
 * @param {import('./bundle.js').Bundle} bundle
 * @param {import('./recognizer.js').Recognizer} recognizer
 * @param {(result: CheckResult) => void} [onResult] told of each as it is there
 * @returns {Promise<{passed: boolean, results: CheckResult[]}>}
 */
export async function selfCheck(bundle, recognizer, onResult = () => {}) {
  const results = [];
  for (const golden of bundle.golden) {
    const worst = await worstOf(bundle, recognizer, golden);
    const { file, exact, tolerance } = golden;
    const result = { file, exact, worst, tolerance, passed: worst <= tolerance };
    results.push(result);
    onResult(result);
  }
  return { passed: results.every((result) => result.passed), results };
}

/** How far the scores of a golden photograph are from the expected ones; NaN where none are. */
async function worstOf(bundle, recognizer, golden) {
  const probabilities = await scoresOf(bundle, recognizer, golden);
  const known = sumOf(probabilities);
  if (!(known <= 1 + ROUNDING) || probabilities.some((value) => value < 0)) return NaN;
  const differences = golden.top.map(({ taxonId, score }) => {
    const leaf = bundle.taxonomy.nodes[bundle.taxonomy.indexOf(taxonId)]?.leaf ?? -1;
    if (leaf < 0)
      throw new BundleError(`${golden.file} expects taxon ${taxonId}, which is no class.`);
    return Math.abs(probabilities[leaf] / known - score);
  });
  return Math.max(Math.abs(known - golden.known), ...differences);
}

async function scoresOf(bundle, recognizer, golden) {
  const bytes = await bundle.bytes(golden.file);
  let photograph;
  try {
    photograph = await photographOf(new Blob([bytes]));
  } catch (error) {
    if (!(error instanceof PhotographError)) throw error;
    throw new BundleError(`${golden.file} is no photograph that this browser reads.`);
  }
  const cropRatio = golden.exact ? 1 : bundle.cropRatio; // those are cut already
  const pixels = pixelsOf(photograph, bundle.size, cropRatio);
  photograph.close();
  return recognizer.score(pixels);
}
