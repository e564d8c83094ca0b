// What a person chose, kept in this browser. Where storage is forbidden it lasts until the page is left.

const PREFIX = "taxonvision.";
const unsaved = new Map();

/**
 * @param {string} key
 * @returns {string|null} what was kept under this key
 */
export function kept(key) {
  try {
    return localStorage.getItem(PREFIX + key) ?? unsaved.get(key) ?? null;
  } catch {
    return unsaved.get(key) ?? null;
  }
}

/**
 * @param {string} key
 * @param {string} value
 */
export function keep(key, value) {
  unsaved.set(key, value);
  try {
    localStorage.setItem(PREFIX + key, value);
  } catch {
    // Private windows and full discs: `unsaved` has it.
  }
}

/**
 * The language of the common names: the chosen one, else the first that the person reads.
 *
 * @param {string[]} languages those of the bundle
 * @param {string|null} chosen what was kept; "" asks for scientific names alone
 * @param {readonly string[]} read languages of the person, best first, as in `navigator.languages`
 * @returns {string} one of `languages`, or ""
 */
export function languageOf(languages, chosen, read) {
  if (chosen === "" || languages.includes(chosen)) return chosen;
  for (const wanted of read) {
    const found =
      languages.find((language) => same(language, wanted)) ??
      languages.find((language) => same(base(language), base(wanted)));
    if (found) return found;
  }
  return languages.includes("en") ? "en" : (languages[0] ?? "");
}

const base = (language) => language.split(/[-_]/)[0];
const same = (one, other) =>
  one.replace("_", "-").toLowerCase() === other.replace("_", "-").toLowerCase();
