// The plate below the picture: dots, name, hint. Only what changes is written.

import { byId, make } from "./elements.js";

const LONG = 19; // letters that still fit one line of the large size on a narrow phone
const VERY_LONG = 30;

export class Plate {
  #root = document.documentElement;
  #ranks = byId("ranks");
  #rank = byId("rank");
  #name = byId("name");
  #scientific = byId("scientific");
  #hint = byId("hint");
  #progress = byId("progress");
  #actions = byId("actions");
  #retry = byId("retry");

  constructor() {
    this.#scientific.lang = "la";
  }

  /** @param {{rank: string}[]} dots */
  setDots(dots) {
    this.#ranks.replaceChildren(...dots.map(() => make("li", "")));
  }

  /**
   * @param {import("./shown.js").Shown} shown
   * @param {string} language of the common names
   */
  show(shown, language) {
    this.#root.dataset.answer = shown.kind;
    this.#name.dataset.taxonId = String(shown.taxonId ?? "");
    this.#title(shown.title, shown.latin, shown.latin ? "la" : shown.taxonId ? language : "en");
    this.#scientific.textContent = shown.scientific;
    this.#rank.textContent = shown.rank;
    this.#hint.textContent = shown.hint;
    this.#progress.hidden = this.#actions.hidden = true;
    this.#light(shown.lit);
    this.#ranks.setAttribute("aria-label", shown.spoken);
  }

  /**
   * @param {string} what is waited for
   * @param {number} [share] of it that is done, where that is known
   */
  wait(what, share) {
    this.#clear();
    this.#title("One moment", false, "en");
    this.#hint.textContent = what;
    this.#progress.hidden = share === undefined;
    this.#progress.value = share ?? 0;
    this.#actions.hidden = true;
  }

  /**
   * @param {import("./complaints.js").Complaint} complaint
   * @param {boolean} photographs whether one can be chosen
   */
  complain(complaint, photographs) {
    this.#clear();
    this.#root.dataset.error = complaint.code;
    this.#title(complaint.title, false, "en");
    this.#hint.textContent = complaint.advice;
    this.#progress.hidden = true;
    this.#actions.hidden = false;
    this.#actions.firstElementChild.hidden = !photographs;
    this.#retry.hidden = !complaint.retry;
  }

  /** No taxon is shown. */
  #clear() {
    this.#root.dataset.answer = "none";
    this.#name.dataset.taxonId = "";
    this.#scientific.textContent = this.#rank.textContent = "";
    this.#ranks.setAttribute("aria-label", "nothing is named");
    this.#light(0);
  }

  #title(text, latin, language) {
    this.#name.textContent = text;
    this.#name.lang = language;
    this.#name.classList.toggle("latin", latin);
    this.#name.dataset.length =
      text.length > VERY_LONG ? "very-long" : text.length > LONG ? "long" : "short";
  }

  #light(count) {
    for (const [index, dot] of [...this.#ranks.children].entries()) {
      dot.className = index < count ? (index === count - 1 ? "lit last" : "lit") : "";
    }
  }
}
