/** Tables in RFC 4180's CSV. */

import { BundleError } from "./errors.js";

const LONGEST_CELL = 131_072;

/**
 * The rows of a table: cells that hold a comma, a quote or a line break stand in double quotes, and
 * a quote inside is doubled. An empty line is no row.
 *
 * @param {string} text
 * @param {string} file named where a quote is out of place
 * @returns {string[][]}
 */
export function parseCsv(text, file) {
  const rows = [];
  let row = [];
  let at = 0;
  while (at < text.length) {
    const [cell, end] = text[at] === '"' ? quoted(text, at, file) : plain(text, at, file);
    if (cell.length > LONGEST_CELL) throw new BundleError(`${file} has an endless cell.`);
    row.push(cell);
    at = end + 1;
    if (text[end] === "," && at < text.length) continue;
    if (text[end] === ",") row.push(""); // the table ends with an empty cell
    if (text[end] === "\r" && text[at] === "\n") at++;
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
  }
  return rows;
}

/** The cell that begins at `start`, and the place after it. */
function plain(text, start, file) {
  let end = start;
  while (end < text.length && !",\r\n".includes(text[end])) end++;
  const cell = text.slice(start, end);
  if (cell.includes('"')) throw new BundleError(`${file} has a quote within a cell.`);
  return [cell, end];
}

function quoted(text, start, file) {
  let end = start;
  do {
    end = text.indexOf('"', end + 1);
    if (end < 0) throw new BundleError(`${file} ends within a quoted cell.`);
  } while (text[end + 1] === '"' && end++ > 0);
  const cell = text.slice(start + 1, end).replaceAll('""', '"');
  if (end + 1 < text.length && !",\r\n".includes(text[end + 1])) {
    throw new BundleError(`${file} has text after a closing quote.`);
  }
  return [cell, end + 1];
}
