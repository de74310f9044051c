/** Meet's words. */

import { addTexts } from "../common/i18n.js";
import { en } from "./text-en.js";
import { zh } from "./text-zh.js";

/** @import { CommonKey } from "../common/i18n.js" */

/** @typedef {keyof typeof en | CommonKey} TextKey */

export const t = addTexts({ en, zh });
