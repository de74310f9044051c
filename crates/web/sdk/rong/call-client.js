/**
 * RCCallClient: starts calls and takes those that come in. One at a time, as CallLib has it.
 */

import { CallMedia } from "../calls/media.js";
import { RCCallSession, mediaErrorCode } from "./call-session.js";
import { RCCallErrorCode, RCCallMediaType, cameraOptions, microphoneOptions } from "./codes.js";
import { ConnectionStatus } from "./im.js";

/** @import { CallFrame } from "../calls/connection.js" */
/** @import { IEndSummary, ISessionListener } from "./call-session.js" */
/** @import { ICameraVideoProfile, IMicphoneAudioProfile } from "./codes.js" */
/** @import { ImClient } from "./im.js" */
/** @import { RCTrack } from "./track.js" */

/**
 * @typedef {object} IOfflineRecord a call that was missed while IM was offline
 * @property {string} callId
 * @property {number} conversationType
 * @property {string} channelId
 * @property {string} targetId
 * @property {string} callerId
 * @property {number} mediaType
 * @property {number} inviteTime ms since 1970, by the server's clock
 * @property {number} endReason
 */

/**
 * @typedef {object} IRCCallInitOptions
 * @property {import("./plugin-rtc.js").RCRTCClient} [rtcClient] of the rtc plugin; required by CallLib
 * @property {(session: RCCallSession, extra?: string) => void} onSession
 * @property {(session: RCCallSession, summaryInfo?: IEndSummary) => void} [onSessionClose]
 * @property {(record: IOfflineRecord) => void} [onOfflineRecord]
 * @property {number} [logOutputLevel]
 */

/**
 * What differs between CallLib and the wrapper.
 *
 * @typedef {object} Flavour
 * @property {(listener: ISessionListener, track: RCTrack, session: RCCallSession) => void} trackReady
 * @property {() => void} closed
 * @property {boolean} reports whether quality is reported
 */

/**
 * @typedef {object} IPushConfig
 * @property {string} [pushTitle]
 * @property {string} [pushContent]
 */

/**
 * @typedef {object} CallParams
 * @property {string} targetId user, or group
 * @property {string[]} [userIds] members to call, in a group
 * @property {number} mediaType
 * @property {ISessionListener} listener
 * @property {{ video?: ICameraVideoProfile, audio?: IMicphoneAudioProfile }} [constraints]
 * @property {string} [channelId]
 * @property {string} [extra]
 * @property {string} [pushTitle]
 * @property {string} [pushContent]
 */

/** @typedef {{ code: number, session?: RCCallSession }} CallResult */

/** @type {Flavour} */
const CALLLIB = {
  trackReady: (listener, track, session) => listener.onTrackReady?.(track, session),
  closed: () => {},
  reports: true,
};

/** Listeners without which no call is placed. */
const REQUIRED = ["onRinging", "onAccept", "onHungup", "onTrackReady"];

export class RCCallClient {
  #im;
  #options;
  #flavour;
  /** By session id. @type {Map<string, RCCallSession>} */
  #sessions = new Map();
  #starting = false;

