/** Frames of a camera smoothed, so that names do not flicker. */

/** An exponential moving average of probabilities. */
export class Smoother {
  #weight;
  #smoothed = null;

  /** @param {{halfLife: number}} options frames after which a frame counts half */
  constructor({ halfLife }) {
    this.#weight = 1 - 0.5 ** (1 / halfLife);
  }

  /**
   * Take in a frame; the first is answered as it is.
   *
   * @param {Float32Array} probabilities
   * @returns {Float32Array} an array of its own
   */
  add(probabilities) {
    this.#smoothed ??= Float64Array.from(probabilities);
    const smoothed = this.#smoothed;
    for (let at = 0; at < smoothed.length; at++) {
      smoothed[at] += this.#weight * (probabilities[at] - smoothed[at]);
    }
    return Float32Array.from(smoothed);
  }

  /** Forget all frames, as when the camera is switched. */
  reset() {
    this.#smoothed = null;
  }
}
