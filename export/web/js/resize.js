/**
 * Pillow's antialiased bilinear filter: the same pixels as in Python.
 *
 * A triangle, widened by the scale where it shrinks; rows first, then columns, rounded to bytes in
 * between; weights in fixed point. Source: Pillow, src/libImaging/Resample.c.
 */

const BITS = 22;
const HALF = 1 << (BITS - 1);

/** Shrinks or enlarges squares of one kind, whose rows come in bands. */
export class SquareResizer {
  #side;
  #size;
  #filter;
  #narrow; // all rows, each `size` wide

  /**
   * @param {number} side of the squares, in pixels
   * @param {number} size of the results
   */
  constructor(side, size) {
    this.#side = side;
    this.#size = size;
    this.#filter = filterOf(side, size);
    this.#narrow = new Uint8ClampedArray(side * size * 3);
  }

  /** Whether it is made for such squares. @param {number} side @param {number} size */
  isFor(side, size) {
    return this.#side === side && this.#size === size;
  }

  /**
   * Take in rows of a square.
   *
   * @param {Uint8ClampedArray} rgba
   * @param {number} top which row is the first
   */
  add(rgba, top) {
    let into = 3 * this.#size * top;
    for (let start = 0; start < rgba.length; start += 4 * this.#side) {
      resizeLine(rgba, start, 4, this.#filter, this.#narrow, into, 3);
      into += 3 * this.#size;
    }
  }

  /**
   * The square resized, once all rows are there.
   *
   * @param {Uint8ClampedArray} rgb rows, columns, channels: written to
   */
  finish(rgb) {
    const row = 3 * this.#size;
    for (let x = 0; x < row; x += 3) resizeLine(this.#narrow, x, row, this.#filter, rgb, x, row);
  }
}

/**
 * Resize one line of pixels, a row or a column.
 *
 * It begins at `start` in the source and at `at` in the result, where its pixels are `step` and
 * `stride` bytes apart.
 */
function resizeLine(source, start, step, { first, ends, weights }, into, at, stride) {
  for (let place = 0, i = 0; place < ends.length; place++, at += stride) {
    let red = HALF;
    let green = HALF;
    let blue = HALF;
    for (let from = start + first[place] * step; i < ends[place]; i++, from += step) {
      const weight = weights[i];
      red += weight * source[from];
      green += weight * source[from + 1];
      blue += weight * source[from + 2];
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
