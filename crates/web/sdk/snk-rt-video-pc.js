/**
 * `snk-rt-video-pc` on Crosspoint: the agent's end of a video contact centre.
 *
 * ```js
 * import RtVideo from "snk-rt-video-pc";
 * const rtVideo = new RtVideo({ systemCode, account, profile: "test" }, { next, error, complete });
 * ```
 *
 * Events come by server-sent events, commands go by HTTP, the seat's state by another address, as in
 * the original; what there is done by a native helper ("EXE") is done by the browser here.
 */

import { serverOf } from "./calls/connection.js";
import { deviceName } from "./calls/device-name.js";
import { CallMedia } from "./calls/media.js";
import { EventStream } from "./snk/event-stream.js";

/** @import { MediaGrant } from "./calls/media.js" */

const VideoEventType = /** @type {const} */ ({
  INCOMING_CALL: "INCOMING_CALL",
  RECOVERY_CALL: "RECOVERY_CALL",
  INCOMING_CALL_HANGUP: "INCOMING_CALL_HANGUP",
  VIDEOTAPE: "VIDEOTAPE",
  SNAPSHOT: "SNAPSHOT",
  STATE_CHANGE: "STATE_CHANGE",
  HTTP_BACK: "HTTP_BACK",
  EXE_EVENT: "EXE_EVENT",
  /** The document's table spells it so; both compare alike. */
  EXE_ERROR: "EXE_EVENT",
  EXCHANGE_CALL: "EXCHANGE_CALL",
  ADD_CALL: "ADD_CALL",
});

const ServiceFsmState = /** @type {const} */ ({
  DISCONNECTED: "disconnected",
  READY: "ready",
  LEAVE: "leave",
  WAIT: "wait",
  BUSY: "busy",
});

const VideoControlCode = /** @type {const} */ ({
  INCOMING_CALL: 50200,
  USER_INTERRUPT: 30017,
  USER_OFF_LINE: 30019,
  AUTO_END_SESSION: 30000,
  STAFF_CHANGE_ASK: 20100,
  STAFF_CHANGE_CALL_BACK_ACCEPT: 20101,
  STAFF_CHANGE_CALL_BACK_REJECT: 20102,
  STAFF_CHANGE_CALL_BACK_CANCEL: 20103,
  STAFF_CHANGE_LIVE_SRC: 50201,
  PARTICIPATOR_LIVE_SRC: 50202,
  VIDEO_REC_SRC: 50203,
  IMG_SRC: 50204,
  END_SESSION: 30025,
  ADDPARTICIPATOR_ASK: 20200,
  ADDPARTICIPATOR_CALL_BACK_ACCEPT: 20201,
  ADDPARTICIPATOR_CALL_BACK_REJECT: 20202,
  ADDPARTICIPATOR_DEL: 20203,
  ADDPARTICIPATOR_CANCEL: 20204,
});

/** Codes of the SDK's own failures, of the common errors. */
const PARAM = 1201;
const DEVICES = { microphone: 1501, camera: 1502, both: 1503, join: 1504 };
const FAILED = 500001;
const FAILED_TEXT = "操作失败";

/**
 * @typedef {object} Options
 * @property {string} systemCode
 * @property {string} account
 * @property {"dev" | "test"} [profile] the server that this file came from; else the three addresses
 * @property {string} [sseServerUrl]
 * @property {string} [videoServiceUrl]
 * @property {string} [stateServiceUrl]
 * @property {string} [token] required outside of the house
 * @property {boolean} [httpBackOnSuccess] tell of commands that succeeded, too
 */

/**
 * @typedef {object} Observer
 * @property {(event: { type: string, data: any }) => void} [next]
 * @property {(error: { code: number, message: string }) => void} [error]
 * @property {() => void} [complete]
 */

/** @typedef {{ code: number, msg: string }} Result */
/** @typedef {{ sid: string, newer?: string }} Colleague */

export default class RtVideo {
  static Consts = { VideoEventType, ServiceFsmState, VideoControlCode };

  #options;
  #observer;
  /** @type {string} */
  #state = ServiceFsmState.DISCONNECTED;
  /** @type {EventStream | null} */
  #stream = null;
  #urls;
  /** The session that is on, its media, and the elements that applications may show. */
  #sid = "";
  /** @type {CallMedia | null} */
  #media = null;
  /** A number for each command, which makes it one however often it arrives. */
  #nextId = Date.now();

