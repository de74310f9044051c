/**
 * `@rongcloud/plugin-rtc` (RTCLib 5.x) as far as CallLib needs it: the media side of the IM client.
 */

import * as RCRTC from "./plugin-rtc.js";

/** @import { ImClient } from "./im.js" */

export { RCFrameRate, RCResolution } from "./codes.js";
export { RCTrack } from "./track.js";

/** @typedef {import("./state-report.js").IRCRTCStateReport} IRCRTCStateReport */
/** @typedef {import("./state-report.js").IRCCandidatePairStat} IRCCandidatePairStat */
/** @typedef {import("./state-report.js").IRCTrackStat} IRCTrackStat */

/**
 * Of those of the original none matters here; custom encryption is an addition.
 *
 * @typedef {object} RCRTCOptions
 * @property {import("../peer.js").EncodedTransform} [encodedTransform]
 */

/** Made by `installPlugin`; the call plugin takes it. */
export class RCRTCClient {
  #im;
  /** @readonly */
  encodedTransform;

  /**
   * @param {ImClient} im
   * @param {RCRTCOptions} [options]
   */
  constructor(im, { encodedTransform } = {}) {
    this.#im = im;
    this.encodedTransform = encodedTransform;
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
   * @param {RCRTCOptions} [options]
   */
  install: (im, options) => new RCRTCClient(im, options),
};

Object.assign(globalThis, { RCRTC });
