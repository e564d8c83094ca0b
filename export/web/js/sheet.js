// What lies below the plate: the answer to a picture that stands still, and the settings.

import { byId, make, taxonName } from "./elements.js";
import { percent } from "./shown.js";

/**
 * @typedef {object} Answer what is known of one picture
 * @property {import("./answer.js").Decision} decision
 * @property {import("./answer.js").Scored[]} guesses best first
 * @property {number} verdict of `verdictOf`
 */

export class Sheet {
  #sheet = byId("sheet");
  #answer = byId("answer");
  #ancestor = byId("ancestor");
  #guesses = byId("guesses");
  #branch = byId("branch");
  #button = byId("open-menu");
  #watcher = null;

  /** Called when a phone's own gesture or button for "back" closes the sheet. */
  onBack = () => {};

  get open() {
    return !this.#sheet.hidden;
  }

  /** @param {boolean} withAnswer else the settings alone */
  show(withAnswer) {
    this.#answer.hidden = !withAnswer;
    this.#sheet.hidden = false;
    this.#sheet.scrollTop = 0;
    this.#watchBack();
    this.#button.setAttribute("aria-expanded", String(!withAnswer));
    document.documentElement.dataset.sheet = withAnswer ? "answer" : "menu";
  }

  hide() {
    this.#watcher?.destroy();
    this.#watcher = null;
    this.#sheet.hidden = true;
    this.#button.setAttribute("aria-expanded", "false");
    delete document.documentElement.dataset.sheet;
  }

  /** Without this, "back" would leave the page; browsers that lack it do so. */
  #watchBack() {
    if (this.#watcher || !globalThis.CloseWatcher) return;
    this.#watcher = new globalThis.CloseWatcher();
    this.#watcher.onclose = () => this.onBack();
  }

  /**
   * @param {Answer} answer
   * @param {import("./taxonomy.js").Taxonomy} taxonomy
   * @param {Map<number, string>} names
   * @param {string} language of the names
   */
  fill({ decision, guesses, verdict }, taxonomy, names, language) {
    const nameOf = (node) => taxonName(taxonomy.nodes[node], names, language);
    this.#guesses.replaceChildren(...guesses.map(({ node, score }) => guess(nameOf(node), score)));
    this.#branch.replaceChildren(
      ...decision.branch.map(({ node, score }) =>
        step(nameOf(node), taxonomy.nodes[node].rank, score, isAbove(node, verdict, taxonomy)),
      ),
    );
    this.#sayAncestor(decision.commonAncestor, taxonomy, nameOf);
  }

  #sayAncestor(found, taxonomy, nameOf) {
    this.#ancestor.hidden = !found;
    if (!found) return;
    const { rank } = taxonomy.nodes[found.node];
    this.#ancestor.replaceChildren(
      `No species is sure. What the best guesses have in common: ${rank} `,
      nameOf(found.node),
      `, ${percent(found.score)}.`,
    );
  }
}

function guess(name, score) {
  const item = make("li", "guess", name, make("span", "score", percent(score)));
  item.dataset.score = score;
  const bar = make("span", "bar");
  bar.style.setProperty("--share", score);
  item.append(bar);
  return item;
}

function step(name, rank, score, sure) {
  const item = make("li", sure ? "step sure" : "step", make("span", "rank", rank), name);
  item.append(make("span", "score", percent(score)));
  return item;
}

function isAbove(node, verdict, taxonomy) {
  return verdict >= 0 && taxonomy.lineage(verdict).includes(node);
}