  /**
   * @param {ImClient} im
   * @param {IRCCallInitOptions} options
   * @param {Flavour} [flavour]
   */
  constructor(im, options, flavour = CALLLIB) {
    if (flavour === CALLLIB && !options.rtcClient) throw new TypeError("CallLib needs the rtcClient");
    if (typeof options.onSession !== "function") throw new TypeError("onSession is required");
    this.#im = im;
    this.#options = options;
    this.#flavour = flavour;
    im.on("frame", (frame) => this.#onFrame(frame));
    im.on("status", (status) => {
      if (status === ConnectionStatus.DISCONNECTED) for (const session of [...this.#sessions.values()]) session.lost();
    });
  }

  /**
   * Calls one user.
   *
   * @param {CallParams} params
   * @returns {Promise<CallResult>}
   */
  async call(params) {
    if (!isId(params?.targetId) || params.targetId === this.#im.userId || !this.#isMediaType(params.mediaType)) {
      return { code: RCCallErrorCode.PARAM_ERROR };
    }
    return this.#start("call", params, {});
  }

  /**
   * Calls members of a group.
   *
   * @param {CallParams} params
   * @returns {Promise<CallResult>}
   */
  async callInGroup(params) {
    const userIds = [...new Set(Array.isArray(params?.userIds) ? params.userIds : [])];
    // The samples say 0 for sound where the table says 1.
    const mediaType = params?.mediaType === 0 ? RCCallMediaType.AUDIO : params?.mediaType;
    const wrong = !isId(params?.targetId) || userIds.length === 0 || !userIds.every(isId);
    if (wrong || userIds.includes(this.#im.userId) || !this.#isMediaType(mediaType)) {
      return { code: RCCallErrorCode.PARAM_ERROR };
    }
    return this.#start("callInGroup", { ...params, mediaType }, { userIds });
  }

  /**
   * What notifications of calls and of their end say.
   *
   * @param {IPushConfig} callPushConfig
   * @param {IPushConfig} hungupPushConfig
   */
  setPushConfig(callPushConfig, hungupPushConfig) {
    this.#im.request("setPushConfig", { callPushConfig, hungupPushConfig }).catch(() => {});
  }

  /**
   * What others see of us: `ISenderInfo` but for the user id.
   *
   * @param {{ name?: string, portraitUri?: string, extra?: string }} info
   */
  registerUserInfo({ name, portraitUri, extra }) {
    this.#im.request("registerUserInfo", { name, portraitUri, extra }).catch(() => {});
  }

  /** @param {unknown} type */
  #isMediaType(type) {
    return type === RCCallMediaType.AUDIO || type === RCCallMediaType.AUDIO_VIDEO;
  }

  /**
   * @param {"call" | "callInGroup"} type
   * @param {CallParams} params
   * @param {Record<string, unknown>} more
   * @returns {Promise<CallResult>}
   */
  async #start(type, params, more) {
    const { targetId, mediaType, listener, constraints = {}, channelId, extra, pushTitle, pushContent } = params;
    if (!isListener(listener, type === "callInGroup")) return { code: RCCallErrorCode.PARAM_ERROR };
    if (this.#starting || this.#sessions.size > 0) return { code: RCCallErrorCode.STATE_MACHINE_EXIT };
    this.#starting = true;
    const media = this.#media();
    try {
      const opened = await media.open({
        microphone: microphoneOptions(constraints.audio),
        camera: mediaType === RCCallMediaType.AUDIO_VIDEO ? cameraOptions(constraints.video) : null,
      });
      let code = mediaErrorCode(opened);
      if (code === RCCallErrorCode.SUCCESS) {
        const fields = { targetId, mediaType, channelId, extra, pushTitle, pushContent, ...more };
        const reply = await this.#request(type, fields);
        code = reply.code;
        if (code === RCCallErrorCode.SUCCESS) {
          const session = this.#add(reply.session, media);
          session.registerSessionListener(listener);
          session.begin(reply.rtc);
          return { code, session };
        }
      }
      await media.close();
      return { code };
    } finally {
      this.#starting = false;
    }
  }

  #media() {
    const encodedTransform = this.#options.rtcClient?.encodedTransform;
    return new CallMedia({ url: this.#im.serverUrl, playAudio: false, encodedTransform });
  }

  /**
   * @param {any} description of the server
   * @param {CallMedia} media
   */
  #add(description, media) {
    const session = new RCCallSession({
      description,
      media,
      userId: this.#im.userId,
      flavour: this.#flavour,
      request: (type, fields) => this.#request(type, fields),
      closed: (session, summary) => {
        this.#sessions.delete(session.getSessionId());
        this.#flavour.closed();
        this.#options.onSessionClose?.(session, summary);
      },
    });
    this.#sessions.set(session.getSessionId(), session);
    return session;
  }

  /**
   * @param {string} type
   * @param {Record<string, unknown>} fields
   * @returns {Promise<Record<string, any>>} with a `code` in any case
   */
  async #request(type, fields) {
    try {
      return await this.#im.request(type, fields);
    } catch {
      return { code: RCCallErrorCode.SEND_MSG_ERROR };
    }
  }

  /** @param {CallFrame} frame */
  #onFrame(frame) {
    if (frame.type === "onSession") {
      const session = this.#add(frame.session, this.#media());
      session.rings();
      this.#options.onSession(session, frame.extra);
    } else if (frame.type === "recovered") {
      // A page that was loaded anew has no session to go on with: the others shall not wait.
      if (!this.#sessions.has(frame.sessionId)) this.#request("hungup", { sessionId: frame.sessionId });
    } else if (frame.type === "onOfflineRecord") {
      this.#options.onOfflineRecord?.(frame.record);
    } else {
      this.#sessions.get(frame.sessionId)?.take(frame);
    }
  }
}

/** @param {unknown} id */
function isId(id) {
  return typeof id === "string" && id !== "";
}

/**
 * @param {any} listener
 * @param {boolean} group
 */
function isListener(listener, group) {
  const required = group ? [...REQUIRED, "onMemberModify"] : REQUIRED;
  return required.every((name) => typeof listener?.[name] === "function");
}
