// Making elements: all text goes through textContent, so that names are never HTML.

/** @param {string} id @returns {any} the element, of whatever kind index.html makes it */
export const byId = (id) => document.getElementById(id);

/**
 * @param {string} tag
 * @param {string} className
 * @param {...(Node|string)} content strings become text
 * @returns {any} an element of that tag
 */
export function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

/**
 * A taxon's name as it is shown in lists: the common name, and the scientific one in italics.
 *
 * @param {{name: string, taxonId: number}} taxon
 * @param {Map<number, string>} names
 * @param {string} language
 * @returns {HTMLElement}
 */
export function taxonName(taxon, names, language) {
  const scientific = make("i", "latin", taxon.name);
  scientific.lang = "la";
  const common = names.get(taxon.taxonId);
  if (!common) return make("span", "taxon", scientific);
  const name = make("b", "", common);
  name.lang = language;
  return make("span", "taxon", name, " ", scientific);
}
