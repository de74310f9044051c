/**
 * `@rongcloud/plugin-call-plus`, as far as the migration from CallLib needs it: the client that
 * shows and plays the media of the wrapper's calls.
 */

import { RCCallPlusClient } from "./call-plus-client.js";

/** @import { ImClient } from "./im.js" */
/** @import { RCRTCClient } from "./plugin-rtc.js" */

export { RCCallPlusClient };
export { RCCallPlusMediaType } from "./call-plus-client.js";

export const installer = {
  tag: "RCCallPlus",
  /**
   * @param {ImClient} _im
   * @param {{ rtcClient: RCRTCClient }} options
   */
  install: (_im, { rtcClient }) => {
    if (!rtcClient) throw new TypeError("CallPlus needs the rtcClient");
    return new RCCallPlusClient();
  },
};
