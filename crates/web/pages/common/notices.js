/**
 * Messages across the top of the page: what is the matter, and what can be done. One per key; a
 * new one replaces the old.
 */

import { byId, icon, make } from "./dom.js";
import { t } from "./i18n.js";

/**
 * @typedef {object} Notice
 * @property {"info" | "good" | "warn" | "error"} kind
 * @property {string} text
 * @property {{ text: string, run: () => void }} [action]
 * @property {number} [forMs] goes away by itself
 * @property {boolean} [sticky] cannot be dismissed; goes when its cause does
 */

const ICONS = { info: "info", good: "check", warn: "warn", error: "warn" };

/** @type {Map<string, { element: HTMLElement, timer: ReturnType<typeof setTimeout> | undefined }>} */
const shown = new Map();

/**
 * @param {string} key
 * @param {Notice} notice
 */
export function showNotice(key, { kind, text, action, forMs, sticky = false }) {
  hideNotice(key);
  const element = make("div", { class: "notice", "data-kind": kind }, icon(ICONS[kind]), make("p", {}, text));
  if (kind === "error") element.setAttribute("role", "alert");
  if (action) {
    const button = make("button", { type: "button", class: "notice-action" }, action.text);
    button.addEventListener("click", () => {
      hideNotice(key);
      action.run();
    });
    element.append(button);
  }
  if (!sticky && !forMs) {
    const close = make("button", { type: "button", class: "notice-close", "aria-label": t("dismiss") }, icon("close"));
    close.addEventListener("click", () => hideNotice(key));
    element.append(close);
  }
  byId("notices").append(element);
  shown.set(key, { element, timer: forMs ? setTimeout(() => hideNotice(key), forMs) : undefined });
}

/** @param {string} key */
export function hideNotice(key) {
  const notice = shown.get(key);
  if (!notice) return;
  clearTimeout(notice.timer);
  notice.element.remove();
  shown.delete(key);
}

export function hideAllNotices() {
  for (const key of [...shown.keys()]) hideNotice(key);
}

/**
 * Tells screen readers something that others see by itself.
 *
 * @param {string} text
 */
export function announce(text) {
  byId("announcer").textContent = text;
}