  /**
   * Connects at once; the outcome comes as STATE_CHANGE or error.
   *
   * @param {Options} options
   * @param {Observer} [observer]
   */
  constructor(options, observer = {}) {
    this.#options = options;
    this.#observer = observer;
    this.#urls = addresses(options);
    if (!this.#urls || !options.systemCode || !options.account) {
      queueMicrotask(() => this.#fail(PARAM, "systemCode, account and profile or all three URLs are required"));
      return;
    }
    this.#connect();
  }

  /** @returns {string} disconnected, ready, leave, wait or busy */
  state() {
    return this.#state;
  }

  /** From ready to leave. */
  rest() {
    return this.#seat("rest");
  }

  /** From leave to ready. */
  back() {
    return this.#seat("back");
  }

  /** @param {string} sid */
  answer(sid) {
    return this.#take("answer", { sid });
  }

  /** Refuses a call that rings. @param {string} sid */
  refuse(sid) {
    return this.#command("refuse", { sid });
  }

  /** Hangs up a call that was answered. @param {string} sid */
  hangUp(sid) {
    return this.#command("hangUp", { sid });
  }

  /**
   * A picture of one stream; it comes as SNAPSHOT.
   *
   * @param {"pusher" | "player"} [type] what we send, or what we see
   * @returns {Promise<Result>}
   */
  async snapshot(type = "player") {
    const media = this.#media;
    const own = media?.localTrack("video")?.mediaStreamTrack;
    const [other] = [...(media?.room.participants.values() ?? [])];
    const source = type === "pusher" ? own : other?.track("camera")?.mediaStreamTrack;
    if (this.#state !== ServiceFsmState.BUSY || !media || !source) return this.#back(FAILED, FAILED_TEXT, this.#sid);
    const { dataUrl, width, height } = await media.snapshot(source);
    this.#next(VideoEventType.SNAPSHOT, { sid: this.#sid, type, base64: dataUrl, width, height });
    return { code: 0, msg: "ok" };
  }

  /** Connects anew; a session that is on comes back as RECOVERY_CALL. */
  reconnect() {
    this.#stream?.close();
    this.#connect();
  }

  /** @param {Colleague} colleague */
  askChangePerson({ sid, newer }) {
    return this.#command("askChangePerson", { sid, newer });
  }

  /** @param {Colleague} colleague */
  cancelChangePerson({ sid, newer }) {
    return this.#command("cancelChangePerson", { sid, newer });
  }

  /** @param {Colleague} colleague */
  acceptChangePerson({ sid }) {
    return this.#take("acceptChangePerson", { sid });
  }

  /** @param {Colleague} colleague */
  refuseChangePerson({ sid }) {
    return this.#command("refuseChangePerson", { sid });
  }

  /** @param {Colleague} colleague */
  askAddPerson({ sid, newer }) {
    return this.#command("askAddPerson", { sid, newer });
  }

  /** @param {Colleague} colleague */
  cancelAddPerson({ sid, newer }) {
    return this.#command("cancelAddPerson", { sid, newer });
  }

  /** @param {Colleague} colleague */
  removeAddPerson({ sid, newer }) {
    return this.#command("removeAddPerson", { sid, newer });
  }

  /** @param {Colleague} colleague */
  acceptAddPerson({ sid }) {
    return this.#take("acceptAddPerson", { sid });
  }

  /** @param {Colleague} colleague */
  refuseAddPerson({ sid }) {
    return this.#command("refuseAddPerson", { sid });
  }

  /** @param {Colleague} colleague */
  quitAddPerson({ sid }) {
    return this.#command("quitAddPerson", { sid });
  }

  /** Goes offline for good. */
  close() {
    this.#stream?.close();
    this.#stream = null;
    this.#endMedia();
    this.#setState(ServiceFsmState.DISCONNECTED);
    this.#observer.complete?.();
  }

  /**
   * The call's room, to show its pictures: `participants`, `localParticipant` and their tracks.
   * An addition: the original shows them in a window of its helper.
   */
  get room() {
    return this.#media?.room ?? null;
  }

  #connect() {
    if (!this.#urls) return;
    this.#stream = new EventStream(this.#urls.events, this.#identity(), {
      frame: (frame) => this.#onFrame(frame),
      refused: (code, message) => {
        this.#setState(ServiceFsmState.DISCONNECTED);
        this.#fail(code, message);
      },
      lost: () => this.#setState(ServiceFsmState.DISCONNECTED),
    });
  }

