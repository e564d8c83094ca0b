/**
 * Pillow's antialiased bilinear filter: the same pixels as in Python.
 *
 * A triangle, widened by the scale where it shrinks; rows first, then columns, rounded to bytes in
 * between; weights in fixed point. Source: Pillow, src/libImaging/Resample.c.
 */

const BITS = 22;
const HALF = 1 << (BITS - 1);

/** Shrinks or enlarges a square whose rows come from top to bottom, a band at a time. */
export class SquareResizer {
  #side;
  #size;
  #filter;
  #narrow; // all rows, each `size` wide
  #filled = 0;

  /**
   * @param {number} side of the square, in pixels
   * @param {number} size of the result
   */
  constructor(side, size) {
    this.#side = side;
    this.#size = size;
    this.#filter = filterOf(side, size);
    this.#narrow = new Uint8ClampedArray(side * size * 3);
  }

  /**
   * The next rows of the square.
   *
   * @param {Uint8ClampedArray} rgba
   */
  add(rgba) {
    const [side, size, narrow] = [this.#side, this.#size, this.#narrow];
    for (let start = 0; start < rgba.length; start += 4 * side) {
      const into = 3 * size * this.#filled++;
      for (let x = 0; x < size; x++) this.#pixel(rgba, start, 4, x, narrow, into + 3 * x);
    }
  }

  /**
   * The whole square resized.
   *
   * @param {Uint8ClampedArray} rgb rows, columns, channels: written to
   */
  finish(rgb) {
    const size = this.#size;
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        this.#pixel(this.#narrow, 3 * x, 3 * size, y, rgb, 3 * (y * size + x));
      }
    }
  }

  /** Pixel `place` of a line that begins at `start` and whose pixels are `step` bytes apart. */
  #pixel(source, start, step, place, into, at) {
    const { first, ends, weights } = this.#filter;
    let [red, green, blue] = [HALF, HALF, HALF];
    let from = start + first[place] * step;
    for (let i = place === 0 ? 0 : ends[place - 1]; i < ends[place]; i++) {
      const weight = weights[i];
      red += weight * source[from];
      green += weight * source[from + 1];
      blue += weight * source[from + 2];
      from += step;
    }
    into[at] = red >> BITS; // above 255 it is clamped
    into[at + 1] = green >> BITS;
    into[at + 2] = blue >> BITS;
  }
}

/**
 * The weights that make each of `outputs` pixels of a line of `inputs` pixels, one after another;
 * those of pixel i begin at input `first[i]` and end before `weights[ends[i]]`.
 */
function filterOf(inputs, outputs) {
  const scale = inputs / outputs;
  const support = Math.max(scale, 1);
  const first = new Int32Array(outputs);
  const ends = new Int32Array(outputs);
  const weights = [];
  for (let output = 0; output < outputs; output++) {
    const centre = (output + 0.5) * scale;
    const from = Math.max(0, Math.trunc(centre - support + 0.5));
    const until = Math.min(inputs, Math.trunc(centre + support + 0.5));
    const exact = [];
    for (let i = from; i < until; i++) {
      exact.push(Math.max(0, 1 - Math.abs((i - centre + 0.5) * (1 / support))));
    }
    const sum = exact.reduce((a, b) => a + b);
    weights.push(...exact.map((weight) => Math.trunc(0.5 + (weight / sum) * 2 ** BITS)));
    first[output] = from;
    ends[output] = weights.length;
  }
  return { first, ends, weights: Int32Array.from(weights) };
}
