/**
 * From a photograph or a frame to what the model reads, as the contract of the bundle says.
 *
 * Photographs get exactly the filter of Python. Live frames are left to the browser's own, which
 * takes a fraction of the time.
 */

import { PhotographError } from "./errors.js";
import { SquareResizer } from "./resize.js";

export { PhotographError };

const MOST_BYTES = 2 ** 30;
const MOST_PIXELS = 200_000_000; // the largest sensors of phones; more is taken for a bomb
const BAND_PIXELS = 2 ** 20; // a whole photograph is more than a canvas on some phones can hold

/** Canvases and arrays are used again from frame to frame. */
const contexts = { frame: null, band: null };
let pixels = new Uint8ClampedArray(0);

/**
 * Decode a photograph: upright by its EXIF orientation, its colours as they are in the file.
 *
 * PhotographError where the bytes are no photograph. Call `close()` on what is answered.
 *
 * @param {Blob} blob a file, say
 * @returns {Promise<ImageBitmap>}
 */
export async function photographOf(blob) {
  if (blob.size > MOST_BYTES) throw new PhotographError("The photograph is larger than 1 GiB.");
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none", // as in training
    });
  } catch {
    throw new PhotographError(
      "This browser cannot read the photograph; choose a JPEG, PNG or WebP file.",
    );
  }
  if (bitmap.width * bitmap.height > MOST_PIXELS) {
    bitmap.close();
    throw new PhotographError("The photograph has more than 200 million pixels.");
  }
  return bitmap;
}

/**
 * The centre square as RGB, rows, columns and channels.
 *
 * The array is written anew by the next call; `Recognizer.score` has copied it by then.
 *
 * @param {HTMLVideoElement|ImageBitmap|HTMLImageElement|HTMLCanvasElement} source
 * @param {number} size of the model's input
 * @param {number} cropRatio the side of the square as a share of the shorter side
 * @returns {Uint8ClampedArray} size × size × 3
 */
export function pixelsOf(source, size, cropRatio) {
  const width = source.videoWidth ?? source.naturalWidth ?? source.width;
  const height = source.videoHeight ?? source.naturalHeight ?? source.height;
  if (!(width > 0 && height > 0)) throw new PhotographError("There is no picture yet.");
  const side = Math.max(1, roundHalfToEven(Math.min(width, height) * cropRatio));
  const left = Math.floor((width - side) / 2); // an odd rest is on the right and at the bottom
  const top = Math.floor((height - side) / 2);
  if (pixels.length !== size * size * 3) pixels = new Uint8ClampedArray(size * size * 3);
  const resize = "videoWidth" in source ? resizeFrame : resizePhotograph;
  resize(source, left, top, side, size);
  return pixels;
}

/** By the canvas; without a square of its own the filter would look beyond it. */
function resizeFrame(source, left, top, side, size) {
  const context = contextOf("frame", size, size);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, left, top, side, side, 0, 0, size, size);
  const rgba = context.getImageData(0, 0, size, size).data;
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    pixels[to++] = rgba[from];
    pixels[to++] = rgba[from + 1];
    pixels[to++] = rgba[from + 2];
  }
}

/** By the filter of Python, a band of rows at a time, laid over white. */
function resizePhotograph(source, left, top, side, size) {
  const rows = Math.max(1, Math.min(side, Math.floor(BAND_PIXELS / side)));
  const context = contextOf("band", side, rows);
  const resizer = new SquareResizer(side, size);
  for (let done = 0; done < side; done += rows) {
    const height = Math.min(rows, side - done);
    context.fillStyle = "white";
    context.fillRect(0, 0, side, height);
    context.drawImage(source, left, top + done, side, height, 0, 0, side, height);
    resizer.add(context.getImageData(0, 0, side, height).data);
  }
  resizer.finish(pixels);
}

/** The context of a canvas that is kept for reading, of these pixels. */
function contextOf(use, width, height) {
  let context = contexts[use];
  if (context === null) {
    const options = { willReadFrequently: true };
    context = new OffscreenCanvas(width, height).getContext("2d", options);
    contexts[use] = context;
  }
  if (context.canvas.width !== width || context.canvas.height !== height) {
    context.canvas.width = width;
    context.canvas.height = height;
  }
  return context;
}

function roundHalfToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}
