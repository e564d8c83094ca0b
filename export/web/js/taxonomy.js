/** The tree of a bundle, checked: every parent exists, no taxon is its own ancestor. */

import { parseCsv } from "./csv.js";
import { BundleError } from "./errors.js";
import { lineOf, numberIn, wholeIn } from "./texts.js";

const TABLE = "taxonomy.csv";
const COLUMNS = ["parent_taxon_id", "taxon_id", "rank_level", "rank", "leaf_class_id", "name"];
const DEEPEST = 100; // ancestors; with every rank that iNaturalist has there are forty

/**
 * @typedef {object} TaxonNode
 * @property {number} taxonId what lasts from release to release
 * @property {number} parent index of the parent, -1 at a root
 * @property {string} rank
 * @property {number} rankLevel as iNaturalist counts: kingdom 70, family 30, genus 20, species 10
 * @property {string} name scientific name: text from elsewhere, never HTML
 * @property {number} leaf position in the model's output, -1 where it has none; also nodes with
 *     children may have one
 */

/** Taxa as nodes of a tree, depth first, each after its parent. */
export class Taxonomy {
  #indices;

  /** @param {TaxonNode[]} nodes */
  constructor(nodes) {
    this.nodes = nodes;
    this.#indices = new Map(nodes.map((node, index) => [node.taxonId, index]));
    /** Indices of the nodes without a parent, in the order of the table. @type {number[]} */
    this.roots = [];
    /** Indices of each node's children, in the order of the table. @type {number[][]} */
    this.children = nodes.map(() => []);
    nodes.forEach((node, index) => {
      (node.parent < 0 ? this.roots : this.children[node.parent]).push(index);
    });
    /** Index of the node of each output of the model. @type {number[]} */
    this.classes = [];
    nodes.forEach((node, index) => {
      if (node.leaf >= 0) this.classes[node.leaf] = index;
    });
  }

  /** Index of a taxon's node, -1 where the tree lacks it. @param {number} taxonId */
  indexOf(taxonId) {
    return this.#indices.get(taxonId) ?? -1;
  }

  /**
   * Indices of a node and its ancestors, root first.
   *
   * @param {number} index
   * @returns {number[]}
   */
  lineage(index) {
    const line = [];
    for (let at = index; at >= 0; at = this.nodes[at].parent) line.unshift(at);
    return line;
  }
}

/**
 * Read taxonomy.csv, whose rows may stand in any order.
 *
 * @param {string} text
 * @returns {Taxonomy}
 */
export function parseTaxonomy(text) {
  const rows = rowsOf(text);
  refuseGaps(rows);
  const taxonomy = new Taxonomy(inDepthFirstOrder(rows));
  taxonomy.nodes.forEach((node, index) => {
    const parent = taxonomy.nodes[node.parent];
    if (node.leaf < 0 && taxonomy.children[index].length === 0) {
      throw new BundleError(`${TABLE}: taxon ${node.taxonId} has no output and no taxa below it.`);
    }
    if (parent && node.rankLevel > parent.rankLevel) {
      throw new BundleError(`${TABLE}: the rank of taxon ${node.taxonId} is above its parent's.`);
    }
  });
  return taxonomy;
}

/** The rows of the table by taxon id, in their order; `parent` is a taxon id yet, or null. */
function rowsOf(text) {
  const [header, ...lines] = parseCsv(text, TABLE);
  const places = COLUMNS.map((column) => header?.indexOf(column) ?? -1);
  const missing = COLUMNS[places.indexOf(-1)];
  if (missing) throw new BundleError(`${TABLE} lacks the column ${missing}.`);
  const rows = new Map();
  for (const cells of lines) {
    if (cells.length !== header.length) {
      throw new BundleError(`${TABLE} has a row of another length.`);
    }
    const [parent, id, level, rank, leaf, name] = places.map((place) => cells[place]);
    const taxonId = wholeIn(id, `a taxon_id of ${TABLE}`);
    if (rows.has(taxonId)) throw new BundleError(`${TABLE} lists taxon ${taxonId} twice.`);
    const where = `of taxon ${taxonId} in ${TABLE}`;
    rows.set(taxonId, {
      taxonId,
      parent: parent === "" ? null : wholeIn(parent, `the parent ${where}`),
      rank: rank === "" ? "" : lineOf(rank, `the rank ${where}`),
      rankLevel: numberIn(level, `the rank_level ${where}`),
      name: lineOf(name, `the name ${where}`),
      leaf: leaf === "" ? -1 : leafOf(leaf, where),
    });
  }
  return rows;
}

function leafOf(cell, where) {
  const leaf = wholeIn(cell, `the leaf_class_id ${where}`);
  if (leaf < 0) throw new BundleError(`The leaf_class_id ${where} is below 0.`);
  return leaf;
}

/** The positions of the outputs have to count 0, 1, 2 ... */
function refuseGaps(rows) {
  const leaves = [...rows.values()].map((row) => row.leaf).filter((leaf) => leaf >= 0);
  if (leaves.length === 0) throw new BundleError(`${TABLE} has no output of the model.`);
  if (new Set(leaves).size < leaves.length || leaves.some((leaf) => leaf >= leaves.length)) {
    throw new BundleError(`${TABLE}: the leaf_class_ids do not count 0, 1, 2 ...`);
  }
}

/** Nodes after a walk from the roots, which a ring of taxa is never reached by. */
function inDepthFirstOrder(rows) {
  const children = new Map([[null, []]]);
  for (const row of rows.values()) {
    if (row.parent !== null && !rows.has(row.parent)) {
      throw new BundleError(`${TABLE} lacks the parent ${row.parent} of taxon ${row.taxonId}.`);
    }
    if (!children.has(row.parent)) children.set(row.parent, []);
    children.get(row.parent).push(row);
  }
  const nodes = [];
  const roots = children.get(null).reverse();
  const waiting = roots.map((row) => ({ row, parent: -1, depth: 0 }));
  while (waiting.length > 0) {
    const { row, parent, depth } = waiting.pop();
    if (depth >= DEEPEST) {
      throw new BundleError(`${TABLE}: taxon ${row.taxonId} has too many ancestors.`);
    }
    for (const child of (children.get(row.taxonId) ?? []).reverse()) {
      waiting.push({ row: child, parent: nodes.length, depth: depth + 1 });
    }
    nodes.push({ ...row, parent });
  }
  if (nodes.length < rows.size) {
    throw new BundleError(`${TABLE} has a taxon among its own ancestors.`);
  }
  return nodes;
}
