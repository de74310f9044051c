/**
 * A table whose rows stay what they are while their words change each second: a click or the
 * keyboard's place in one is not lost.
 */

import { make } from "../common/dom.js";
import { t } from "./i18n.js";

/** @import { TextKey } from "./i18n.js" */

/**
 * @typedef {object} Row
 * @property {string} key tells it from the others
 * @property {string[]} cells
 * @property {TextKey} [action] what its button says
 * @property {() => void} [run] what its button does
 */

export class Table {
  /** @type {Map<string, { row: HTMLTableRowElement, button: HTMLButtonElement | null, latest: Row }>} */
  #rows = new Map();
  #head = make("thead", {});
  #body = make("tbody", {});
  #heads;
  #none;

  /**
   * @param {TextKey[]} heads
   * @param {TextKey} none what it says when it is empty
   */
  constructor(heads, none) {
    this.#heads = heads;
    this.#none = make("td", { colspan: String(heads.length + 1), class: "empty" });
    this.#none.dataset.key = none;
    const table = make("table", { class: "tracks" }, this.#head, this.#body);
    this.element = make("div", { class: "scroll" }, table);
    this.translate();
  }

  translate() {
    const heads = this.#heads.map((key) => make("th", { scope: "col" }, t(key)));
    this.#head.replaceChildren(make("tr", {}, ...heads));
    this.#none.textContent = t(/** @type {TextKey} */ (this.#none.dataset.key));
  }

  /** @param {Row[]} rows in their order, which stays */
  show(rows) {
    const keys = new Set(rows.map((row) => row.key));
    for (const [key, { row }] of this.#rows) {
      if (keys.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    for (const wanted of rows) this.#fill(wanted);
    const empty = this.#none.parentElement;
    if (rows.length > 0) empty?.remove();
    else if (!empty?.isConnected) this.#body.append(make("tr", {}, this.#none));
  }

  /** @param {Row} wanted */
  #fill(wanted) {
    let known = this.#rows.get(wanted.key);
    if (!known) {
      const cells = wanted.cells.map(() => make("td", {}));
      const button = wanted.action ? make("button", { type: "button", class: "text-button" }) : null;
      const row = make("tr", {}, ...cells, make("td", {}, ...(button ? [button] : [])));
      const made = { row, button, latest: wanted };
      button?.addEventListener("click", () => made.latest.run?.());
      this.#rows.set(wanted.key, made);
      this.#body.append(row);
      known = made;
    }
    known.latest = wanted;
    wanted.cells.forEach((text, i) => setText(known.row.cells[i], text));
    if (known.button && wanted.action) setText(known.button, t(wanted.action));
  }
}

/** @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
