/** Runs the model of a bundle by LiteRT.js, on the CPU. */

import { loadEngine } from "./engine.js";
import { BundleError, EngineError } from "./errors.js";
import { probabilitiesOf } from "./probabilities.js";

// (module (func (result v128) i32.const 0 i8x16.splat i8x16.popcnt)): all of SIMD is there or none.
const SIMD = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15,
  253, 98, 11,
];

/** The engine is a megabyte of code and many of memory: it is loaded once. */
let engine = null;

/** Runs the model of a bundle on prepared pixels. */
export class Recognizer {
  #bundle;
  #litert;
  #model;
  #release;
  #floats;

  /** Use `loadRecognizer`. */
  constructor(bundle, litert, { model, release }) {
    this.#bundle = bundle;
    this.#litert = litert;
    this.#model = model;
    this.#release = release;
    this.#floats = bundle.inputType === "float32" ? new Float32Array(3 * bundle.size ** 2) : null;
  }

  /**
   * The probabilities of all classes. The pixels are copied before the first wait.
   *
   * @param {Uint8ClampedArray} rgb what `pixelsOf` answers
   * @returns {Promise<Float32Array>}
   */
  async score(rgb) {
    const output = await inOneSentence(() => this.#run(rgb));
    if (!output.every(Number.isFinite))
      throw new BundleError("The model answers what is no number.");
    return probabilitiesOf(output, this.#bundle);
  }

  /** Free the memory of the model and its threads; it cannot be run again. */
  close() {
    this.#release();
  }

  async #run(rgb) {
    const { size } = this.#bundle;
    this.#floats?.set(rgb);
    const input = this.#floats ?? new Uint8Array(rgb.buffer, rgb.byteOffset, rgb.length);
    // The memory of tensors is not the browser's: they have to be deleted, come what may.
    const photograph = new this.#litert.Tensor(input, [1, size, size, 3]);
    try {
      const [answer] = await this.#model.run([photograph]);
      const output = answer.toTypedArray().slice();
      answer.delete();
      return output;
    } finally {
      photograph.delete();
    }
  }
}

/**
 * Load LiteRT.js and the model. BundleError for a model that does not fit the bundle; EngineError
 * where it cannot be run here.
 *
 * @param {import('./bundle.js').Bundle} bundle
 * @param {object} [options]
 * @param {string|URL} [options.vendor] the folder of LiteRT.js, relative to this module
 * @returns {Promise<Recognizer>}
 */
export async function loadRecognizer(bundle, { vendor = "../vendor/litert/" } = {}) {
  if (!globalThis.WebAssembly?.validate(Uint8Array.from(SIMD))) {
    throw new EngineError(
      "This browser has no WebAssembly SIMD, which the model needs: update it.",
    );
  }
  engine ??= loadEngine(new URL(vendor, import.meta.url));
  const loaded = await engine.catch((error) => {
    engine = null; // the network may be back at the next try
    throw new EngineError(`LiteRT.js cannot be loaded (${error.message}). Are you online?`);
  });
  const content = await bundle.bytes("model.tflite");
  const compiled = await inOneSentence(() => loaded.compile(content));
  if (!fits(bundle, compiled.model)) {
    compiled.release();
    throw new BundleError("model.tflite does not fit bundle.json and taxonomy.csv.");
  }
  return new Recognizer(bundle, loaded.litert, compiled);
}

/** Whether the model reads and answers what the bundle says. */
function fits(bundle, model) {
  const [input, ...inputs] = model.getInputDetails();
  const [output, ...outputs] = model.getOutputDetails();
  return (
    inputs.length + outputs.length === 0 &&
    input.dtype === bundle.inputType &&
    Array.from(input.shape).join() === [1, bundle.size, bundle.size, 3].join() &&
    output.dtype === "float32" &&
    Array.from(output.shape).join() === [1, bundle.classes.length].join()
  );
}

async function inOneSentence(work) {
  try {
    return await work();
  } catch (error) {
    const reason = String(error?.message ?? error);
    const isMemory = error instanceof RangeError || /memory|OOM/i.test(reason);
    throw new EngineError(
      isMemory
        ? "There is not enough memory for the model: close other pages."
        : `The model cannot be run in this browser: ${reason.slice(0, 200)}.`,
    );
  }
}
