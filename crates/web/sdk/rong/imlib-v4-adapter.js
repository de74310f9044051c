/**
 * `@rongcloud/imlib-v4-adapter`: IMLib 4.x as far as calls need it.
 */

import { ErrorCode, ImClient } from "./im.js";

/** @import { InitOptions, Installer } from "./im.js" */

export { ConversationType } from "./codes.js";

export class IMClient {
  #im;

  /** @param {ImClient} im */
  constructor(im) {
    this.#im = im;
  }

  /**
   * @template Client, Options
   * @param {Installer<Client, Options>} installer
   * @param {Options} [options]
   * @returns {Client}
   */
  install(installer, options) {
    return this.#im.install(installer, options);
  }

  /**
   * @param {{ token: string }} options
   * @returns {Promise<{ id: string }>} rejects with `{ code, msg }`
   */
  async connect({ token }) {
    const { code, userId } = await this.#im.connect(token);
    if (code !== ErrorCode.SUCCESS) throw { code, msg: `connecting failed: ${code}` };
    return { id: userId };
  }

  disconnect() {
    return this.#im.disconnect();
  }
}

/** @type {IMClient | null} */
let client = null;

/** @param {InitOptions} options */
export function init(options) {
  return (client ??= new IMClient(new ImClient(options)));
}
