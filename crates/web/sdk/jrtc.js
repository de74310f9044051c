/**
 * JRTC's multi-party calls on Crosspoint.
 *
 * ```js
 * import { JRTCClient, JRTCCall } from "jrtc";
 * const client = new JRTCClient({ onLogin: (result) => { ... } });
 * client.login(userId, token);
 * const call = new JRTCCall(client, { onJoin, onInviteReceived, ... });
 * call.join("serial number");
 * ```
 *
 * The callbacks are those of `JRTCCallCallback`, their arguments and codes the server's; methods give
 * back at once whether something was begun, and results come by callback. The methods' names are those
 * that the callbacks refer to.
 */

import { CallConnection, serverOf } from "./calls/connection.js";
import { CallMedia } from "./calls/media.js";

/** @import { CallFrame } from "./calls/connection.js" */
/** @import { MediaGrant } from "./calls/media.js" */

export const JRTCCallCenterMessageType = /** @type {const} */ ({ UNKNOWN: 0, ONE_TO_ONE: 1, GROUP: 2 });

export const JRTCCallState = /** @type {const} */ ({ IDLE: 0, JOINING: 1, JOINED: 2, LEAVING: 3 });

/** Sizes for `requestVideo`, as heights of a picture in pixels; 0: as large as it comes. */
export const JRTCVideoSize = /** @type {const} */ ({ MIN: 90, SMALL: 180, LARGE: 360, MAX: 0 });

/**
 * `JRTCReasonCode` and `JRTCError`: 0; 1101 to 1999: why an operation failed; 2000 and more: why a
 * stay ended. Those that applications ask for by name:
 */
export const JRTCReasonCode = /** @type {const} */ ({
  NONE: 0,
  TOKEN_INVALID: 1101,
  TOKEN_EXPIRED: 1102,
  BANNED: 1105,
  KICKED_OTHER_DEVICE: 1106,
  FORBIDDEN: 1110,
  PARAM: 1201,
  STATE: 1202,
  NOT_FOUND: 1203,
  ALREADY_IN_CALL: 1206,
  CALL_ENDED: 1209,
  ALREADY_HANDLED: 1210,
  TOO_LARGE: 1212,
  TIMEOUT: 1402,
  CANCELED_OR_TIMEOUT: 1405,
  MIC: 1501,
  CAMERA: 1502,
  MIC_CAMERA: 1503,
  JOIN_ROOM: 1504,
  LEFT_NETWORK: 2007,
  LEFT_KICKED: 2019,
  LEFT_DISSOLVED: 2020,
  LEFT_RECORD_ABORT: 2027,
});

export const JRTCError = JRTCReasonCode;

/** @typedef {number} JRTCReasonCode */
/** @typedef {number} JRTCError */

/**
 * @typedef {object} JRTCCallExtraParam
 * @property {boolean} video
 * @property {string} serialId
 * @property {string} callerUserId
 * @property {string} callerDisplayName
 * @property {string} calleeUserId
 * @property {string} calleeDisplayName
 * @property {string} calleeUserType
 * @property {string} routeId
 * @property {string} extraInfo
 */

/**
 * @typedef {object} JRTCRoomParticipant
 * @property {string} userId
 * @property {string} displayName
 * @property {string} role
 * @property {boolean} audio
 * @property {boolean} video
 * @property {string} streamId
 * @property {string} netStatus
 * @property {string} volumeStatus NONE, VERY_LOW, LOW, MID, HIGH or VERY_HIGH
 * @property {string[]} extraStreams
 */

/** @typedef {Record<"audio" | "video" | "netStatus" | "volumeStatus" | "role" | "displayName" | "videoSize" | "extraStream", boolean>} JRTCRoomParticipantChangeParam */
/** @typedef {Record<"screenShare" | "recordState" | "audioOutput" | "uploadVideo" | "uploadAudio" | "customProperty", boolean>} JRTCRoomPropChangeParam */