  #identity() {
    const { systemCode, account, token = "" } = this.#options;
    return { systemCode, account, token, device: deviceName(`crosspoint.snk.${account}`) };
  }

  /** @param {{ type: string } & Record<string, any>} frame */
  #onFrame(frame) {
    const { type, data } = frame;
    switch (type) {
      case "connected":
        return;
      case "error":
        if (frame.fatal) {
          this.#stream?.close();
          this.#endMedia();
          this.#setState(ServiceFsmState.DISCONNECTED);
        }
        return this.#fail(frame.code, frame.message);
      case "rtcRoom":
        this.#join(data.sid, data.rtc);
        return;
      case VideoEventType.STATE_CHANGE:
        return this.#setState(data.state);
      case VideoEventType.RECOVERY_CALL:
        if (data.rtc) this.#join(data.sid, data.rtc);
        break;
      case VideoEventType.INCOMING_CALL_HANGUP:
        if (data.sid === this.#sid) this.#endMedia();
        break;
      case VideoEventType.EXCHANGE_CALL:
        if (data.msgType === VideoControlCode.STAFF_CHANGE_CALL_BACK_ACCEPT) this.#endMedia();
        break;
      case VideoEventType.ADD_CALL:
        if (data.msgType === VideoControlCode.ADDPARTICIPATOR_DEL && !this.#isMain(data.newer)) this.#endMedia();
        break;
    }
    const { rtc: _, ...shown } = data ?? {};
    this.#next(type, shown);
  }

  /** Whether a colleague that left was one that we had added. @param {string} newer */
  #isMain(newer) {
    return this.#added.has(newer);
  }

  /** Colleagues that we asked to join. @type {Set<string>} */
  #added = new Set();

  /** @param {"rest" | "back"} verb */
  #seat(verb) {
    return this.#send(this.#urls?.state ?? "", verb, {});
  }

  /**
   * @param {string} verb
   * @param {Record<string, unknown>} fields
   */
  #command(verb, fields) {
    if (verb === "askAddPerson") this.#added.add(String(fields.newer));
    return this.#send(this.#urls?.commands ?? "", verb, fields);
  }

  /**
   * A command that brings media with it.
   *
   * @param {string} verb
   * @param {{ sid: string }} fields
   */
  async #take(verb, fields) {
    const { rtc, ...result } = await this.#command(verb, fields);
    if (result.code === 0 && rtc) await this.#join(fields.sid, rtc);
    return result;
  }

  /**
   * @param {string} base
   * @param {string} verb
   * @param {Record<string, unknown>} fields
   * @returns {Promise<Result & { rtc?: MediaGrant }>}
   */
  async #send(base, verb, fields) {
    /** @type {any} */
    let reply = { code: 200001, msg: "操作失败,服务受理失败" };
    try {
      const response = await fetch(`${base}${verb}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...this.#identity(), id: this.#nextId++, ...fields }),
        signal: AbortSignal.timeout(10_000),
      });
      if (response.ok) reply = await response.json();
    } catch (error) {
      if (error instanceof DOMException && error.name === "TimeoutError") {
        reply = { code: 200002, msg: "操作失败,服务受理超时" };
      }
    }
    const { code, msg, rtc, events = [] } = reply;
    if (code !== 0 || this.#options.httpBackOnSuccess) this.#back(code, msg, fields.sid);
    for (const event of events) this.#onFrame(event);
    return { code, msg, ...(rtc ? { rtc } : {}) };
  }

  /**
   * @param {string} sid
   * @param {MediaGrant} grant
   */
  async #join(sid, grant) {
    if (this.#media && this.#sid === sid) return this.#media.join(grant);
    this.#endMedia();
    this.#sid = sid;
    const media = new CallMedia({ url: this.#urls?.media ?? "" });
    this.#media = media;
    const { microphoneError, cameraError } = await media.open({ microphone: {}, camera: {} });
    if (microphoneError || cameraError) {
      const which = microphoneError && cameraError ? "both" : microphoneError ? "microphone" : "camera";
      this.#exeEvent(sid, DEVICES[which], String((microphoneError ?? cameraError)?.message));
    }
    await media.join(grant).catch((error) => this.#exeEvent(sid, DEVICES.join, String(error)));
  }

  /**
   * @param {string} sid
   * @param {number} code
   * @param {string} msg
   */
  #exeEvent(sid, code, msg) {
    this.#next(VideoEventType.EXE_EVENT, { sid, code, msg });
  }

  #endMedia() {
    this.#media?.close();
    this.#media = null;
    this.#sid = "";
    this.#added.clear();
  }

  /** @param {string} state */
  #setState(state) {
    if (state === this.#state) return;
    this.#state = state;
    if (state === ServiceFsmState.READY || state === ServiceFsmState.LEAVE) this.#endMedia();
    this.#next(VideoEventType.STATE_CHANGE, { state });
  }

  /**
   * @param {number} code
   * @param {string} msg
   * @param {unknown} sid
   * @returns {Result}
   */
  #back(code, msg, sid) {
    this.#next(VideoEventType.HTTP_BACK, { sid, msgType: code, msg });
    return { code, msg };
  }

  /**
   * @param {string} type
   * @param {Record<string, unknown>} data
   */
  #next(type, data) {
    this.#observer.next?.({ type, data });
  }

  /**
   * @param {number} code
   * @param {string} message
   */
  #fail(code, message) {
    this.#observer.error?.({ code, message });
  }
}

/**
 * Where events, commands, the seat's state and media are; null when the options do not say. Addresses
 * win over the profile.
 *
 * @param {Options} options
 */
function addresses({ profile, sseServerUrl, videoServiceUrl, stateServiceUrl }) {
  const media = serverOf(import.meta.url);
  if (sseServerUrl && videoServiceUrl && stateServiceUrl) {
    return {
      events: folder(sseServerUrl),
      commands: folder(videoServiceUrl),
      state: folder(stateServiceUrl),
      media,
    };
  }
  if (profile !== "dev" && profile !== "test") return null;
  return { events: `${media}/snk/push/`, commands: `${media}/snk/rtv/`, state: `${media}/snk/dispatch/`, media };
}

/** @param {string} url */
function folder(url) {
  return url.endsWith("/") ? url : `${url}/`;
}

Object.assign(globalThis, { RtVideo });

export { RtVideo };
