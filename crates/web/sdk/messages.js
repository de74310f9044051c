/**
 * Application messages: their JSON form, the same on data channels and on the WebSocket.
 */

import { CrosspointError } from "./errors.js";
import { MESSAGE_BYTES_MAX } from "./protocol.js";

/**
 * @typedef {object} MessageOptions
 * @property {string} [topic] what it is about, at most 128 bytes
 * @property {string[]} [to] identities; default: everyone else in the room
 * @property {boolean} [reliable] whether it may not be lost; default true
 */

/**
 * @param {string | Uint8Array} payload
 * @param {MessageOptions} options
 * @returns {Record<string, unknown>}
 */
export function encodeMessage(payload, { topic = "", to }) {
  const text = typeof payload === "string";
  const bytes = text ? new TextEncoder().encode(payload).length : payload.length;
  if (bytes > MESSAGE_BYTES_MAX) {
    throw new CrosspointError("too_large", `messages have at most ${MESSAGE_BYTES_MAX} bytes`);
  }
  const content = text ? { text: payload } : { data: toBase64(payload) };
  return { topic, ...content, ...(to?.length ? { to } : {}) };
}

/**
 * @param {unknown} data what a data channel received
 * @returns {{ from: string | null, topic: string, text?: string, data?: string } | null}
 */
export function decodeMessage(data) {
  if (typeof data !== "string") return null;
  try {
    const message = JSON.parse(data);
    return message !== null && typeof message === "object" ? message : null;
  } catch {
    return null;
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function toBase64(bytes) {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/**
 * @param {string} text
 * @returns {Uint8Array | null} null when it is not base64
 */
export function fromBase64(text) {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
}