/**
 * @typedef {object} JRTCCallCallback
 * @property {(result: boolean, reasonCode: JRTCReasonCode) => void} [onJoin]
 * @property {(serialId: string, reasonCode: JRTCReasonCode) => void} [onLeave]
 * @property {(operatorId: number, result: boolean, reason: string) => void} [onInviteResult]
 * @property {(operatorId: number, result: boolean, reason: string) => void} [onCancelInviteResult]
 * @property {(operatorId: number, result: boolean, reason: string) => void} [onAcceptInviteResult]
 * @property {(operatorId: number, result: boolean, reason: string) => void} [onRejectInviteResult]
 * @property {(param: JRTCCallExtraParam) => void} [onInviteReceived]
 * @property {(param: JRTCCallExtraParam) => void} [onInviteCanceled]
 * @property {(param: JRTCCallExtraParam) => void} [onInviteAccepted]
 * @property {(param: JRTCCallExtraParam) => void} [onInviteRejected]
 * @property {(participant: JRTCRoomParticipant) => void} [onParticipantJoin]
 * @property {(participant: JRTCRoomParticipant, reason: JRTCReasonCode) => void} [onParticipantLeft]
 * @property {(participant: JRTCRoomParticipant, changeParam: JRTCRoomParticipantChangeParam) => void} [onParticipantUpdate]
 * @property {(result: boolean) => void} [onKickUserResult]
 * @property {(propChangeParam: JRTCRoomPropChangeParam) => void} [onCallPropertyChanged]
 * @property {(operatorId: number, result: boolean, error: JRTCError) => void} [onMessageSendResult]
 * @property {(content: string, contentType: string, messageType: number, fromUserId: string) => void} [onMessageReceived]
 * @property {(isShutDown: boolean, deliveryUserId: string, reason: string) => void} [onDeliveryAbort]
 */

/**
 * @typedef {object} JRTCClientCallback
 * @property {(result: boolean, reason: JRTCReasonCode) => void} [onLogin]
 * @property {(reason: JRTCReasonCode) => void} [onLogout]
 */

/** Buckets of volumes from 0 to 100, loudest first. */
const VOLUMES = [
  { above: 80, name: "VERY_HIGH" },
  { above: 70, name: "HIGH" },
  { above: 50, name: "MID" },
  { above: 40, name: "LOW" },
  { above: 30, name: "VERY_LOW" },
];

/** Largest message, in bytes of UTF-8. */
const MESSAGE_BYTES_MAX = 4096;
const NO_OPERATION = -1;

/** Who we are. */
export class JRTCClient {
  #callback;
  #url;
  /** @type {CallConnection | null} */
  #connection = null;
  #online = false;
  /** @type {Set<(frame: CallFrame) => void>} */
  #listeners = new Set();
  userId = "";

  /**
   * @param {JRTCClientCallback} [callback]
   * @param {{ serverUrl?: string }} [options] default: the server that this module came from
   */
  constructor(callback = {}, { serverUrl = serverOf(import.meta.url) } = {}) {
    this.#callback = callback;
    this.#url = serverUrl;
  }

  /** For calls. */
  get serverUrl() {
    return this.#url;
  }

  get isOnline() {
    return this.#online;
  }

