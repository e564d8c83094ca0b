/**
 * From a photograph or a frame to what the model reads, as the contract of the bundle says.
 *
 * The filter is that of Python, to the last bit. A canvas has one of its own, which is several
 * levels off in fine patterns, and another one for video; it takes a few milliseconds less.
 */

import { PhotographError } from "./errors.js";
import { SquareResizer } from "./resize.js";

const MOST_BYTES = 2 ** 30;
const MOST_PIXELS = 200_000_000; // the largest sensors of phones; more is taken for a bomb
const HUGE_PIXELS = 50_000_000; // 200 MB decoded: not every phone has them
const BAND_PIXELS = 2 ** 20; // a whole photograph is more than a canvas on some phones can hold
const UNREADABLE = "This browser cannot read the photograph; choose a JPEG, PNG or WebP file.";

/** What is used again from frame to frame, so that frames leave nothing to collect. */
const context = new OffscreenCanvas(1, 1).getContext("2d", {
  willReadFrequently: true,
  alpha: false, // white is below all: reading need not undo any transparency
});
let resizer = new SquareResizer(1, 1);
let pixels = new Uint8ClampedArray(3);

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
  const pixels = await countPixels(blob);
  if (pixels > MOST_PIXELS) {
    throw new PhotographError("The photograph has more than 200 million pixels.");
  }
  try {
    return await createImageBitmap(blob, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none", // as in training
    });
  } catch {
    throw new PhotographError(
      pixels > HUGE_PIXELS
        ? "The photograph has more pixels than this device can hold; choose a smaller one."
        : UNREADABLE,
    );
  }
}

/** How many pixels a photograph has: browsers tell it before they decode a single one. */
async function countPixels(blob) {
  const image = new Image();
  const address = URL.createObjectURL(blob);
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new PhotographError(UNREADABLE));
      image.src = address;
    });
    return image.naturalWidth * image.naturalHeight;
  } finally {
    URL.revokeObjectURL(address);
  }
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
  const [width, height] = measure(source);
  if (!(width > 0 && height > 0)) throw new PhotographError("There is no picture yet.");
  const side = Math.max(1, roundHalfToEven(Math.min(width, height) * cropRatio));
  const left = Math.floor((width - side) / 2); // an odd rest is on the right and at the bottom
  const top = Math.floor((height - side) / 2);
  if (pixels.length !== size * size * 3) pixels = new Uint8ClampedArray(size * size * 3);
  if (!resizer.isFor(side, size)) resizer = new SquareResizer(side, size);
  const rows = Math.max(1, Math.min(side, Math.floor(BAND_PIXELS / side)));
  for (let done = 0; done < side; done += rows) {
    resizer.add(bandOf(source, left, top + done, side, Math.min(rows, side - done)), done);
  }
  resizer.finish(pixels);
  return pixels;
}

/** Rows of a picture laid over white, RGBA. */
function bandOf(source, left, top, width, height) {
  const { canvas } = context;
  if (canvas.width !== width || canvas.height < height) {
    canvas.width = width;
    canvas.height = height;
  }
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(source, left, top, width, height, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

/** Width and height of the picture itself, whatever the page shows it as. */
function measure(/** @type {any} */ source) {
  return [
    source.videoWidth ?? source.naturalWidth ?? source.width,
    source.videoHeight ?? source.naturalHeight ?? source.height,
  ];
}

function roundHalfToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}
