/**
 * The IM client on which the plugins stand: who we are, and the connection that carries calls. The
 * three versions of IMLib differ only in how it is asked for.
 */

import { CallConnection, serverOf } from "../calls/connection.js";
import { Emitter } from "../emitter.js";
import { isCrosspointError } from "../errors.js";

/** @import { CallFrame } from "../calls/connection.js" */

/** @enum {number} */
export const ErrorCode = /** @type {const} */ ({
  SUCCESS: 0,
  TIMEOUT: -1,
  RC_NET_CHANNEL_INVALID: 30001,
  RC_CONN_TOKEN_INCORRECT: 31004,
  RC_CONN_TOKEN_EXPIRE: 31020,
  RC_CONN_USER_BLOCKED: 31009,
  RC_CONN_OTHER_DEVICE_LOGIN: 31023,
});

/** @enum {number} */
export const ConnectionStatus = /** @type {const} */ ({
  CONNECTED: 0,
  CONNECTING: 1,
  DISCONNECTED: 2,
  KICKED_OFFLINE_BY_OTHER_CLIENT: 6,
  SUSPENDED: 10,
});

/**
 * What `installPlugin` takes: made by each plugin.
 *
 * @template Client, Options
 * @typedef {{ tag: string, install: (im: ImClient, options: Options) => Client }} Installer
 */

/**
 * @typedef {object} InitOptions
 * @property {string} appkey
 * @property {string} [serverUrl] default: the server that this module came from
 */

/**
 * @typedef {object} ImEvents
 * @property {CallFrame} frame
 * @property {number} status
 */

/** @extends {Emitter<ImEvents>} */
export class ImClient extends Emitter {
  /** @readonly */
  appkey;
  /** @readonly */
  serverUrl;
  /** Ours; empty before `connect`. */
  userId = "";
  /** @type {number} */
  status = ConnectionStatus.DISCONNECTED;
  /** @type {CallConnection | null} */
  #connection = null;
  /** @type {Map<string, unknown>} */
  #plugins = new Map();

  /** @param {InitOptions} options */
  constructor({ appkey, serverUrl = serverOf(import.meta.url) }) {
    super();
    if (typeof appkey !== "string" || appkey === "") throw new TypeError("init needs an appkey");
    this.appkey = appkey;
    this.serverUrl = serverUrl;
  }

  /**
   * @template Client, Options
   * @param {Installer<Client, Options>} installer
   * @param {Options} [options]
   * @returns {Client} the same one when it was installed before
   */
  install(installer, options) {
    const installed = this.#plugins.get(installer.tag);
    if (installed) return /** @type {Client} */ (installed);
    const client = installer.install(this, options ?? /** @type {Options} */ ({}));
    this.#plugins.set(installer.tag, client);
    return client;
  }

  /**
   * @param {string} token
   * @returns {Promise<{ code: number, userId: string }>}
   */
  async connect(token) {
    if (this.#connection) await this.disconnect();
    const connection = new CallConnection({ url: this.serverUrl, dialect: "rong", token });
    this.#connection = connection;
    this.#setStatus(ConnectionStatus.CONNECTING);
    connection.on("event", (frame) => this.#onFrame(frame));
    connection.on("interrupted", () => this.#setStatus(ConnectionStatus.SUSPENDED));
    connection.on("resumed", () => this.#setStatus(ConnectionStatus.CONNECTED));
    connection.on("lost", () => this.#setStatus(ConnectionStatus.DISCONNECTED));
    let code;
    try {
      const reply = await connection.login({ appkey: this.appkey });
      code = reply.code;
      this.userId = code === ErrorCode.SUCCESS ? reply.userId : "";
    } catch (error) {
      code = connectCode(error);
    }
    if (code !== ErrorCode.SUCCESS) connection.close();
    if (this.#connection === connection) {
      if (code !== ErrorCode.SUCCESS) this.#connection = null;
      this.#setStatus(code === ErrorCode.SUCCESS ? ConnectionStatus.CONNECTED : ConnectionStatus.DISCONNECTED);
    }
    return { code, userId: this.userId };
  }

  async disconnect() {
    this.#connection?.close();
    this.#connection = null;
    this.userId = "";
    this.#setStatus(ConnectionStatus.DISCONNECTED);
  }

  /**
   * @param {string} type
   * @param {Record<string, unknown>} fields
   */
  request(type, fields) {
    if (!this.#connection) return Promise.reject(new Error("IM is not connected"));
    return this.#connection.request(type, fields);
  }

  /** @param {CallFrame} frame */
  #onFrame(frame) {
    if (frame.type === "kicked") {
      this.#connection?.close();
      this.#connection = null;
      this.#setStatus(ConnectionStatus.KICKED_OFFLINE_BY_OTHER_CLIENT);
    }
    this.emit("frame", frame);
  }

  /** @param {number} status */
  #setStatus(status) {
    if (status === this.status) return;
    this.status = status;
    this.emit("status", status);
  }
}

/** @param {unknown} error */
function connectCode(error) {
  if (isCrosspointError(error, "unauthorized") || isCrosspointError(error, "forbidden")) {
    return ErrorCode.RC_CONN_TOKEN_INCORRECT;
  }
  return isCrosspointError(error, "timeout") ? ErrorCode.TIMEOUT : ErrorCode.RC_NET_CHANNEL_INVALID;
}
