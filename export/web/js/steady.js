// A name that changes at every frame cannot be read.

/** So many frames in a row have to agree before the name changes: about an eighth of a second. */
export const FRAMES = 4;

/** Keeps what is shown until something else has been seen for some frames in a row. */
export class Steady {
  #frames;
  #shown;
  #next;
  #seen = 0;

  /**
   * @param {number} shown what is shown at first
   * @param {number} [frames]
   */
  constructor(shown, frames = FRAMES) {
    this.#frames = frames;
    this.reset(shown);
  }

  /**
   * @param {number} value what the newest frame says
   * @returns {number} what to show
   */
  add(value) {
    if (value !== this.#next) {
      this.#next = value;
      this.#seen = 0;
    }
    this.#seen += 1;
    if (this.#seen >= this.#frames) this.#shown = value;
    return this.#shown;
  }

  /** @param {number} shown what is shown from now on */
  reset(shown) {
    this.#shown = this.#next = shown;
    this.#seen = 0;
  }
}
