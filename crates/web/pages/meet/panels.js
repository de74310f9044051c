/**
 * The panels beside the stage: one at most is open.
 */

import { byId } from "../common/dom.js";

/** @typedef {"people" | "chat"} Panel */

const PANELS = /** @type {const} */ (["people", "chat"]);

export class Panels {
  /** @type {Panel | null} */
  #open = null;
  #onChange;

  /** @param {(open: Panel | null) => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    for (const panel of PANELS) byId(`${panel}-close`).addEventListener("click", () => this.close());
  }

  /** @param {Panel} panel */
  toggle(panel) {
    this.#set(this.#open === panel ? null : panel);
  }

  /** Closes what is open and gives the focus back to its button. */
  close() {
    const open = this.#open;
    if (!open) return;
    this.#set(null);
    byId(`${open}-toggle`).focus();
  }

  /** @param {Panel | null} open */
  #set(open) {
    this.#open = open;
    for (const panel of PANELS) {
      byId(`${panel}-panel`).hidden = panel !== open;
      byId(`${panel}-toggle`).setAttribute("aria-expanded", String(panel === open));
    }
    if (open === "people") byId("people-title").focus();
    this.#onChange(open);
  }
}
