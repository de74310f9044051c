/** The customer's side: choose a skill group, wait, talk. */

import { byId, icon, make } from "../common/dom.js";
import { t } from "./i18n.js";
import { Rows } from "./rows.js";

/** @import { Group } from "../../sdk/calls/types.js" */
/** @import { Phone } from "./phone.js" */

export class Customer {
  #phone;
  #rows;

  /** @param {Phone} phone */
  constructor(phone) {
    this.#phone = phone;
    byId("groups").replaceChildren();
    this.#rows = new Rows(byId("groups"), (/** @type {Group} */ group) => group.id, (group) => this.#row(group));
  }

  show() {
    const { call, role } = this.#phone.state;
    byId("call-us").hidden = role !== "customer" || call !== null;
    this.#rows.show(this.#phone.groups);
    byId("no-groups").hidden = this.#phone.groups.length > 0;
  }

  /** @param {Group} group */
  #row(group) {
    const name = make("b", {});
    const audio = this.#button(group, "audio", "phone");
    const video = this.#button(group, "video", "cam");
    return {
      element: make("li", { class: "group" }, name, audio, video),
      show: (/** @type {Group} */ { name: words, id }) => {
        name.textContent = words || id;
        caption(audio, t("callAudio"), t("callGroupAudio", { group: words || id }));
        caption(video, t("callVideo"), t("callGroupVideo", { group: words || id }));
      },
    };
  }

  /** @param {Group} group @param {"audio" | "video"} media @param {string} picture */
  #button({ id }, media, picture) {
    const button = make("button", { type: "button", class: media === "video" ? "primary small" : "secondary small" }, icon(picture), make("span", {}));
    button.addEventListener("click", () => {
      const { calls } = this.#phone;
      void this.#phone.enter(() => calls.createCall({ type: "queue", group: id }, { media }));
    });
    return button;
  }
}

/** @param {HTMLButtonElement} button @param {string} text @param {string} label */
function caption(button, text, label) {
  const words = button.querySelector("span");
  if (words) words.textContent = text;
  button.setAttribute("aria-label", label);
}
