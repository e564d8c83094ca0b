// What went wrong, in sentences that say what to do about it.

import { BundleError, EngineError, PhotographError } from "./errors.js";

/**
 * @typedef {object} Complaint
 * @property {string} code for tests and style: what it is about
 * @property {string} title
 * @property {string} advice
 * @property {boolean} retry whether trying again may help
 */

const CAMERA = {
  NotFoundError: ["No camera found", "Connect a camera and try again, or choose a photograph."],
  NotAllowedError: [
    "The camera is not allowed",
    "Tap the sign beside the address of this page, allow the camera there, and try again. A photograph can be chosen all the same.",
  ],
  NotReadableError: [
    "The camera is in use",
    "Another program or page holds it. Close that one and try again, or choose a photograph.",
  ],
  Insecure: [
    "No camera at this address",
    "Browsers give the camera only to addresses that begin with https:// and to localhost. Open this page at such a one, or choose a photograph.",
  ],
};
const ALIKE = {
  OverconstrainedError: "NotFoundError",
  DevicesNotFoundError: "NotFoundError",
  SecurityError: "NotAllowedError",
  PermissionDeniedError: "NotAllowedError",
  AbortError: "NotReadableError",
  TrackStartError: "NotReadableError",
};

/** A camera cannot be asked for, because the page came over an insecure connection. */
export class Insecure extends Error {
  name = "Insecure";
}

/**
 * Why there is no picture from the camera; photographs can still be chosen.
 *
 * @param {Error} error of getUserMedia, or `Insecure`
 * @returns {Complaint}
 */
export function cameraComplaint(error) {
  const code = ALIKE[error.name] ?? error.name;
  if (!(code in CAMERA)) {
    const advice = `The browser says: ${error.message || error.name}. Try again, or choose a photograph.`;
    return { code: "camera", title: "The camera does not start", advice, retry: true };
  }
  const [title, advice] = CAMERA[code];
  return { code, title, advice, retry: code !== "Insecure" };
}

/**
 * Why nothing can be named at all.
 *
 * @param {Error} error of `openBundle` or `loadRecognizer`
 * @returns {Complaint}
 */
export function modelComplaint(error) {
  if (error instanceof BundleError) {
    return {
      code: "BundleError",
      title: "The model cannot be used",
      advice: error.message,
      retry: true,
    };
  }
  if (error instanceof EngineError) {
    return {
      code: "EngineError",
      title: "This browser cannot run it",
      advice: error.message,
      retry: true,
    };
  }
  if (error instanceof RangeError) {
    const advice =
      "The browser has not enough memory for the model. Close other pages and try again.";
    return { code: "memory", title: "Too little memory", advice, retry: true };
  }
  const advice = `This should not happen: ${error.message || error.name}. Load the page again.`;
  return { code: "program", title: "Something broke", advice, retry: true };
}

/**
 * Why a photograph is not named.
 *
 * @param {Error} error of `photographOf` or of the recogniser
 * @returns {string} a sentence
 */
export function photographComplaint(error) {
  if (error instanceof RangeError) return "There is not enough memory for the photograph.";
  const isSentence = [PhotographError, EngineError, BundleError].some(
    (kind) => error instanceof kind,
  );
  return isSentence ? error.message : `The photograph cannot be looked at: ${error.message}.`;
}
