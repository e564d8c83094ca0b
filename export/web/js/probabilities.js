/** What a model answers becomes probabilities. */

/**
 * Probabilities of the outputs. They add up to at most 1: what is missing is the share of "nothing
 * that I know".
 *
 * @param {Float32Array} output what the model answers, probabilities or logits
 * @param {{outputKind: string, unknownLogit: number|null}} bundle
 * @returns {Float32Array}
 */
export function probabilitiesOf(output, bundle) {
  return bundle.outputKind === "logits" ? softmax(output, bundle.unknownLogit) : output;
}

/**
 * The softmax; with `unknownLogit`, that of one class more, whose own share is left out.
 *
 * @param {Float32Array} logits
 * @param {number|null} unknownLogit
 * @returns {Float32Array}
 */
function softmax(logits, unknownLogit) {
  const unknown = unknownLogit ?? -Infinity;
  const highest = logits.reduce((a, b) => Math.max(a, b), unknown);
  const powers = Float64Array.from(logits, (logit) => Math.exp(logit - highest));
  const sum = powers.reduce((a, b) => a + b, Math.exp(unknown - highest));
  return Float32Array.from(powers, (power) => power / sum);
}
