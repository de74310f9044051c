/**
 * `@rongcloud/plugin-call` (CallLib Web 5.x) on Crosspoint: one-to-one and group calls.
 */

import { RCCallClient } from "./call-client.js";
import * as RCCall from "./plugin-call.js";

/** @import { IRCCallInitOptions } from "./call-client.js" */
/** @import { ImClient } from "./im.js" */

export { RCCallClient };
export { RCCallSession } from "./call-session.js";
export {
  ConversationType,
  RCCallEndReason,
  RCCallErrorCode,
  RCCallMediaType,
  RCCallSessionState,
  RCCallUserState,
  RCFrameRate,
  RCResolution,
} from "./codes.js";
export { RCTrack } from "./track.js";

export const installer = {
  tag: "RCCall",
  /**
   * @param {ImClient} im
   * @param {IRCCallInitOptions} options
   */
  install: (im, options) => new RCCallClient(im, options),
};

Object.assign(globalThis, { RCCall });
