/**
 * RCCallSession: one call as CallLib shows it to an application.
 *
 * The server says what happens, already in CallLib's numbers and from this end's point of view; the
 * session keeps what the getters answer, owns the media, and calls the listener.
 */

import {
  ConversationType,
  RCCallEndReason,
  RCCallErrorCode,
  RCCallMediaType,
  RCCallSessionState,
  RCCallUserState,
  cameraOptions,
  microphoneOptions,
} from "./codes.js";
import { StateReporter } from "./state-report.js";
import { RCTrack } from "./track.js";

/** @import { CallFrame } from "../calls/connection.js" */
/** @import { CallMedia, MediaGrant, Opened } from "../calls/media.js" */
/** @import { Flavour } from "./call-client.js" */
/** @import { ICameraVideoProfile, IMicphoneAudioProfile } from "./codes.js" */
/** @import { IRCRTCStateReport } from "./state-report.js" */

/**
 * @typedef {object} ISenderInfo
 * @property {string} userId
 * @property {string} [name]
 * @property {string} [portraitUri]
 * @property {string} [extra]
 */

/** @typedef {ISenderInfo & { state: number, isCaller: boolean, isRemote: boolean }} IUserData */

/**
 * @typedef {object} IMuteUser
 * @property {string} userId
 * @property {boolean} muted
 * @property {string} [kind]
 * @property {string} [trackId]
 */

/**
 * @typedef {object} IEndSummary
 * @property {number} conversationType
 * @property {string} channelId
 * @property {string} targetId
 * @property {number} mediaType
 * @property {number} beginTimestamp ms since 1970; 0 when it never connected
 * @property {number} endTimestamp ms since 1970
 * @property {number} duration ms
 * @property {number} endReason an RCCallEndReason
 */

/**
 * @typedef {object} ISessionListener
 * @property {(sender: ISenderInfo, session: RCCallSession) => void} onRinging
 * @property {(sender: ISenderInfo, session: RCCallSession) => void} onAccept
 * @property {(sender: ISenderInfo, reason: number, session: RCCallSession) => void} onHungup
 * @property {(...args: any[]) => void} onTrackReady (track, session); the wrapper's: (userId, mediaType, session)
 * @property {(sender: ISenderInfo, invitedUsers: ISenderInfo[], session: RCCallSession) => void} [onMemberModify]
 * @property {(sender: ISenderInfo, mediaType: number, session: RCCallSession) => void} [onMediaModify]
 * @property {(muteUser: IMuteUser, session: RCCallSession) => void} [onAudioMuteChange]
 * @property {(muteUser: IMuteUser, session: RCCallSession) => void} [onVideoMuteChange]
 * @property {(report: IRCRTCStateReport, session: RCCallSession) => void} [onRTCStateReport]
 * @property {(report: IRCRTCStateReport, session: RCCallSession) => void} [OnRTCStateReport] as the samples spell it
 */

/**
 * How the server describes a call.
 *
 * @typedef {object} SessionDescription
 * @property {string} sessionId
 * @property {string} rtcSessionId
 * @property {number} conversationType
 * @property {string} targetId
 * @property {string} channelId
 * @property {number} mediaType
 * @property {(ISenderInfo & { state: number, isCaller: boolean })[]} users
 */

/**
 * @typedef {object} Link
 * @property {SessionDescription} description
 * @property {CallMedia} media
 * @property {string} userId ours
 * @property {Flavour} flavour
 * @property {(type: string, fields: Record<string, unknown>) => Promise<Record<string, any>>} request
 * @property {(session: RCCallSession, summary?: IEndSummary) => void} closed
 */

/** @typedef {{ code: number }} Result */

const { SUCCESS } = RCCallErrorCode;
/** How often quality is reported, in milliseconds. */
const REPORT_INTERVAL_MS = 1_000;
/** Frames that wait for a listener; a call that nobody listens to says no more than this. */
const WAITING_MAX = 64;

