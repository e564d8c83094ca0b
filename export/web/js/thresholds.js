/** What it takes to name a taxon. */

import { parseCsv } from "./csv.js";
import { BundleError } from "./errors.js";
import { fractionOf, numberIn, numberOf, wholeIn, wholeOf } from "./texts.js";

export const TABLE = "thresholds.csv";

/**
 * Scores and shares are fractions of 1.
 *
 * @typedef {object} Thresholds
 * @property {number} keptShare leaves below this share of the best leaf's score are dropped
 * @property {number} shown a taxon whose rolled-up score is above this is named as sure
 * @property {number} unknown where all scores together are below this, nothing is known
 * @property {object} ancestor what a common ancestor has to have
 * @property {number} ancestor.score a score above this
 * @property {number} ancestor.leaves it is sought among so many of the best leaves
 * @property {number} ancestor.share of these, leaves below this share of the best do not count
 * @property {number} ancestor.lowest the lowest rank level
 * @property {number} ancestor.highest the highest rank level
 * @property {Map<number, number>} byTaxon by taxon ids, other thresholds than `shown`
 */

/**
 * The object `thresholds` of bundle.json; that of version 1 has only `shown`.
 *
 * @param {any} json
 * @returns {Thresholds}
 */
export function readThresholds(json) {
  const shown = fractionOf(json?.shown, "thresholds.shown");
  const byTaxon = new Map();
  if (!("kept_share" in json || "common_ancestor" in json || "unknown" in json)) {
    const ancestor = { score: 0.78, leaves: 15, share: 0.01, lowest: 20, highest: 33 };
    return { keptShare: 0.001, shown, unknown: 0, ancestor, byTaxon };
  }
  const found = json.common_ancestor;
  const where = "thresholds.common_ancestor";
  const ancestor = {
    score: fractionOf(found?.score, `${where}.score`),
    leaves: wholeOf(found?.leaves, `${where}.leaves`),
    share: fractionOf(found?.share, `${where}.share`),
    lowest: numberOf(found?.rank_levels?.[0], `${where}.rank_levels`),
    highest: numberOf(found?.rank_levels?.[1], `${where}.rank_levels`),
  };
  if (ancestor.leaves < 1) throw new BundleError(`${where} is sought among no leaves.`);
  if (ancestor.lowest > ancestor.highest) {
    throw new BundleError(`${where}.rank_levels are no range.`);
  }
  return {
    keptShare: fractionOf(json.kept_share, "thresholds.kept_share"),
    shown,
    unknown: fractionOf(json.unknown, "thresholds.unknown"),
    ancestor,
    byTaxon,
  };
}

/**
 * Thresholds by taxon id, from thresholds.csv.
 *
 * @param {string} text
 * @returns {Map<number, number>}
 */
export function parseThresholds(text) {
  const [header, ...rows] = parseCsv(text, TABLE);
  if (header?.join() !== "taxon_id,threshold") {
    throw new BundleError(`${TABLE} has other columns than taxon_id and threshold.`);
  }
  const found = new Map();
  for (const cells of rows) {
    const taxonId = wholeIn(cells[0], `a taxon_id of ${TABLE}`);
    // Of two thresholds of a taxon, either could be meant.
    if (cells.length !== 2 || found.has(taxonId)) {
      throw new BundleError(`${TABLE} has a garbled row of taxon ${taxonId}.`);
    }
    const where = `the threshold of taxon ${taxonId}`;
    found.set(taxonId, fractionOf(numberIn(cells[1], where), where));
  }
  return found;
}
