/**
 * `@rongcloud/imlib-next` (IMLib 5.x) as far as calls need it, on Crosspoint.
 *
 * ```js
 * import * as RongIMLib from "@rongcloud/imlib-next";
 * RongIMLib.init({ appkey });
 * const rtcClient = RongIMLib.installPlugin(rtcInstaller, {});
 * const caller = RongIMLib.installPlugin(callInstaller, { rtcClient, onSession });
 * await RongIMLib.connect(token);
 * ```
 */

import { ConnectionStatus, ErrorCode, ImClient } from "./im.js";
// Its own name as a global, for pages that load it by a script element (of type module).
import * as RongIMLib from "./imlib-next.js";

/** @import { InitOptions, Installer } from "./im.js" */

export { ConnectionStatus, ErrorCode };
export { ConversationType } from "./codes.js";

/** @enum {string} */
export const Events = /** @type {const} */ ({
  CONNECTING: "CONNECTING",
  CONNECTED: "CONNECTED",
  DISCONNECT: "DISCONNECT",
  SUSPEND: "SUSPEND",
});

/** @type {ImClient | null} */
let im = null;
/** @type {Map<string, Set<(...args: any[]) => void>>} */
const listeners = new Map();

/** @param {InitOptions} options */
export function init(options) {
  if (im) return; // as the original: the first stands
  im = new ImClient(options);
  im.on("status", (status) => {
    const name = eventOf(status);
    for (const listener of listeners.get(name) ?? []) listener(status);
  });
}

/**
 * @template Client, Options
 * @param {Installer<Client, Options>} installer
 * @param {Options} [options]
 * @returns {Client}
 */
export function installPlugin(installer, options) {
  return client().install(installer, options);
}

/**
 * @param {string} token
 * @returns {Promise<{ code: number, data?: { userId: string }, msg?: string }>}
 */
export async function connect(token) {
  const { code, userId } = await client().connect(token);
  return code === ErrorCode.SUCCESS ? { code, data: { userId } } : { code, msg: messageOf(code) };
}

export async function disconnect() {
  await im?.disconnect();
}

export function getConnectionStatus() {
  return im?.status ?? ConnectionStatus.DISCONNECTED;
}

export function getCurrentUserId() {
  return im?.userId ?? "";
}

/**
 * @param {string} name one of `Events`
 * @param {(...args: any[]) => void} listener
 */
export function addEventListener(name, listener) {
  let set = listeners.get(name);
  if (!set) listeners.set(name, (set = new Set()));
  set.add(listener);
}

/**
 * @param {string} name
 * @param {(...args: any[]) => void} listener
 */
export function removeEventListener(name, listener) {
  listeners.get(name)?.delete(listener);
}

function client() {
  if (!im) throw new Error("RongIMLib.init comes first");
  return im;
}

/** @param {number} status */
function eventOf(status) {
  if (status === ConnectionStatus.CONNECTED) return Events.CONNECTED;
  if (status === ConnectionStatus.CONNECTING) return Events.CONNECTING;
  return status === ConnectionStatus.SUSPENDED ? Events.SUSPEND : Events.DISCONNECT;
}

/** @param {number} code */
function messageOf(code) {
  return Object.entries(ErrorCode).find(([, value]) => value === code)?.[0] ?? String(code);
}

Object.assign(globalThis, { RongIMLib });
