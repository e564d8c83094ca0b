/** LiteRT.js, in the variant that is fastest in this page, and the threads it has for models. */

const MOST_THREADS = 4; // more do not help: phones have no more fast cores
const PATIENCE = 60_000; // milliseconds to fetch LiteRT.js and start the threads

/** LiteRT.js, loaded. */
export class Engine {
  #threads;

  /** Use `loadEngine`. */
  constructor(litert, threads) {
    this.litert = litert;
    this.#threads = threads;
  }

  /**
   * Make a model ready to run. The first gets all threads, until it is deleted, and others run in
   * one: a model would wait for ever for a thread that another one has.
   *
   * @param {Uint8Array} content of the .tflite file
   * @returns {Promise<{model: object, release: () => void}>} `release` deletes the model
   */
  async compile(content) {
    const numThreads = this.#threads;
    this.#threads = 1;
    const giveBack = () => {
      if (numThreads > 1) this.#threads = numThreads;
    };
    try {
      const options = { accelerator: "wasm", cpuOptions: { numThreads } };
      const model = await this.litert.loadAndCompile(content, options);
      const release = () => {
        model.delete();
        giveBack();
      };
      return { model, release };
    } catch (error) {
      giveBack();
      throw error;
    }
  }
}

/**
 * Load LiteRT.js with several threads if the page may have them, else for one.
 *
 * @param {URL} folder of LiteRT.js
 * @returns {Promise<Engine>}
 */
export async function loadEngine(folder) {
  const module = new URL("index.js", folder);
  const wasm = new URL("wasm/", folder).href;
  const threads = threadsHere();
  if (threads > 1) {
    try {
      return await loadThreaded(module.href, wasm, threads);
    } catch {
      module.hash = "one-thread"; // a module of its own: the other one may still be loading
    }
  }
  const litert = await import(module.href);
  await litert.loadLiteRt(wasm);
  return new Engine(litert, 1);
}

/** Threads share memory, which only a page may have that is isolated from other origins. */
function threadsHere() {
  return globalThis.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, MOST_THREADS) : 1;
}

async function loadThreaded(module, wasm, threads) {
  const litert = await import(module);
  await inTime(startWorker());
  // LiteRT.js starts a worker for each core that it sees, and would have most of them idle.
  Object.defineProperty(navigator, "hardwareConcurrency", { value: threads, configurable: true });
  try {
    await inTime(litert.loadLiteRt(wasm, { threads: true }));
  } finally {
    delete navigator.hardwareConcurrency;
  }
  return new Engine(litert, threads);
}

/**
 * Try whether workers start: LiteRT.js would wait for ever for those that do not, as on a host
 * that isolates its pages and sends scripts without those headers.
 */
async function startWorker() {
  const worker = new Worker(new URL("worker.js", import.meta.url));
  try {
    await new Promise((resolve, reject) => {
      worker.onmessage = resolve;
      worker.onerror = reject;
    });
  } finally {
    worker.terminate();
  }
}

async function inTime(work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(reject, PATIENCE, new Error("Threads do not start."));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
