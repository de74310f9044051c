/**
 * What the page remembers of its user, in this browser.
 */

/**
 * @typedef {object} Settings
 * @property {string} name
 * @property {string} camera device id
 * @property {string} microphone device id
 * @property {string} speaker device id
 * @property {"standard" | "high"} quality
 * @property {"auto" | "light" | "dark"} theme
 * @property {"" | "en" | "zh"} language empty: the browser's
 * @property {boolean} shortcuts
 * @property {boolean} micOn
 * @property {boolean} camOn
 */

const KEY = "crosspoint.meet";

/** @type {Settings} */
const DEFAULTS = {
  name: "",
  camera: "",
  microphone: "",
  speaker: "",
  quality: "standard",
  theme: "auto",
  language: "",
  shortcuts: true,
  micOn: true,
  camOn: true,
};

/** @type {Settings} */
export const settings = { ...DEFAULTS, ...stored() };

/**
 * @param {Partial<Settings>} change
 */
export function remember(change) {
  Object.assign(settings, change);
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // Storage is switched off: remembered until the page is closed.
  }
}

/** Size that the camera is asked for. */
export function pictureSize() {
  return settings.quality === "high" ? { width: 1280, height: 720 } : { width: 640, height: 480 };
}

/** @returns {Partial<Settings>} */
function stored() {
  try {
    const value = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return value !== null && typeof value === "object" ? value : {};
  } catch {
    return {};
  }
}
