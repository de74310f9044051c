/**
 * `@rongcloud/plugin-call-plus/wrapper`: CallLib's interface for applications that move to CallPlus.
 * Media is told of as (userId, mediaType) and played by the CallPlus client; quality reports and
 * `registerUserInfo` are gone.
 */

import { RCCallClient } from "./call-client.js";
import { RCCallMediaType } from "./codes.js";

/** @import { IRCCallInitOptions } from "./call-client.js" */
/** @import { RCCallPlusClient } from "./call-plus-client.js" */
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

export const installer = {
  tag: "RCCallPlusWrapper",
  /**
   * @param {ImClient} im
   * @param {Omit<IRCCallInitOptions, "rtcClient"> & { callPlusClient: RCCallPlusClient }} options
   */
  install: (im, { callPlusClient, ...options }) => {
    if (!callPlusClient) throw new TypeError("CallPlusWrapper needs the callPlusClient");
    const client = new RCCallClient(im, options, {
      trackReady: (listener, track, session) => {
        callPlusClient.addTrack(track);
        const type = track.isAudioTrack() ? RCCallMediaType.AUDIO : RCCallMediaType.AUDIO_VIDEO;
        listener.onTrackReady?.(track.getUserId(), type, session);
      },
      closed: () => callPlusClient.releaseTracks(),
      reports: false,
    });
    // Abolished with the move; an application that still calls it shall notice.
    return Object.assign(client, { registerUserInfo: undefined });
  },
};
