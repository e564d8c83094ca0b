/**
 * From the probabilities of a photograph to what is said of it.
 *
 * The thresholds decide, each a field of the bundle's `thresholds`: `unknown`, `keptShare`, `shown`
 * or the taxon's own, and those of a common ancestor. BUNDLE.md tells the same step by step.
 */

import { sumOf } from "./rollup.js";

const SPECIES_LEVEL = 10;

/**
 * @typedef {object} Scored
 * @property {number} node index in the taxonomy
 * @property {number} score a fraction of 1
 *
 * @typedef {object} Decision
 * @property {boolean} known false where the photograph shows no organism that the model knows
 * @property {Scored[]} branch the best branch of the tree, root first, with rolled-up scores
 * @property {Scored|null} sure the finest taxon on the branch that may be named as sure
 * @property {Scored|null} commonAncestor where no species is sure: the finest taxon that the best
 *     classes share
 *
 * @typedef {import('./bundle.js').Bundle} Bundle
 * @typedef {import('./rollup.js').RollUp} RollUp
 * @typedef {Float32Array|Float64Array} Probabilities one an output of the model
 */

/**
 * What probabilities say.
 *
 * @param {Bundle} bundle
 * @param {RollUp} rollUp
 * @param {Probabilities} probabilities
 * @returns {Decision}
 */
export function decide(bundle, rollUp, probabilities) {
  const { thresholds, taxonomy } = bundle;
  const shares = kept(probabilities, thresholds.keptShare);
  const rolledUp = rollUp.nodeScores(shares);
  const branch = rollUp.bestBranch(rolledUp, shares).map((node) => ({
    node,
    score: Math.min(rolledUp[node], 1), // a sum of shares may be a hair above 1
  }));
  if (sumOf(probabilities) < thresholds.unknown) {
    return { known: false, branch, sure: null, commonAncestor: null };
  }
  const sure = branch.findLast(({ node, score }) => score > thresholdOf(bundle, node)) ?? null;
  const isSpecies = sure !== null && taxonomy.nodes[sure.node].rankLevel <= SPECIES_LEVEL;
  const commonAncestor = isSpecies ? null : ancestor(bundle, rollUp, probabilities);
  return { known: true, branch, sure, commonAncestor };
}

/**
 * What names the photograph: the finer of `sure` and `commonAncestor`; null is "not sure".
 *
 * @param {Bundle} bundle
 * @param {Decision} decision
 * @returns {Scored|null}
 */
export function nameOf(bundle, { sure, commonAncestor }) {
  if (!sure || !commonAncestor) return sure ?? commonAncestor;
  const level = ({ node }) => bundle.taxonomy.nodes[node].rankLevel;
  return level(commonAncestor) < level(sure) ? commonAncestor : sure;
}

/**
 * The best classes with the model's own scores, best first.
 *
 * @param {Bundle} bundle
 * @param {Probabilities} probabilities
 * @param {number} count
 * @returns {Scored[]}
 */
export function suggestions(bundle, probabilities, count) {
  return bestOutputs(probabilities, count).map((output) => ({
    node: bundle.classes[output],
    score: probabilities[output],
  }));
}

/** The score above which a node is named as sure. */
export function thresholdOf({ thresholds, taxonomy }, node) {
  return thresholds.byTaxon.get(taxonomy.nodes[node].taxonId) ?? thresholds.shown;
}

/** The probabilities that count beside the best one, divided by their sum; the others are 0. */
function kept(probabilities, share) {
  const cutoff = share * probabilities.reduce((a, b) => Math.max(a, b));
  return shares(Float64Array.from(probabilities, (value) => (value < cutoff ? 0 : value)));
}

/** Positions of the best outputs, best first; of equal ones the first comes first. */
function bestOutputs(probabilities, count) {
  const best = []; // by insertion: sorting 60,000 scores takes too long for a frame
  for (let output = 0; output < probabilities.length; output++) {
    if (best.length === count) {
      if (count === 0 || probabilities[output] <= probabilities[best[count - 1]]) continue;
      best.pop();
    }
    let place = best.length;
    while (place > 0 && probabilities[best[place - 1]] < probabilities[output]) place--;
    best.splice(place, 0, output);
  }
  return best;
}

/** The finest taxon that the best classes share; of equal levels that with the higher score. */
function ancestor({ thresholds, taxonomy }, rollUp, probabilities) {
  const { leaves, share, score, lowest, highest } = thresholds.ancestor;
  const best = bestOutputs(probabilities, leaves);
  const cutoff = share * probabilities[best[0]];
  const alone = new Float64Array(probabilities.length);
  for (const output of best) {
    if (probabilities[output] >= cutoff) alone[output] = probabilities[output];
  }
  const scores = rollUp.nodeScores(shares(alone));
  let found = -1;
  taxonomy.nodes.forEach(({ rankLevel }, node) => {
    if (!(scores[node] > score) || rankLevel < lowest || rankLevel > highest) return;
    const finer = found < 0 ? 1 : taxonomy.nodes[found].rankLevel - rankLevel;
    if (finer > 0 || (finer === 0 && scores[node] > scores[found])) found = node;
  });
  return found < 0 ? null : { node: found, score: scores[found] };
}

/** Divides values by their sum, in place; zeros stay what they are. */
function shares(values) {
  const sum = sumOf(values);
  if (sum > 0) for (let at = 0; at < values.length; at++) values[at] /= sum;
  return values;
}
