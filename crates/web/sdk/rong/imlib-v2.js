/**
 * `@rongcloud/imlib-v2` and its adapter: IMLib 2.x as far as calls need it.
 */

import { ErrorCode, ImClient } from "./im.js";
import { IMClient } from "./imlib-v4-adapter.js";

export { IMClient };
export { ConversationType } from "./codes.js";

/**
 * @typedef {object} ConnectCallbacks
 * @property {(userId: string) => void} [onSuccess]
 * @property {() => void} [onTokenIncorrect]
 * @property {(code: number) => void} [onError]
 */

export class RongIMClient {
  /** @type {ImClient | null} */
  static #im = null;
  /** @type {IMClient | null} */
  static #instance = null;

  /** @param {string} appkey */
  static init(appkey) {
    if (RongIMClient.#im) return;
    RongIMClient.#im = new ImClient({ appkey });
    RongIMClient.#instance = new IMClient(RongIMClient.#im);
  }

  /** @returns {IMClient} */
  static getInstance() {
    if (!RongIMClient.#instance) throw new Error("RongIMClient.init comes first");
    return RongIMClient.#instance;
  }

  /**
   * @param {string} token
   * @param {ConnectCallbacks} callbacks
   */
  static connect(token, { onSuccess, onTokenIncorrect, onError }) {
    if (!RongIMClient.#im) throw new Error("RongIMClient.init comes first");
    RongIMClient.#im.connect(token).then(({ code, userId }) => {
      if (code === ErrorCode.SUCCESS) onSuccess?.(userId);
      else if (code === ErrorCode.RC_CONN_TOKEN_INCORRECT) onTokenIncorrect?.();
      else onError?.(code);
    });
  }
}
