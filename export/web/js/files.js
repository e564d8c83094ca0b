/** The files of a bundle: none is used that SHA256SUMS does not vouch for. */

import { BundleError } from "./errors.js";
import { isPlain } from "./texts.js";

const CHECKSUMS = "SHA256SUMS";
const MIB = 2 ** 20;
const MOST_FILES = 2000;
const MOST_BYTES = 2 ** 31 - 1; // a flatbuffer cannot be larger

/** Bytes by file or folder; a million taxa stay below. */
const MOST_BYTES_OF = {
  [CHECKSUMS]: MIB,
  "bundle.json": MIB,
  "taxonomy.csv": 64 * MIB,
  "thresholds.csv": 32 * MIB,
  "names/": 32 * MIB,
  "golden/": 64 * MIB,
};

/**
 * @typedef {object} Progress
 * @property {string} file the file that is being read
 * @property {number} loaded bytes that are there
 * @property {number} total bytes of the whole file, 0 where the server does not tell
 */

export class BundleFiles {
  #base;
  #sums;
  #verify;
  #onProgress;

  /**
   * @param {URL} base the folder of the bundle, with a slash at its end
   * @param {Map<string, string>} sums
   * @param {boolean} verify
   * @param {(progress: Progress) => void} onProgress
   */
  constructor(base, sums, verify, onProgress) {
    this.#base = base;
    this.#sums = sums;
    this.#verify = verify;
    this.#onProgress = onProgress;
  }

  /**
   * Read SHA256SUMS.
   *
   * @param {URL} base
   * @param {boolean} verify whether each file is compared with it as it is read
   * @param {(progress: Progress) => void} onProgress
   */
  static async open(base, verify, onProgress) {
    if (verify && !globalThis.crypto?.subtle) {
      throw new BundleError(
        "The bundle cannot be verified: open this page over HTTPS or on localhost.",
      );
    }
    const bytes = await download(base, CHECKSUMS, onProgress);
    return new BundleFiles(base, parseSums(new TextDecoder().decode(bytes)), verify, onProgress);
  }

  /** Whether SHA256SUMS lists a file. @param {string} file */
  has(file) {
    return this.#sums.has(file);
  }

  /**
   * The bytes of a file, compared with SHA256SUMS.
   *
   * @param {string} file
   * @returns {Promise<Uint8Array>}
   */
  async bytes(file) {
    const expected = this.#sums.get(file);
    if (expected === undefined) throw new BundleError(`${file} is not listed in ${CHECKSUMS}.`);
    const bytes = await download(this.#base, file, this.#onProgress);
    if (this.#verify && (await sha256(bytes)) !== expected) {
      throw new BundleError(`${file} is damaged: it differs from ${CHECKSUMS}.`);
    }
    return bytes;
  }
}

/** SHA-256 by name, from lines of digest, two blanks and name. */
function parseSums(text) {
  const lines = text.replace(/\n$/, "").split("\n");
  if (lines.length > MOST_FILES) {
    throw new BundleError(`The bundle has more than ${MOST_FILES} files.`);
  }
  const sums = new Map();
  for (const line of lines) {
    const [, digest, name] = /^([0-9a-f]{64}) {2}(.+)$/.exec(line) ?? [];
    if (name === undefined || !isWithin(name) || sums.has(name)) {
      throw new BundleError(`${CHECKSUMS} has a line that cannot be used.`);
    }
    sums.set(name, digest);
  }
  return sums;
}

/** Whether a name leads to a file within the bundle. */
function isWithin(name) {
  return isPlain(name) && !/[\\:]/.test(name) && !/(^|\/)\.{0,2}(\/|$)/.test(name);
}

/** Read a file, and not one byte more than a bundle may have. */
async function download(base, file, onProgress) {
  const most =
    MOST_BYTES_OF[file] ?? MOST_BYTES_OF[file.slice(0, file.indexOf("/") + 1)] ?? MOST_BYTES;
  const url = new URL(file.split("/").map(encodeURIComponent).join("/"), base);
  try {
    const response = await fetch(url, { cache: "no-cache" }); // never half of an older bundle
    if (!response.ok)
      throw new BundleError(`${file} cannot be loaded: the server answers ${response.status}.`);
    const total = Number(response.headers.get("Content-Length"));
    const chunks = [];
    let loaded = 0;
    for (const reader = response.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      chunks.push(value);
      loaded += value.length;
      if (loaded > most || total > most) {
        await reader.cancel();
        throw new BundleError(
          `${file} has more than ${Math.floor(most / MIB)} MiB, which no bundle has.`,
        );
      }
      onProgress({ file, loaded, total: Math.max(total, loaded) });
    }
    return new Uint8Array(await new Blob(chunks).arrayBuffer());
  } catch (error) {
    if (error instanceof BundleError) throw error;
    throw new BundleError(`${file} cannot be loaded (${error.message}). Are you online?`);
  }
}

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
