/**
 * The call signalling connection that the native client and the façades share: requests with
 * replies, numbered events, and resumption with replay of what was missed.
 *
 * It knows few words itself; what the rest say is the dialect's.
 *
 * ```text
 * -> {"type": "login", "id": 1, ...}                      the first frame, in the dialect's words
 * <- {"type": "connected", "seq": 1, "sessionKey": "..."}
 * <- {"type": "reply", "id": 1, ...}                      with "error", a problem: it failed
 * <- {"type": "<event>", "seq": 7, ...}
 * <- {"type": "frames", "seq": 8, "frames": [{"type": ...}, ...]}      one event in several words
 * -> {"type": "reconnect", "id": 9, "sessionKey": "...", "lastSeq": 8}   on a new socket
 * -> {"type": "logout"}
 * ```
 */

import { Emitter } from "../emitter.js";
import { Signal } from "../signal.js";
import { deviceName } from "./device-name.js";

/** @import { CrosspointError } from "../errors.js" */
/** @import { TokenSource } from "../signal.js" */

/** Where a tab keeps the name of its device. */
const DEVICE_KEY = "crosspoint.device";

/** @typedef {"native" | "jrtc" | "rong" | "emic"} Dialect */

/**
 * A frame in the dialect's words.
 *
 * @typedef {{ type: string } & Record<string, any>} CallFrame
 */

/**
 * @typedef {object} ConnectionEvents
 * @property {CallFrame} event
 * @property {void} interrupted the socket is gone, a new one is being opened
 * @property {void} resumed nothing was missed
 * @property {CrosspointError} lost the server has given the device up, or cannot be found again
 */

/** @extends {Emitter<ConnectionEvents>} */
export class CallConnection extends Emitter {
  #signal;

  /**
   * @param {object} options
   * @param {string} options.url of the server
   * @param {Dialect} options.dialect
   * @param {TokenSource} [options.token] a user's token; without it `login` carries a password
   */
  constructor({ url, dialect, token = "" }) {
    super();
    this.#signal = new Signal({
      url,
      token,
      path: "/v1/calls/connect",
      query: { dialect, device: deviceName(DEVICE_KEY) },
      goodbye: "logout",
      // The server carries out each request of a device once, however often it hears it.
      repeatable: () => true,
      resumeFrame: (sessionKey, lastSeq) => ({ type: "reconnect", sessionKey, lastSeq }),
      tokenAgain: true,
      // Never a number that this device has used on an earlier page.
      firstId: Date.now(),
    });
    const signal = this.#signal;
    signal.on("event", (event) => this.#onFrame(/** @type {any} */ (event)));
    signal.on("interrupted", () => this.emit("interrupted", undefined));
    signal.on("resumed", () => this.emit("resumed", undefined));
    signal.on("lost", (error) => this.emit("lost", error));
  }

  /** Opens the socket, for requests that need no login. */
  open() {
    return this.#signal.open();
  }

  /**
   * Opens the socket and says who we are.
   *
   * @param {Record<string, unknown>} fields in the dialect's words
   * @returns {Promise<Record<string, any>>} the reply
   */
  async login(fields) {
    await this.#signal.open();
    return this.request("login", fields);
  }

  /**
   * @param {string} type
   * @param {Record<string, unknown>} [fields]
   * @returns {Promise<Record<string, any>>} the reply; rejects when it is a problem
   */
  request(type, fields) {
    return this.#signal.request(type, fields);
  }

  /** Tries again at once when a new socket is being waited for. */
  hurry() {
    this.#signal.hurry();
  }

  /** Logs out; requests that wait are rejected. */
  close() {
    this.#signal.close();
  }

  /** @param {CallFrame} frame */
  #onFrame(frame) {
    if (frame.type === "frames") {
      for (const each of frame.frames) this.emit("event", each);
      return;
    }
    if (frame.type === "connected") this.#signal.setSession(frame.sessionKey);
    this.emit("event", frame);
  }
}

/**
 * The server that a module was loaded from, which is the one that façades call unless told otherwise.
 *
 * @param {string} module its `import.meta.url`
 */
export function serverOf(module) {
  const url = new URL(module);
  if (!url.protocol.startsWith("http")) return globalThis.location?.origin ?? "http://localhost";
  const path = url.pathname;
  return url.origin + path.slice(0, Math.max(0, path.lastIndexOf("/sdk/")));
}
