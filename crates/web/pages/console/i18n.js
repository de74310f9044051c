/**
 * Console's words in the language that is switched on the page; which one that is, it shares with
 * Meet.
 */

import { currentLanguage, onLanguage } from "../meet/i18n.js";
import { en } from "./text-en.js";
import { zh } from "./text-zh.js";

/** @typedef {keyof typeof en} TextKey */

const TEXTS = { en, zh };

/**
 * A text, with `{name}` replaced by `values.name`.
 *
 * @param {TextKey} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const text = TEXTS[currentLanguage()][key];
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** Whether there is a text of this name. @param {string} key @returns {key is TextKey} */
export function isText(key) {
  return Object.hasOwn(en, key);
}

/** Fills what is marked with `data-c`, `data-c-label`, `data-c-placeholder`, now and at each switch. */
export function setUpTexts() {
  onLanguage(() => {
    for (const node of document.querySelectorAll("[data-c], [data-c-label], [data-c-placeholder]")) {
      if (!(node instanceof HTMLElement)) continue;
      const { c: text, cLabel: label, cPlaceholder: placeholder } = node.dataset;
      if (text) node.textContent = t(/** @type {TextKey} */ (text));
      if (label) node.setAttribute("aria-label", t(/** @type {TextKey} */ (label)));
      if (placeholder) node.setAttribute("placeholder", t(/** @type {TextKey} */ (placeholder)));
    }
  });
}

/** @param {string} rfc3339 */
export function timeOfDay(rfc3339) {
  const options = /** @type {const} */ ({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return new Date(rfc3339).toLocaleTimeString(currentLanguage(), options);
}

/** @param {string} rfc3339 */
export function dateAndTime(rfc3339) {
  return new Date(rfc3339).toLocaleString(currentLanguage(), { dateStyle: "medium", timeStyle: "short" });
}

/** @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
