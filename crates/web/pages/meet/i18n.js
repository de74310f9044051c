/**
 * Words in the user's language: by the browser's setting, or as switched on the page.
 */

import { en } from "./text-en.js";
import { zh } from "./text-zh.js";

/** @typedef {keyof typeof en} TextKey */
/** @typedef {"en" | "zh"} Language */

const TEXTS = { en, zh };

/** @type {Language} */
let language = "en";
/** @type {Set<() => void>} */
const listeners = new Set();

/** @returns {Language} */
export function currentLanguage() {
  return language;
}

/**
 * The first of the user's languages that the page has.
 *
 * @param {readonly string[]} wanted e.g. `navigator.languages`
 * @returns {Language}
 */
export function chooseLanguage(wanted) {
  for (const tag of wanted) {
    const primary = tag.toLowerCase().split("-")[0];
    if (primary === "zh" || primary === "en") return primary;
  }
  return "en";
}

/**
 * A text, with `{name}` replaced by `values.name`.
 *
 * @param {TextKey} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * Changes the language of the whole page.
 *
 * @param {Language} next
 */
export function setLanguage(next) {
  language = next;
  document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
  translate(document);
  for (const listener of listeners) listener();
}

/**
 * Calls `listener` now and whenever the language changes: for words that depend on state.
 *
 * @param {() => void} listener
 */
export function onLanguage(listener) {
  listeners.add(listener);
  listener();
}

/** Fills what is marked with `data-t` (text), `data-t-label` and `data-t-placeholder`.
 * @param {ParentNode} root */
function translate(root) {
  for (const node of root.querySelectorAll("[data-t], [data-t-label], [data-t-placeholder]")) {
    if (!(node instanceof HTMLElement)) continue;
    const { t: text, tLabel: label, tPlaceholder: placeholder } = node.dataset;
    if (text) node.textContent = t(/** @type {TextKey} */ (text));
    if (label) node.setAttribute("aria-label", t(/** @type {TextKey} */ (label)));
    if (placeholder) node.setAttribute("placeholder", t(/** @type {TextKey} */ (placeholder)));
  }
}