  /**
   * @param {string} userId
   * @param {string} password the user's token, unless `param.token` is
   * @param {{ token?: string, terminalType?: "web" | "mobile" }} [param]
   * @returns {boolean} whether it began; onLogin follows then
   */
  login(userId, password, param = {}) {
    if (this.#connection || !userId) return false;
    const connection = new CallConnection({ url: this.#url, dialect: "jrtc", token: param.token ?? password });
    this.#connection = connection;
    this.userId = userId;
    connection.on("event", (frame) => this.#onFrame(frame));
    connection.on("lost", () => this.#end(JRTCReasonCode.LEFT_NETWORK));
    connection.login({ userId, terminalType: param.terminalType }).then(
      ({ result, reasonCode }) => {
        this.#online = result;
        if (!result) this.#drop();
        this.#callback.onLogin?.(result, reasonCode);
      },
      (error) => {
        this.#drop();
        const refused = error.type === "unauthorized" || error.type === "forbidden";
        this.#callback.onLogin?.(false, refused ? JRTCReasonCode.TOKEN_INVALID : JRTCReasonCode.TIMEOUT);
      },
    );
    return true;
  }

  /** @returns {boolean} */
  logout() {
    if (!this.#connection) return false;
    this.#end(JRTCReasonCode.NONE);
    return true;
  }

  /**
   * For calls.
   *
   * @param {string} type
   * @param {Record<string, unknown>} fields
   */
  request(type, fields) {
    return this.#connection?.request(type, fields) ?? Promise.reject(new Error("not logged in"));
  }

  /** For calls. @param {(frame: CallFrame) => void} listener */
  listen(listener) {
    this.#listeners.add(listener);
  }

  /** @param {CallFrame} frame */
  #onFrame(frame) {
    if (frame.type === "onLogout") return this.#end(frame.reasonCode);
    for (const listener of this.#listeners) listener(frame);
  }

  /** @param {number} reason */
  #end(reason) {
    for (const listener of this.#listeners) listener({ type: "offline", reasonCode: reason });
    this.#drop();
    this.#callback.onLogout?.(reason);
  }

  #drop() {
    this.#connection?.close();
    this.#connection = null;
    this.#online = false;
  }
}

/** The one call that a client is in. */
export class JRTCCall {
  #client;
  #callback;
  /** @type {number} */
  #state = JRTCCallState.IDLE;
  #operations = 0;
  #callId = "";
  #serialId = "";
  #role = "";
  /** @type {Map<string, JRTCRoomParticipant>} */
  #participants = new Map();
  #props = { shareUserId: "", shareStreamId: /** @type {string | null} */ (null), suspended: false, tip: "", recordState: "READY" };
  /** What is sent; the setting survives the call. */
  #upload = { audio: false, video: true };
  /** @type {CallMedia | null} */
  #media = null;
  /** Answers of kicks come in order and name nobody. */
  #kicking = false;

  /**
   * @param {JRTCClient} client
   * @param {JRTCCallCallback} [callback]
   */
  constructor(client, callback = {}) {
    this.#client = client;
    this.#callback = callback;
    client.listen((frame) => this.#onFrame(frame));
  }

  get state() {
    return this.#state;
  }

  /**
   * Joins the call with this serial number, or makes it.
   *
   * @param {string} serialId
   * @param {{ video?: boolean, role?: string, extraInfo?: string, inviteCalleeUserId?: string }} [param]
   * @returns {boolean} whether it began; onJoin follows then
   */
  join(serialId, param = {}) {
    if (!this.#client.isOnline || this.#state !== JRTCCallState.IDLE || !serialId) return false;
    const { video = true, role = this.#role, extraInfo, inviteCalleeUserId } = param;
    this.#state = JRTCCallState.JOINING;
    this.#request("join", { serialId, video, role, extraInfo }).then(async (reply) => {
      await this.#enter(reply);
      if (inviteCalleeUserId && this.#state === JRTCCallState.JOINED) {
        this.invite(inviteCalleeUserId, { extraInfo });
      }
    });
    return true;
  }

  /** @returns {boolean} whether it began; onLeave follows then */
  leave() {
    return this.#depart("leave");
  }

  /** Ends the call for all. @returns {boolean} */
  stop() {
    return this.#depart("stop");
  }

  /**
   * @param {string} calleeUserId
   * @param {Partial<JRTCCallExtraParam>} [param]
   * @returns {number} operatorId of onInviteResult; -1: nothing was begun
   */
  invite(calleeUserId, param = {}) {
    if (this.#state !== JRTCCallState.JOINED || !calleeUserId) return NO_OPERATION;
    return this.#operate("invite", { calleeUserId, param }, this.#callback.onInviteResult);
  }

  /** Withdraws every invitation of ours that is not answered. @returns {number} */
  cancelInvite() {
    if (this.#state !== JRTCCallState.JOINED) return NO_OPERATION;
    return this.#operate("cancelInvite", {}, this.#callback.onCancelInviteResult);
  }

  /** @param {boolean} video @returns {number} */
  acceptInvite(video) {
    if (!this.#client.isOnline || this.#state !== JRTCCallState.IDLE) return NO_OPERATION;
    const operatorId = this.#operations++;
    this.#state = JRTCCallState.JOINING;
    this.#request("acceptInvite", { video, role: this.#role }).then((reply) => {
      this.#callback.onAcceptInviteResult?.(operatorId, reply.result, reply.reason);
      if (reply.result) this.#enter(reply);
      else this.#state = JRTCCallState.IDLE;
    });
    return operatorId;
  }

  /** @returns {number} */
  rejectInvite() {
    if (!this.#client.isOnline) return NO_OPERATION;
    return this.#operate("rejectInvite", {}, this.#callback.onRejectInviteResult);
  }

  /**
   * @param {string} contentType
   * @param {string} content at most 4 KiB
   * @param {string} [toUserId] nobody: all
   * @returns {number}
   */
  sendMessage(contentType, content, toUserId) {
    if (this.#state !== JRTCCallState.JOINED) return NO_OPERATION;
    const operatorId = this.#operations++;
    const tell = (/** @type {any} */ { result, reasonCode }) =>
      this.#callback.onMessageSendResult?.(operatorId, result, reasonCode);
    if (new TextEncoder().encode(content).length > MESSAGE_BYTES_MAX) {
      queueMicrotask(() => tell({ result: false, reasonCode: JRTCReasonCode.TOO_LARGE }));
    } else {
      this.#request("sendMessage", { contentType, content, toUserId }).then(tell);
    }
    return operatorId;
  }

  /** @param {string} userId @returns {boolean} whether it began: one at a time */
  kickUser(userId) {
    if (this.#state !== JRTCCallState.JOINED || this.#kicking || !userId) return false;
    this.#kicking = true;
    this.#request("kickUser", { userId }).then(({ result }) => {
      this.#kicking = false;
      this.#callback.onKickUserResult?.(result);
    });
    return true;
  }

  /** For the next `join` or `acceptInvite`. @param {string} role member, host, guest or audience */
  setRole(role) {
    this.#role = role;
  }

  /** @param {boolean} enable @returns {boolean} */
  enableUploadAudioStream(enable) {
    return this.#setUpload("audio", enable);
  }

  /** @param {boolean} enable @returns {boolean} */
  enableUploadVideoStream(enable) {
    return this.#setUpload("video", enable);
  }

  /**
   * @param {JRTCRoomParticipant} participant
   * @param {number} size a JRTCVideoSize
   * @returns {boolean}
   */
  requestVideo({ userId }, size) {
    if (!this.#participants.has(userId)) return false;
    this.#request("requestVideo", { userId, kind: "video", height: size });
    return true;
  }

  /** @param {JRTCRoomParticipant} participant @returns {boolean} */
  unRequestVideo({ userId }) {
    if (!this.#participants.has(userId)) return false;
    this.#request("unRequestVideo", { userId, kind: "video" });
    return true;
  }

  /** @param {boolean} enable @returns {boolean} */
  enableScreenShare(enable) {
    const media = this.#media;
    if (this.#state !== JRTCCallState.JOINED || !media) return false;
    const set = (/** @type {boolean} */ on) => media.room.localParticipant.setScreenShareEnabled(on);
    if (!enable) {
      set(false).then(() => this.#request("screenShare", { action: "stop" }));
      return true;
    }
    // The call's one screen is asked for first; who gets it chooses what to show.
    this.#request("screenShare", { action: "start" }).then(({ result }) => {
      if (result) set(true).catch(() => this.#request("screenShare", { action: "stop" }));
    });
    return true;
  }

  /**
   * @param {boolean} suspend
   * @param {string} [tip]
   * @returns {boolean}
   */
  suspendScreenShare(suspend, tip = "") {
    const track = this.#media?.room.localParticipant.track("screen_share");
    if (!track) return false;
    this.#media?.room.localParticipant.setMuted(track, suspend);
    this.#request("screenShare", { action: suspend ? "pause" : "resume", tip });
    return true;
  }

  isSuspendScreenShare() {
    return this.#props.suspended;
  }

  getShareUserId() {
    return this.#props.shareUserId;
  }

  /** @returns {string | undefined} */
  getShareStreamId() {
    return this.#props.shareStreamId ?? undefined;
  }

  /**
   * @param {boolean} enable
   * @param {{ mode?: "each" | "mixed" }} [param]
   * @returns {boolean}
   */
  enableRemoteRecord(enable, { mode } = {}) {
    if (this.#state !== JRTCCallState.JOINED) return false;
    this.#request("remoteRecord", { enabled: enable, mode });
    return true;
  }

  /** @returns {string} READY or RUNNING */
  getRemoteRecordState() {
    return this.#props.recordState;
  }

  getCallId() {
    return this.#callId;
  }

  getSerialId() {
    return this.#serialId;
  }

  /** @returns {JRTCRoomParticipant[]} */
  getParticipants() {
    return [...this.#participants.values()].map((each) => ({ ...each }));
  }

  /** Figures of the media, as JSON. */
  async getStatistics() {
    return JSON.stringify((await this.#media?.room.stats()) ?? null);
  }

  /** The same in the browser's own words. */
  async getJsonStats() {
    const stats = await this.#media?.room.rawStats();
    return JSON.stringify(stats ? [...stats.values()] : []);
  }

  /** The media, to show pictures: `participants` and their tracks. */
  get room() {
    return this.#media?.room ?? null;
  }

  /**
   * @param {string} type
   * @param {Record<string, unknown>} fields
   * @returns {Promise<Record<string, any>>} with a result in any case
   */
  async #request(type, fields) {
    try {
      return await this.#client.request(type, fields);
    } catch (error) {
      return { result: false, reasonCode: JRTCReasonCode.TIMEOUT, reason: String(error) };
    }
  }

  /**
   * @param {string} type
   * @param {Record<string, unknown>} fields
   * @param {((operatorId: number, result: boolean, reason: string) => void) | undefined} tell
   */
  #operate(type, fields, tell) {
    const operatorId = this.#operations++;
    this.#request(type, fields).then(({ result, reason }) => tell?.call(this.#callback, operatorId, result, reason));
    return operatorId;
  }

  /** @param {Record<string, any>} reply to `join` or `acceptInvite` */
  async #enter(reply) {
    if (!reply.result) {
      this.#state = JRTCCallState.IDLE;
      this.#callback.onJoin?.(false, reply.reasonCode);
      return;
    }
    this.#note(reply.call);
    const code = await this.#joinMedia(reply.rtc);
    if (code !== JRTCReasonCode.NONE) {
      this.#reset();
      this.#request("leave", {});
      this.#callback.onJoin?.(false, code);
      return;
    }
    // Over already, while media came up: onLeave was told.
    if (this.#state !== JRTCCallState.JOINING) return;
    this.#state = JRTCCallState.JOINED;
    this.#callback.onJoin?.(true, JRTCReasonCode.NONE);
  }

  /** @param {any} call */
  #note(call) {
    this.#callId = call.callId;
    this.#serialId = call.serialId;
    this.#props = call.props;
    this.#participants.clear();
    for (const each of call.participants) if (each.userId !== this.#client.userId) this.#participants.set(each.userId, each);
  }

  /** @param {MediaGrant} [grant] */
  async #joinMedia(grant) {
    if (!grant) return JRTCReasonCode.NONE;
    const media = new CallMedia({ url: this.#client.serverUrl });
    this.#media = media;
    media.room.on("activeSpeakers", ({ speakers }) => this.#onSpeakers(speakers));
    const { audio, video } = this.#upload;
    const opened = await media.open({ microphone: audio ? {} : null, camera: video ? {} : null });
    if (opened.microphoneError && opened.cameraError) return JRTCReasonCode.MIC_CAMERA;
    if (opened.microphoneError) return JRTCReasonCode.MIC;
    if (opened.cameraError) return JRTCReasonCode.CAMERA;
    return media.join(grant).then(() => JRTCReasonCode.NONE, () => JRTCReasonCode.JOIN_ROOM);
  }

  /** @param {"leave" | "stop"} type */
  #depart(type) {
    if (this.#state === JRTCCallState.IDLE || this.#state === JRTCCallState.LEAVING) return false;
    this.#state = JRTCCallState.LEAVING;
    this.#request(type, {}).then(({ result }) => {
      if (!result && this.#state === JRTCCallState.LEAVING) this.#state = JRTCCallState.JOINED;
    });
    return true;
  }

  /**
   * @param {"audio" | "video"} kind
   * @param {boolean} enabled
   */
  #setUpload(kind, enabled) {
    this.#upload[kind] = enabled;
    if (this.#state !== JRTCCallState.JOINED || !this.#media) return true;
    this.#media.setEnabled(kind, enabled).catch(() => (this.#upload[kind] = !enabled));
    this.#request("upload", { kind, enabled });
    return true;
  }

  /** @param {CallFrame} frame */
  #onFrame(frame) {
    const callback = this.#callback;
    switch (frame.type) {
      case "onInviteReceived":
        this.#request("ringing", { callId: frame.callId });
        return callback.onInviteReceived?.(frame.param);
      case "onInviteCanceled":
        return callback.onInviteCanceled?.(frame.param);
      case "onInviteAccepted":
        return callback.onInviteAccepted?.(frame.param);
      case "onInviteRejected":
        return callback.onInviteRejected?.(frame.param);
      case "onParticipantJoin":
        this.#participants.set(frame.participant.userId, frame.participant);
        return callback.onParticipantJoin?.(frame.participant);
      case "onParticipantLeft":
        this.#participants.delete(frame.participant.userId);
        return callback.onParticipantLeft?.(frame.participant, frame.reason);
      case "onParticipantUpdate":
        if (frame.participant.userId !== this.#client.userId) {
          const { volumeStatus } = this.#participants.get(frame.participant.userId) ?? frame.participant;
          this.#participants.set(frame.participant.userId, { ...frame.participant, volumeStatus });
        }
        return callback.onParticipantUpdate?.(frame.participant, frame.changeParam);
      case "onCallPropertyChanged":
        this.#props = frame.props;
        return callback.onCallPropertyChanged?.(frame.propChangeParam);
      case "onMessageReceived":
        return callback.onMessageReceived?.(frame.content, frame.contentType, frame.messageType, frame.fromUserId);
      case "onDeliveryAbort":
        return callback.onDeliveryAbort?.(frame.isShutDown, frame.deliveryUserId, frame.reason);
      case "rtcRoom":
        this.#media?.join(frame.rtc).catch(() => {});
        return;
      case "recovered":
        this.#recover(frame);
        return;
      case "onLeave":
        return this.#left(frame.serialId, frame.reasonCode);
      case "offline":
        if (this.#state !== JRTCCallState.IDLE) this.#left(this.#serialId, frame.reasonCode);
    }
  }

  /** A page that was loaded anew finds its call: it joins again. @param {CallFrame} frame */
  async #recover(frame) {
    if (this.#state !== JRTCCallState.IDLE) {
      this.#note(frame.call);
      return;
    }
    this.#state = JRTCCallState.JOINING;
    await this.#enter({ result: true, call: frame.call, rtc: frame.rtc });
  }

  /**
   * @param {string} serialId
   * @param {number} reasonCode
   */
  #left(serialId, reasonCode) {
    if (this.#state === JRTCCallState.IDLE) return;
    this.#reset();
    this.#callback.onLeave?.(serialId, reasonCode);
  }

  #reset() {
    this.#state = JRTCCallState.IDLE;
    this.#media?.close();
    this.#media = null;
    this.#participants.clear();
    this.#callId = "";
    this.#serialId = "";
  }

  /** @param {{ participant: { identity: string }, level: number }[]} speakers */
  #onSpeakers(speakers) {
    const levels = new Map(speakers.map(({ participant, level }) => [participant.identity, level]));
    for (const participant of this.#participants.values()) {
      const volumeStatus = volumeOf((levels.get(participant.userId) ?? 0) * 100);
      if (volumeStatus === participant.volumeStatus) continue;
      participant.volumeStatus = volumeStatus;
      this.#callback.onParticipantUpdate?.({ ...participant }, { ...NOTHING_CHANGED, volumeStatus: true });
    }
  }
}

/** @type {JRTCRoomParticipantChangeParam} */
const NOTHING_CHANGED = {
  audio: false,
  video: false,
  netStatus: false,
  volumeStatus: false,
  role: false,
  displayName: false,
  videoSize: false,
  extraStream: false,
};

/** The bucket of a volume from 0 to 100. @param {number} volume */
export function volumeOf(volume) {
  const bucket = VOLUMES.find(({ above }) => volume > above);
  return bucket?.name ?? "NONE";
}
