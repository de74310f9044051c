/**
 * Console's words, and times as they are said in its language.
 */

import { addTexts, currentLanguage } from "../common/i18n.js";
import { en } from "./text-en.js";
import { zh } from "./text-zh.js";

/** @import { CommonKey } from "../common/i18n.js" */

/** @typedef {keyof typeof en | CommonKey} TextKey */

export const t = addTexts({ en, zh });

/** Whether there is a text of this name. @param {string} key @returns {key is TextKey} */
export function isText(key) {
  return Object.hasOwn(en, key);
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