export class RCCallSession {
  #link;
  #about;
  /** @type {Map<string, IUserData>} */
  #users = new Map();
  /** @type {number} */
  #state = RCCallSessionState.WAITING;
  /** @type {ISessionListener | null} */
  #listener = null;
  /** What came before there was a listener. @type {(() => void)[]} */
  #waiting = [];
  /** @type {RCTrack[]} */
  #tracks = [];
  /** Set while our own hanging up is on its way: the close is told after its promise. */
  #hangingUp = false;
  /** @type {IEndSummary | undefined} */
  #summary;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #reports;

  /** @param {Link} link */
  constructor(link) {
    this.#link = link;
    this.#about = link.description;
    for (const user of link.description.users) this.#note(user, user.state, user.isCaller);
    link.media.on("localTrack", (track) => this.#trackReady(new RCTrack(track, link.userId)));
    link.media.on("remoteTrack", ({ track, participant }) =>
      this.#trackReady(new RCTrack(track, participant.identity)),
    );
  }

  /** @param {ISessionListener} listener */
  registerSessionListener(listener) {
    this.#listener = listener;
    for (const tell of this.#waiting.splice(0)) tell();
  }

  /**
   * Answers. Whether it is a video call was decided by the caller.
   *
   * @param {{ video?: ICameraVideoProfile, audio?: IMicphoneAudioProfile }} [profiles]
   * @returns {Promise<Result>}
   */
  async accept({ video, audio } = {}) {
    const media = this.#link.media;
    const opened = await media.open({
      microphone: microphoneOptions(audio),
      camera: this.#about.mediaType === RCCallMediaType.AUDIO_VIDEO ? cameraOptions(video) : null,
    });
    const code = mediaErrorCode(opened);
    if (code !== SUCCESS) {
      await this.#giveUp(RCCallEndReason.GET_MEDIA_RESOURCES_ERROR);
      return { code };
    }
    const reply = await this.#request("accept");
    if (reply.code !== SUCCESS) {
      await media.close();
      return { code: reply.code };
    }
    this.#state = RCCallSessionState.KEEPING;
    return { code: reply.rtc ? await this.#join(reply.rtc) : SUCCESS };
  }

  /**
   * Hangs up, refuses or withdraws, whichever it is now. The others are told the right reason.
   *
   * @returns {Promise<Result>}
   */
  async hungup() {
    this.#hangingUp = true;
    const rang = this.#state === RCCallSessionState.WAITING && !this.#isOurs();
    const { code } = await this.#request("hungup");
    await this.#link.media.close();
    // Who refuses was never in the call, and hears no more of it.
    if (rang && code === SUCCESS) this.#end(this.#neverConnected(RCCallEndReason.REJECT));
    this.#hangingUp = false;
    // The promise settles first, then the close is told.
    if (this.#state === RCCallSessionState.END) setTimeout(() => this.#close(), 0);
    return { code };
  }

  /**
   * Calls more members of the group into this call.
   *
   * @param {string[]} userIds
   * @param {{ extra?: string, pushTitle?: string, pushContent?: string }} [options]
   * @returns {Promise<Result>}
   */
  async invite(userIds, options = {}) {
    if (this.getConversationType() !== ConversationType.GROUP) {
      return { code: RCCallErrorCode.CONVERSATION_NOT_GROUP_ERROR };
    }
    const known = (/** @type {string} */ id) => id === this.#link.userId || this.#users.has(id);
    const fresh = [...new Set(userIds)].filter((id) => typeof id === "string" && id && !known(id));
    if (fresh.length === 0) return { code: RCCallErrorCode.PARAM_ERROR };
    const { extra, pushTitle, pushContent } = options;
    const { code } = await this.#request("invite", { userIds: fresh, extra, pushTitle, pushContent });
    if (code === SUCCESS) for (const userId of fresh) this.#invited({ userId });
    return { code };
  }

  /** Unique id of the call. */
  getSessionId() {
    return this.#about.sessionId;
  }

  /** Id of the room that carries its media. */
  getRTCSessionId() {
    return this.#about.rtcSessionId;
  }

  /** The other user, or the group. */
  getTargetId() {
    return this.#about.targetId;
  }

  /** 1: one-to-one, 3: group. */
  getConversationType() {
    return this.#about.conversationType;
  }

  getChannelId() {
    return this.#about.channelId;
  }

  /** 0: not connected yet, 1: in the call, 2: over. */
  getState() {
    return this.#state;
  }

  /** @param {string} userId */
  getUserState(userId) {
    if (userId === this.#link.userId) {
      if (this.#state === RCCallSessionState.END) return RCCallUserState.NONE;
      return this.#state === RCCallSessionState.KEEPING ? RCCallUserState.KEEPING : RCCallUserState.WAITING;
    }
    return this.#users.get(userId)?.state ?? RCCallUserState.NONE;
  }

  /** The others. @returns {IUserData[]} */
  getRemoteUsers() {
    return [...this.#users.values()].map((user) => ({ ...user }));
  }

  /**
   * Uses another microphone; without argument the default one.
   *
   * @param {IMicphoneAudioProfile} [profile]
   * @returns {Promise<Result>}
   */
  async changeAudioDevice({ micphoneId = "default" } = {}) {
    try {
      await this.#link.media.room.localParticipant.switchDevice("audioinput", micphoneId);
      return { code: SUCCESS };
    } catch {
      return { code: RCCallErrorCode.GET_LOCAL_AUDIO_TRACK_ERROR };
    }
  }

  /**
   * Turns a video call into one of sound only, for all; there is no way back.
   *
   * @returns {Promise<Result>}
   */
  async descendAbility() {
    if (this.#about.mediaType !== RCCallMediaType.AUDIO_VIDEO) {
      return { code: RCCallErrorCode.MISSING_VIDEO_TRACK_ERROR };
    }
    const { code } = await this.#request("descendAbility");
    if (code !== SUCCESS) return { code };
    this.#about.mediaType = RCCallMediaType.AUDIO;
    try {
      await this.#link.media.endVideo();
      return { code };
    } catch {
      return { code: RCCallErrorCode.UNPUBLISH_VIDEO_ERROR };
    }
  }

  /** @returns {Promise<Result>} */
  disableVideoTrack() {
    return this.#setEnabled("video", false);
  }

  /** @returns {Promise<Result>} */
  enableVideoTrack() {
    return this.#setEnabled("video", true);
  }

  /** @returns {Promise<Result>} */
  disableAudioTrack() {
    return this.#setEnabled("audio", false);
  }

  /** @returns {Promise<Result>} */
  enableAudioTrack() {
    return this.#setEnabled("audio", true);
  }

  /** For the client: the server took our call. @param {MediaGrant} [grant] */
  begin(grant) {
    for (const kind of /** @type {const} */ (["audio", "video"])) {
      const track = this.#link.media.localTrack(kind);
      if (track) queueMicrotask(() => this.#trackReady(new RCTrack(track, this.#link.userId)));
    }
    if (grant) this.#join(grant);
  }

  /** For the client: it came in; the caller hears that it rings here. */
  rings() {
    this.#request("ringing");
  }

  /** For the client: the connection is gone for good. */
  lost() {
    this.#end(this.#neverConnected(RCCallEndReason.NETWORK_ERROR));
  }

  /** For the client: the server says something of this call. @param {CallFrame} frame */
  take(frame) {
    switch (frame.type) {
      case "onRinging":
        this.#note(frame.sender, RCCallUserState.WAITING);
        return this.#tell((listener) => listener.onRinging(frame.sender, this));
      case "onAccept":
        this.#note(frame.sender, RCCallUserState.KEEPING);
        if (this.#state === RCCallSessionState.WAITING && this.#isOurs()) this.#state = RCCallSessionState.KEEPING;
        return this.#tell((listener) => listener.onAccept(frame.sender, this));
      case "onHungup":
        this.#users.delete(frame.sender.userId);
        return this.#tell((listener) => listener.onHungup(frame.sender, frame.reason, this));
      case "onMemberModify":
        for (const user of frame.invitedUsers) this.#invited(user);
        return this.#tell((listener) => listener.onMemberModify?.(frame.sender, frame.invitedUsers, this));
      case "onMediaModify":
        this.#about.mediaType = frame.mediaType;
        if (frame.mediaType === RCCallMediaType.AUDIO) this.#link.media.endVideo().catch(() => {});
        return this.#tell((listener) => listener.onMediaModify?.(frame.sender, frame.mediaType, this));
      case "onAudioMuteChange":
        return this.#tell((listener) => listener.onAudioMuteChange?.(frame.muteUser, this));
      case "onVideoMuteChange":
        return this.#tell((listener) => listener.onVideoMuteChange?.(frame.muteUser, this));
      case "rtcRoom":
        this.#join(frame.rtc);
        return;
      case "onSessionClose":
        this.#end(frame.summaryInfo ?? this.#neverConnected(frame.reason));
    }
  }

  /**
   * The summary of a call that this end was not in.
   *
   * @param {number} endReason
   * @returns {IEndSummary}
   */
  #neverConnected(endReason) {
    return {
      conversationType: this.getConversationType(),
      channelId: this.getChannelId(),
      targetId: this.getTargetId(),
      mediaType: this.#about.mediaType,
      beginTimestamp: 0,
      endTimestamp: Date.now(),
      duration: 0,
      endReason,
    };
  }

  /** Whether we called. */
  #isOurs() {
    return ![...this.#users.values()].some((user) => user.isCaller);
  }

  /**
   * @param {string} type
   * @param {Record<string, unknown>} [fields]
   */
  #request(type, fields = {}) {
    return this.#link.request(type, { sessionId: this.getSessionId(), ...fields });
  }

  /** Ends our part because of a failure of our own. @param {number} reason */
  async #giveUp(reason) {
    const rang = this.#state === RCCallSessionState.WAITING && !this.#isOurs();
    await this.#request("hungup", { reason });
    await this.#link.media.close();
    if (rang) this.#end(this.#neverConnected(reason));
  }

  /**
   * @param {MediaGrant} grant
   * @returns {Promise<number>} a status code
   */
  async #join(grant) {
    try {
      await this.#link.media.join(grant);
    } catch {
      if (this.#state === RCCallSessionState.END) return SUCCESS;
      await this.#giveUp(RCCallEndReason.NETWORK_ERROR);
      return RCCallErrorCode.JOIN_ROOM_ERROR;
    }
    const lacking = (/** @type {"audio" | "video"} */ kind) => this.#link.media.localTrack(kind)?.sid === "";
    const code = publishErrorCode(lacking("audio"), lacking("video"));
    if (code !== SUCCESS) await this.#giveUp(RCCallEndReason.PUBLISH_ERROR);
    else this.#startReports();
    return code;
  }

  /**
   * @param {"audio" | "video"} kind
   * @param {boolean} enabled
   * @returns {Promise<Result>}
   */
  async #setEnabled(kind, enabled) {
    const media = this.#link.media;
    if (!media.localTrack(kind)) {
      const missing = kind === "video" ? "MISSING_VIDEO_TRACK_ERROR" : "GET_LOCAL_AUDIO_TRACK_ERROR";
      return { code: RCCallErrorCode[missing] };
    }
    try {
      await media.setEnabled(kind, enabled);
    } catch {
      const failed = kind === "video" ? "GET_LOCAL_VIDEO_TRACK_ERROR" : "GET_LOCAL_AUDIO_TRACK_ERROR";
      return { code: RCCallErrorCode[failed] };
    }
    const { code } = await this.#request("muteChange", { kind, muted: !enabled });
    return { code };
  }

  /** @param {ISenderInfo} user */
  #invited(user) {
    const { userId } = user;
    if (userId !== this.#link.userId && !this.#users.has(userId)) this.#note(user, RCCallUserState.WAITING);
  }

  /**
   * @param {ISenderInfo} user
   * @param {number} state
   * @param {boolean} [isCaller]
   */
  #note({ userId, name, portraitUri, extra }, state, isCaller = this.#users.get(userId)?.isCaller ?? false) {
    if (userId === this.#link.userId) return;
    this.#users.set(userId, { userId, state, isCaller, isRemote: true, name, portraitUri, extra });
  }

  /** @param {RCTrack} track */
  #trackReady(track) {
    if (this.#state === RCCallSessionState.END) return track.release();
    if (this.#tracks.some((known) => isSame(known, track))) return;
    this.#tracks.push(track);
    this.#tell((listener) => this.#link.flavour.trackReady(listener, track, this));
  }

  /** @param {(listener: ISessionListener) => void} tell */
  #tell(tell) {
    const listener = this.#listener;
    if (listener) tell(listener);
    else if (this.#waiting.length < WAITING_MAX) {
      this.#waiting.push(() => tell(/** @type {ISessionListener} */ (this.#listener)));
    }
  }

  #startReports() {
    if (!this.#link.flavour.reports || this.#reports) return;
    const reporter = new StateReporter();
    this.#reports = setInterval(async () => {
      const report = this.#listener?.onRTCStateReport ?? this.#listener?.OnRTCStateReport;
      const room = this.#link.media.room;
      const stats = report && (await room.rawStats());
      if (stats) report.call(this.#listener, reporter.report(stats, this.#ownerOf(await this.#feeds()), Date.now()), this);
    }, REPORT_INTERVAL_MS);
  }

  /** What feeds each slot, by mid. */
  async #feeds() {
    const stats = await this.#link.media.room.stats();
    return new Map((stats?.receiving ?? []).map((slot) => [slot.mid, { trackId: slot.track, userId: slot.identity }]));
  }

  /**
   * @param {Map<string, { trackId: string, userId: string }>} feeds
   * @returns {(mid: string, local: boolean) => { trackId: string, userId: string } | null}
   */
  #ownerOf(feeds) {
    const own = this.#link.media.room.localParticipant;
    return (mid, local) => {
      if (!local) return feeds.get(mid)?.trackId ? (feeds.get(mid) ?? null) : null;
      const track = own.tracks.find((track) => track.transceiver?.mid === mid);
      return track ? { trackId: track.sid, userId: own.identity } : null;
    };
  }

  /** @param {IEndSummary} [summary] */
  #end(summary) {
    if (this.#state === RCCallSessionState.END) return;
    this.#state = RCCallSessionState.END;
    this.#summary = summary;
    clearInterval(this.#reports);
    for (const track of this.#tracks) track.release();
    this.#users.clear();
    this.#link.media.close();
    if (!this.#hangingUp) this.#close();
  }

  #close() {
    this.#link.closed(this, this.#summary);
  }
}

/**
 * The status of opening devices.
 *
 * @param {Opened} opened
 * @returns {number}
 */
export function mediaErrorCode({ microphoneError, cameraError }) {
  if (microphoneError && cameraError) return RCCallErrorCode.GET_LOCAL_AUDIO_AND_VIDEO_TRACK_ERROR;
  if (microphoneError) return RCCallErrorCode.GET_LOCAL_AUDIO_TRACK_ERROR;
  return cameraError ? RCCallErrorCode.GET_LOCAL_VIDEO_TRACK_ERROR : SUCCESS;
}

/**
 * @param {boolean} audio could not be published
 * @param {boolean} video could not be published
 * @returns {number}
 */
function publishErrorCode(audio, video) {
  if (audio && video) return RCCallErrorCode.AUDIO_AND_VIDEO_PUBLISH_ERROR;
  if (audio) return RCCallErrorCode.AUDIO_PUBLISH_ERROR;
  return video ? RCCallErrorCode.VIDEO_PUBLISH_ERROR : SUCCESS;
}

/**
 * @param {RCTrack} a
 * @param {RCTrack} b
 */
function isSame(a, b) {
  return a.getUserId() === b.getUserId() && a.isAudioTrack() === b.isAudioTrack() && a.getTrackId() === b.getTrackId();
}
