/**
 * Texts of a bundle, read no more leniently than readers in other languages do.
 *
 * Whatever does not fit is a BundleError: a bundle from elsewhere may be made to harm.
 */

import { BundleError } from "./errors.js";

// Control characters, and those that reorder what is read.
const CONTROLS = /[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;
const WHOLE = /^(0|-?[1-9][0-9]*)$/;
const NUMBER = /^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$/;

/**
 * The text in a file's bytes.
 *
 * @param {Uint8Array} bytes
 * @param {string} file
 * @returns {string}
 */
export function decodeText(bytes, file) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new BundleError(`${file} is not UTF-8.`);
  }
}

/**
 * The object in a JSON file; of two fields of one name readers would take either, so none may be.
 *
 * @param {Uint8Array} bytes
 * @param {string} file
 * @returns {Record<string, any>}
 */
export function parseObject(bytes, file) {
  const text = decodeText(bytes, file);
  let fields = -1; // the whole value is shown to `count` as a field, too
  function count(_, value) {
    if (!Array.isArray(this)) fields++;
    return value;
  }
  let value;
  try {
    value = JSON.parse(text, count);
  } catch (error) {
    const reason = error instanceof RangeError ? "it is nested too deeply" : error.message;
    throw new BundleError(`${file} is no JSON: ${reason}.`);
  }
  if (!isObject(value)) throw new BundleError(`${file} holds no object.`);
  const strings = text.replace(/\\./g, "").match(/"[^"]*"\s*:?/g) ?? [];
  if (strings.filter((string) => string.endsWith(":")).length !== fields) {
    throw new BundleError(`${file} has two fields of one name.`);
  }
  return value;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A whole number; those above 2^53 would lose their last digits here.
 *
 * @param {unknown} value
 * @param {string} what names the value in the sentence of the error
 * @returns {number}
 */
export function wholeOf(value, what) {
  if (!Number.isSafeInteger(value)) throw garbled(value, what, "whole number below 2^53");
  return /** @type {number} */ (value);
}

/** The whole number that a cell or key holds. @param {string} cell @param {string} what */
export function wholeIn(cell, what) {
  return wholeOf(WHOLE.test(cell) ? Number(cell) : cell, what);
}

/**
 * A finite number.
 *
 * @param {unknown} value
 * @param {string} what
 * @returns {number}
 */
export function numberOf(value, what) {
  if (!Number.isFinite(value)) throw garbled(value, what, "number");
  return /** @type {number} */ (value);
}

/** The number that a cell holds. @param {string} cell @param {string} what */
export function numberIn(cell, what) {
  return numberOf(NUMBER.test(cell) ? Number(cell) : cell, what);
}

/**
 * A fraction of 1; `slack` is how far rounding may have put it above 1.
 *
 * @param {unknown} value
 * @param {string} what
 * @param {number} [slack]
 * @returns {number}
 */
export function fractionOf(value, what, slack = 0) {
  const number = numberOf(value, what);
  if (!(number >= 0 && number <= 1 + slack)) throw garbled(value, what, "fraction of 1");
  return number;
}

/**
 * @param {unknown} value
 * @param {string} what
 * @returns {string}
 */
export function textOf(value, what) {
  if (typeof value !== "string") throw garbled(value, what, "text");
  return value;
}

/**
 * One line of plain text, such as a name; it comes from elsewhere: show it as text, never as HTML.
 *
 * @param {unknown} value
 * @param {string} what
 * @returns {string}
 */
export function lineOf(value, what) {
  const line = textOf(value, what).trim();
  if (line === "" || CONTROLS.test(line)) throw garbled(value, what, "line of plain text");
  return line;
}

/**
 * @param {unknown} value
 * @param {string} what
 * @returns {boolean}
 */
export function flagOf(value, what) {
  if (typeof value !== "boolean") throw garbled(value, what, "true or false");
  return value;
}

/**
 * @param {unknown} value
 * @param {string} what
 * @returns {any[]}
 */
export function listOf(value, what) {
  if (!Array.isArray(value)) throw garbled(value, what, "list");
  return value;
}

/**
 * One of the values that are known.
 *
 * @param {unknown} value
 * @param {string} what
 * @param {string[]} known
 * @returns {string}
 */
export function oneOf(value, what, known) {
  if (!known.includes(/** @type {string} */ (value)))
    throw garbled(value, what, known.join(" or "));
  return /** @type {string} */ (value);
}

/** Whether a text has no control characters. @param {string} text */
export function isPlain(text) {
  return !CONTROLS.test(text);
}

function garbled(value, what, expected) {
  const found = value === undefined ? "missing" : `${shown(value)}, which is no ${expected}`;
  return new BundleError(`${what} is ${found}.`);
}

function shown(value) {
  const text = isObject(value) ? "an object" : Array.isArray(value) ? "a list" : String(value);
  return text.replace(new RegExp(CONTROLS, "g"), " ").slice(0, 80) || "empty";
}
