/**
 * Which words belong to which error of a camera or microphone. Pure.
 */

/** @import { CommonKey } from "./i18n.js" */

/** @type {Record<string, { camera: CommonKey, microphone: CommonKey }>} */
const DEVICE = {
  device_refused: { camera: "camRefused", microphone: "micRefused" },
  device_refused_by_system: { camera: "camRefusedBySystem", microphone: "micRefusedBySystem" },
  device_missing: { camera: "camMissing", microphone: "micMissing" },
  device_in_use: { camera: "camInUse", microphone: "micInUse" },
  insecure_context: { camera: "insecure", microphone: "insecure" },
  not_permitted: { camera: "publishRefused", microphone: "publishRefused" },
};

/**
 * @param {"camera" | "microphone"} device
 * @param {string} type of the error
 * @returns {CommonKey}
 */
export function deviceProblem(device, type) {
  return DEVICE[type]?.[device] ?? (device === "camera" ? "camFailed" : "micFailed");
}
