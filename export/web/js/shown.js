// From a decision to what is shown of it: pure functions, without the page.

import { nameOf } from "./answer.js";

/** @typedef {import("./taxonomy.js").Taxonomy} Taxonomy */

/** Verdicts that are no taxon; all others are the index of a node of the tree. */
export const NOT_SURE = -1;
export const NOTHING_KNOWN = -2;

const SPECIES = 10;
/** @type {[string, number][]} */
const MAIN_RANKS = [
  ["kingdom", 70],
  ["phylum", 60],
  ["class", 50],
  ["order", 40],
  ["family", 30],
  ["genus", 20],
  ["species", 10],
];

/**
 * What one decision says, as a number, so that one frame is easily compared with the next.
 *
 * @param {import("./bundle.js").Bundle} bundle
 * @param {import("./answer.js").Decision} decision
 * @returns {number} a node's index, `NOT_SURE` or `NOTHING_KNOWN`
 */
export function verdictOf(bundle, decision) {
  if (!decision.known) return NOTHING_KNOWN;
  return nameOf(bundle, decision)?.node ?? NOT_SURE;
}

/**
 * @typedef {object} Dot a main rank that the tree has
 * @property {string} rank
 * @property {number} level
 */

/**
 * The dots of a tree: its main ranks from kingdom to species.
 *
 * @param {Taxonomy} taxonomy
 * @returns {Dot[]}
 */
export function dotsOf(taxonomy) {
  const levels = new Set(taxonomy.nodes.map((node) => node.rankLevel));
  return MAIN_RANKS.filter(([, level]) => levels.has(level)).map(([rank, level]) => ({
    rank,
    level,
  }));
}

/**
 * @typedef {object} Shown
 * @property {"nothing"|"looking"|"climbing"|"sure"} kind climbing: a taxon, but not the finest
 * @property {number|null} taxonId
 * @property {string} title what is read from a distance
 * @property {string} scientific the scientific name where the title is a common name, else ""
 * @property {boolean} latin whether the title is a scientific name
 * @property {string} rank
 * @property {number} lit how many dots are lit
 * @property {string} hint what may help, or ""
 * @property {string} spoken the same for a screen reader
 */

/**
 * @param {number} verdict of `verdictOf`
 * @param {Taxonomy} taxonomy
 * @param {Dot[]} dots of `dotsOf`
 * @param {Map<number, string>} names common names by taxon id
 * @param {boolean} live whether the camera may still see more
 * @returns {Shown}
 */
export function shownOf(verdict, taxonomy, dots, names, live) {
  if (verdict === NOTHING_KNOWN) {
    const hint = live ? "Try another side of it, or come closer." : "What follows is guessed.";
    return without("nothing", "Nothing I know", hint);
  }
  if (verdict === NOT_SURE) {
    return live
      ? without("looking", "Looking", "Point at a living thing, and come closer.")
      : without("looking", "Not sure", "What follows is guessed.");
  }
  const taxon = taxonomy.nodes[verdict];
  const common = names.get(taxon.taxonId) ?? "";
  const finest = taxon.rankLevel <= SPECIES || taxonomy.children[verdict].length === 0;
  return {
    kind: finest ? "sure" : "climbing",
    taxonId: taxon.taxonId,
    title: common || taxon.name,
    scientific: common ? taxon.name : "",
    latin: !common,
    rank: taxon.rank,
    lit: dots.filter((dot) => dot.level >= taxon.rankLevel).length,
    hint: finest || !live ? "" : "Come closer for more.",
    spoken: `sure of ${taxon.rank} ${taxon.name}${common && `, ${common}`}`,
  };
}

function without(kind, title, hint) {
  return {
    kind,
    taxonId: null,
    title,
    scientific: "",
    latin: false,
    rank: "",
    lit: 0,
    hint,
    spoken: kind === "nothing" ? "nothing I know" : "not sure yet",
  };
}

/**
 * @param {number} score a fraction of 1
 * @returns {string} whole percents, and one decimal below ten
 */
export function percent(score) {
  const hundredths = score * 100;
  if (hundredths > 0 && hundredths < 0.1) return "< 0.1 %";
  return `${hundredths.toFixed(hundredths < 9.95 && hundredths > 0 ? 1 : 0)} %`;
}
