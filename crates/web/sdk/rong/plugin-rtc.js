/**
 * `@rongcloud/plugin-rtc` (RTCLib 5.x) as far as CallLib needs it: the media side of the IM client.
 */

/** @import { ImClient } from "./im.js" */

export { RCFrameRate, RCResolution } from "./codes.js";
export { RCTrack } from "./track.js";

/** @typedef {import("./state-report.js").IRCRTCStateReport} IRCRTCStateReport */
/** @typedef {import("./state-report.js").IRCCandidatePairStat} IRCCandidatePairStat */
/** @typedef {import("./state-report.js").IRCTrackStat} IRCTrackStat */

/** Made by `installPlugin`; the call plugin takes it. */
export class RCRTCClient {
  #im;

  /** @param {ImClient} im */
  constructor(im) {
    this.#im = im;
  }

  /** The server whose rooms carry the media. */
  get serverUrl() {
    return this.#im.serverUrl;
  }
}

export const installer = {
  tag: "RCRTC",
  /**
   * @param {ImClient} im
   * @param {Record<string, unknown>} [_options] of the original; none matters here
   */
  install: (im, _options) => new RCRTCClient(im),
};
