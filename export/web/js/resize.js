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
    const words = new Uint32Array(rgba.buffer, rgba.byteOffset, rgba.length / 4);
    let into = 3 * this.#size * top;
    for (let start = 0; start < words.length; start += this.#side) {
      resizeRow(words, start, this.#filter, this.#narrow, into);
      into += 3 * this.#size;
    }
  }

  /**
   * The square resized, once all rows are there.
   *
   * @param {Uint8ClampedArray} rgb rows, columns, channels: written to
   */
  finish(rgb) {
    resizeColumns(this.#narrow, 3 * this.#size, this.#filter, rgb);
  }
}

// Sums stay below 2 ** 30. `Math.imul` and `| 0` say so to the browser, which then counts faster.

/** Resize a row of RGBA pixels, each one word, that begins at `start`, to RGB bytes from `at`. */
function resizeRow(words, start, { first, ends, weights }, into, at) {
  for (let place = 0, i = 0; place < ends.length; place++, at += 3) {
    let red = HALF;
    let green = HALF;
    let blue = HALF;
    const end = ends[place];
    for (let from = start + first[place]; i < end; i++, from++) {
      const weight = weights[i];
      const pixel = words[from]; // red is the lowest byte
      red = (red + Math.imul(weight, pixel & 255)) | 0;
      green = (green + Math.imul(weight, (pixel >> 8) & 255)) | 0;
      blue = (blue + Math.imul(weight, (pixel >> 16) & 255)) | 0;
    }
    into[at] = red >> BITS; // above 255 it is clamped
    into[at + 1] = green >> BITS;
    into[at + 2] = blue >> BITS;
  }
}

/** Resize all columns of RGB bytes, whose rows are `row` bytes long. */
function resizeColumns(source, row, { first, ends, weights }, into) {
  for (let place = 0, begin = 0, at = 0; place < ends.length; begin = ends[place++]) {
    const end = ends[place];
    // Along the row, so that the few rows it is made of stay at hand.
    for (let top = first[place] * row, next = top + row; top < next; top += 3, at += 3) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      for (let i = begin, from = top; i < end; i++, from += row) {
        const weight = weights[i];
        red = (red + Math.imul(weight, source[from])) | 0;
        green = (green + Math.imul(weight, source[from + 1])) | 0;
        blue = (blue + Math.imul(weight, source[from + 2])) | 0;
      }
      into[at] = red >> BITS;
      into[at + 1] = green >> BITS;
      into[at + 2] = blue >> BITS;
    }
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
