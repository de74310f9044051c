/**
 * Words in the user's language: by the browser's setting, or as switched on the page. Every page has
 * its own texts and shares the common ones.
 */

import { setLabel } from "./dom.js";
import { remember, settings } from "./settings.js";
import { en } from "./text-en.js";
import { zh } from "./text-zh.js";

/** @typedef {keyof typeof en} CommonKey */
/** @typedef {"en" | "zh"} Language */

/** All words of this page. @type {Record<Language, Record<string, string>>} */
const texts = { en: { ...en }, zh: { ...zh } };
/** @type {Language} */
let language = "en";
/** @type {Set<() => void>} */
const listeners = new Set();

/**
 * A text, with `{name}` replaced by `values.name`.
 *
 * @param {CommonKey} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  return lookUp(key, values);
}

/**
 * Adds a page's texts to the common ones.
 *
 * @template {string} Key
 * @param {{ en: Record<Key, string>, zh: Record<Key, string> }} page
 * @returns {(key: Key | CommonKey, values?: Record<string, string | number>) => string} as `t`
 */
export function addTexts(page) {
  Object.assign(texts.en, page.en);
  Object.assign(texts.zh, page.zh);
  return lookUp;
}

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
 * Shows the page in the user's language, and lets a button switch it.
 *
 * @param {HTMLElement} button
 */
export function setUpLanguage(button) {
  setLanguage(settings.language || chooseLanguage(navigator.languages));
  button.addEventListener("click", () => {
    const next = language === "en" ? "zh" : "en";
    remember({ language: next });
    setLanguage(next);
  });
  onLanguage(() => {
    button.textContent = t("language");
    setLabel(button, t("languageLabel"));
  });
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

/** @param {Language} next */
function setLanguage(next) {
  language = next;
  document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
  translate(document);
  for (const listener of listeners) listener();
}

/**
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
function lookUp(key, values = {}) {
  const text = texts[language][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * Fills what is marked with `data-t` (text), `data-t-label` and `data-t-placeholder`.
 *
 * @param {ParentNode} root
 */
function translate(root) {
  for (const node of root.querySelectorAll("[data-t], [data-t-label], [data-t-placeholder]")) {
    if (!(node instanceof HTMLElement)) continue;
    const { t: text, tLabel: label, tPlaceholder: placeholder } = node.dataset;
    if (text) node.textContent = lookUp(text);
    if (label) node.setAttribute("aria-label", lookUp(label));
    if (placeholder) node.setAttribute("placeholder", lookUp(placeholder));
  }
}
