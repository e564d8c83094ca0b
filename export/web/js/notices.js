// Short news at the upper edge, and what a screen reader is told of the names.

import { byId, make } from "./elements.js";

const READ_MILLISECONDS = 6000;
const PAUSE_MILLISECONDS = 2500;

/**
 * Show a sentence for some seconds; with a button it stays until it is answered.
 *
 * @param {string} text
 * @param {{label: string, onClick: () => void}} [action]
 */
export function notice(text, action) {
  const shown = make("div", "notice", make("span", "", text));
  if (action) {
    const button = make("button", "", action.label);
    button.type = "button";
    button.addEventListener("click", () => (shown.remove(), action.onClick()));
    shown.append(button);
  } else {
    setTimeout(() => shown.remove(), READ_MILLISECONDS);
  }
  byId("notices").replaceChildren(shown);
}

/** Tells names to screen readers, not more often than they can be listened to. */
export class Announcer {
  #region = byId("announcer");
  #next = "";
  #timer = 0;

  /** @param {string} text the newest; what came in between is left out */
  say(text) {
    this.#next = text;
    if (!this.#timer) this.#speak();
  }

  #speak = () => {
    this.#timer = 0;
    if (!this.#next || this.#next === this.#region.textContent) return;
    this.#region.textContent = this.#next;
    this.#timer = setTimeout(this.#speak, PAUSE_MILLISECONDS);
  };
}
