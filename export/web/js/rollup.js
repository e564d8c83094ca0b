/** Scores of classes summed up the tree: what is the score of the genus, of the family? */

/**
 * The arithmetic of a tree over the outputs of a model.
 *
 * A node's score is the sum of the scores of all outputs at or below it; an output that sits on an
 * inner node adds its own score to its children's. All sums are added up in the same order as in
 * Python, so that equal scores are equal in both.
 */
export class RollUp {
  #order; // outputs in depth-first order: those below a node are one range
  #starts;
  #stops;

  /** @param {import('./taxonomy.js').Taxonomy} taxonomy */
  constructor(taxonomy) {
    this.taxonomy = taxonomy;
    const { nodes } = taxonomy;
    const order = [];
    this.#starts = new Int32Array(nodes.length);
    this.#stops = new Int32Array(nodes.length);
    nodes.forEach((node, index) => {
      this.#starts[index] = order.length;
      if (node.leaf >= 0) order.push(node.leaf);
      this.#stops[index] = order.length;
    });
    for (let index = nodes.length - 1; index > 0; index--) {
      const { parent } = nodes[index];
      if (parent >= 0) this.#stops[parent] = Math.max(this.#stops[parent], this.#stops[index]);
    }
    this.#order = Int32Array.from(order);
  }

  /**
   * The score of each node.
   *
   * @param {ArrayLike<number>} scores one an output
   * @returns {Float64Array}
   */
  nodeScores(scores) {
    const inOrder = Float64Array.from(this.#order, (leaf) => scores[leaf]);
    const found = new Float64Array(this.#starts.length);
    for (let node = 0; node < found.length; node++) {
      const start = this.#starts[node];
      found[node] = inOrder[start] + sumOf(inOrder, start + 1, this.#stops[node]);
    }
    return found;
  }

  /**
   * Greedy descent: from the best root to the best child and on, root first; of equal scores the
   * first in the table. It ends where an output that sits on an inner node outscores each child.
   *
   * @param {Float64Array} nodeScores
   * @param {ArrayLike<number>} scores one an output, those that the nodes' were summed up from
   * @returns {number[]} indices of nodes
   */
  bestBranch(nodeScores, scores) {
    const branch = [];
    let candidates = this.taxonomy.roots;
    while (candidates.length > 0) {
      const best = candidates.reduce((a, b) => (nodeScores[b] > nodeScores[a] ? b : a));
      if (branch.length > 0) {
        const { leaf } = this.taxonomy.nodes[branch.at(-1)];
        if (leaf >= 0 && scores[leaf] > nodeScores[best]) break;
      }
      branch.push(best);
      candidates = this.taxonomy.children[best];
    }
    return branch;
  }
}

/**
 * The sum of numbers, added up pairwise in the order of NumPy's `sum`.
 *
 * Pairwise sums also lose less to rounding (Higham 1993).
 *
 * @param {ArrayLike<number>} values
 * @param {number} [start]
 * @param {number} [stop] the first that is left out
 * @returns {number}
 */
export function sumOf(values, start = 0, stop = values.length) {
  const count = stop - start;
  if (count > 128) {
    const half = start + 8 * Math.floor(count / 16);
    return sumOf(values, start, half) + sumOf(values, half, stop);
  }
  let at = start;
  let sum = 0;
  if (count >= 8) {
    let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (; at + 8 <= stop; at += 8) {
      a += values[at];
      b += values[at + 1];
      c += values[at + 2];
      d += values[at + 3];
      e += values[at + 4];
      f += values[at + 5];
      g += values[at + 6];
      h += values[at + 7];
    }
    sum = a + b + (c + d) + (e + f + (g + h));
  }
  for (; at < stop; at++) sum += values[at];
  return sum;
}
