/** Desk's words. */

import { addTexts } from "../common/i18n.js";
import { en } from "./text-en.js";
import { zh } from "./text-zh.js";

/** @import { CommonKey } from "../common/i18n.js" */

/** @typedef {keyof typeof en | CommonKey} TextKey */

export const t = addTexts({ en, zh });

/**
 * A text by a word of the server, or another where Desk has none for it.
 *
 * @param {string} key
 * @param {TextKey} otherwise
 * @param {Record<string, string | number>} [values]
 */
export function said(key, otherwise, values) {
  return t(Object.hasOwn(en, key) ? /** @type {TextKey} */ (key) : otherwise, values);
}
