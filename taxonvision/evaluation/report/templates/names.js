"use strict";
// What the searches of all pages share.

const LETTERS = { ß: "ss", æ: "ae", œ: "oe", ø: "o", đ: "d", ł: "l", ı: "i" };

// A name without accents and capitals, as it is searched.
function folded(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase()
    .replace(/[ßæœøđłı]/g, (letter) => LETTERS[letter]).trim();
}

// How well a folded name fits: 0 the same, 1 begins so, 2 a word of it does, 3 it is within; -1 not at all.
function fit(name, query) {
  const at = name.indexOf(query);
  if (at < 0) return -1;
  return name === query ? 0 : at === 0 ? 1 : name[at - 1] === " " ? 2 : 3;
}

// As `number` and `percent` of the page's own text.
const number = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");

function percent(share) {
  let digits = 1;
  const text = () => (100 * share).toFixed(digits);
  while (share > 0 && share < 1 && digits < 4 && [0, 100].includes(Number(text()))) digits += 1;
  return `${text()}%`;
}

// An element with a class and children, which are elements or text.
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}
