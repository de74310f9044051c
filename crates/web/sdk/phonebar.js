/**
 * The emic phonebar (`jssip-emicnet/dist/phonebar`) on Crosspoint: a telephone-style seat, and its
 * supervisor.
 *
 * ```js
 * import phonebar from "jssip-emicnet/dist/phonebar";
 * phonebar.getUser(un, pwd, switchnumber, (err, data) => {
 *   phonebar.init({ un, pwd, switchnumber, gid: data.inGroups[0]?.id ?? 0 }, callbacks);
 * });
 * ```
 *
 * Loaded by `<script type="module">` it is also the global `phonebar`. Codes come from the server; here
 * are names, callbacks, the values that are returned at once, and the seat's sound.
 */

import { CallConnection, serverOf } from "./calls/connection.js";
import { CallMedia } from "./calls/media.js";
import { dialledLine } from "./emic/dial.js";

/** @import { CallFrame } from "./calls/connection.js" */
/** @import { MediaGrant } from "./calls/media.js" */

/**
 * @typedef {object} Account
 * @property {string} un extension
 * @property {string} pwd
 * @property {string} switchnumber main number of the enterprise
 * @property {string | number} [callintype] 2: browser, 4: call-back telephone, 5: SIP telephone
 * @property {string} [number] of the telephone
 */

/**
 * @typedef {object} InitParams
 * @property {string} un
 * @property {string} pwd
 * @property {string} switchnumber
 * @property {string | number} gid skill group; 0: none
 * @property {string} [remoteAudio] id of the audio element that plays the other side
 * @property {string} [socketUri] of the gateway; default: the server that this file came from
 */

/**
 * @typedef {object} EventCallback
 * @property {(data: { code: number, info: string, data: unknown }) => void} [register]
 * @property {(type: string, data: Record<string, any>) => void} [callEvent]
 * @property {(data: { r: number, info: string }) => void} [kickedOffLine]
 * @property {(data: { status: number }) => void} [statusChanged]
 * @property {(data: { caller: string, ccNumber: string, callTime: number, endTime: number | "" }) => void} [repCallStatus]
 */

/** @typedef {(result: number) => void} MonitorCallback 0: done */

/** What `webApiHandler` answers while nobody has called `getUser`. */
const NO_USER_DATA = 50001;
const SERVER_ERROR = { code: 50000, info: "服务器错误" };
const PARAM_ERROR = { code: 50001, info: "参数错误" };
/** Verbs of a supervisor. */
const OK = 0;
const FAILED = 1;

/** @type {Seat | null} */
let seat = null;
/** Where accounts are asked for. */
let server = serverOf(import.meta.url);

/** A registered seat: its connection, its calls' sound, and what the getters answer. */
class Seat {
  /** @type {CallConnection} */
  connection;
  state = 0;
  online = false;
  monitor = { status: 0, ccNumber: "" };
  /** What `statusChanged` told last. @type {number | undefined} */
  #status;
  #params;
  #callbacks;
  #element;
  /** Sound of each call. @type {Map<string, CallMedia>} */
  #media = new Map();
  /** Waits for the result of a transfer, by call. @type {Map<string, TransferCallback>} */
  transfers = new Map();
  /** Waits for the word that listening has begun. @type {((begun: boolean) => void) | null} */
  #listens = null;

  /**
   * @param {InitParams} params
   * @param {EventCallback} callbacks
   */
  constructor(params, callbacks) {
    this.#params = params;
    this.#callbacks = callbacks;
    this.#element = audioElement(params.remoteAudio);
    const url = params.socketUri ?? server;
    this.connection = new CallConnection({ url, dialect: "emic" });
    this.connection.on("event", (frame) => this.#onFrame(frame));
    this.connection.on("lost", () => this.end());
  }

  async register() {
    const { remoteAudio: _, socketUri: __, ...account } = { ...storedPhone(), ...this.#params };
    /** @type {any} */
    let reply;
    try {
      reply = await this.connection.login(account);
    } catch (error) {
      reply = { ...SERVER_ERROR, data: String(error) };
    }
    if (reply.code !== 200) this.end();
    this.#callbacks.register?.({ code: reply.code, info: reply.info ?? "", data: reply.data ?? null });
  }

  /**
   * Opens the microphone and joins a call's sound. A supervisor's microphone is opened too, since
   * listening turns into talking without another question; while listening the server keeps it out.
   *
   * @param {string} ccNumber
   * @param {MediaGrant} grant
   */
  async join(ccNumber, grant) {
    let media = this.#media.get(ccNumber);
    if (!media) {
      media = new CallMedia({ url: this.#params.socketUri ?? server, playAudio: false });
      this.#media.set(ccNumber, media);
      media.on("remoteTrack", ({ track }) => {
        if (track.kind === "audio") track.attach(this.#element).play().catch(() => {});
      });
      const { microphoneError } = await media.open({ microphone: {} });
      if (microphoneError) {
        this.leave(ccNumber);
        throw microphoneError;
      }
    }
    await media.join(grant);
  }

  /** Whether the server says that listening has begun; it gives up by itself when no sound comes up. */
  listens() {
    return new Promise((resolve) => {
      if (this.monitor.status > 0) resolve(true);
      else this.#listens = resolve;
    });
  }

  /** @param {string} ccNumber */
  leave(ccNumber) {
    this.#media.get(ccNumber)?.close();
    this.#media.delete(ccNumber);
  }

  /** The seat is offline: logged out, turned out, or lost. */
  end() {
    this.connection.close();
    for (const ccNumber of [...this.#media.keys()]) this.leave(ccNumber);
    this.state = 0;
    this.online = false;
    this.#monitors(0, "");
    if (seat === this) seat = null;
  }

  /**
   * @param {string} type
   * @param {Record<string, any>} data
   */
  callEvent(type, data) {
    this.#callbacks.callEvent?.(type, data);
  }

  /** @param {CallFrame} frame */
  #onFrame(frame) {
    switch (frame.type) {
      case "callEvent":
        if (frame.event === "endPBXCall" || frame.event === "cancelPBXCall") this.leave(frame.data.c);
        return this.callEvent(frame.event, frame.data);
      case "seat":
        this.state = frame.state;
        if (frame.status === undefined || frame.status === this.#status) return;
        this.#status = frame.status;
        this.online = frame.status !== 0;
        return this.#callbacks.statusChanged?.({ status: frame.status });
      case "rtcRoom":
        this.join(frame.ccNumber, frame.rtc).catch(() => this.#giveUp(frame.ccNumber));
        return;
      case "monitor":
        return this.#monitors(frame.status, frame.ccNumber);
      case "transfer":
        this.transfers.get(frame.ccNumber)?.(frame.result, frame.result.data);
        this.transfers.delete(frame.ccNumber);
        return;
      case "repCallStatus":
        return this.#callbacks.repCallStatus?.(frame.data);
      case "kickedOffLine":
        this.end();
        return this.#callbacks.kickedOffLine?.(frame.data);
    }
  }

  /**
   * @param {number} status
   * @param {string} ccNumber
   */
  #monitors(status, ccNumber) {
    this.monitor = { status, ccNumber };
    this.#listens?.(status > 0);
    this.#listens = null;
  }

  /** A call without sound is none. @param {string} ccNumber */
  #giveUp(ccNumber) {
    const monitored = this.monitor.ccNumber === ccNumber;
    this.connection.request(monitored ? "stopCallMonitor" : "terminate", { ccNumber }).catch(() => {});
  }
}

/** @typedef {(result: { type: string, data: unknown }, data?: unknown) => void} TransferCallback */

/**
 * Gets what a login needs; the first step of everything.
 *
 * @param {string} un
 * @param {string} pwd
 * @param {string} switchnumber
 * @param {(err: { code: number, info: string } | null, data?: any) => void} callback
 */
export function getUser(un, pwd, switchnumber, callback) {
  getUser2({ un, pwd, switchnumber }, callback);
}

/**
 * The same for seats with a telephone of their own.
 *
 * @param {Account} account
 * @param {(err: { code: number, info: string } | null, data?: any) => void} callback
 */
export function getUser2(account, callback) {
  account_(account).then(
    (data) => callback(null, data),
    (error) => callback(error),
  );
}

/**
 * Registers the seat. Results come by `eventCallback`.
 *
 * @param {InitParams} params
 * @param {EventCallback} eventCallback
 * @returns {boolean} whether it began: false when a parameter is missing
 */
export function init(params, eventCallback) {
  const { un, pwd, switchnumber, gid } = params ?? {};
  const missing = [un, pwd, switchnumber, gid].some((each) => each === undefined || each === null || each === "");
  if (missing) return false;
  for (const name of /** @type {const} */ (["register", "callEvent", "kickedOffLine"])) {
    if (typeof eventCallback?.[name] !== "function") log(`init: the callback ${name} is missing`);
  }
  seat?.end();
  seat = new Seat(params, eventCallback ?? {});
  seat.register();
  return true;
}

/** @param {(data: { code: number, info: string, data: unknown }) => void} [callback] */
export function logout(callback) {
  seat?.end();
  callback?.({ code: 200, info: "", data: null });
}

/** @param {number} status 1: idle, 2: busy */
export function changeStaus(status) {
  tell("changeStaus", { status });
}

/** @returns {number} 0: offline, 1: online */
export function checkLogin() {
  return seat?.online ? 1 : 0;
}

/** @returns {number} 0 offline, 1 idle, 2 busy, 3 ringing, 4 talking, 5 on hold */
export function checkSeatState() {
  return seat?.state ?? 0;
}

/**
 * Calls. What follows is told by `callEvent`.
 *
 * @param {string} number
 * @param {unknown} [callNumType] anything: the number is encrypted as agreed
 * @returns {number | string} 2: an external line, 3: an internal one; a text: what came out of a
 *   number that did not decrypt, and no call was placed
 */
export function call(number, callNumType) {
  const encrypted = callNumType !== undefined;
  const line = dialledLine(String(number), encrypted, { server, userData: userData() });
  if (typeof line === "string") return line;
  place(String(number), encrypted, line);
  return line;
}

/** @param {string} ccNumber of `newPBXCall` */
export function answerPBXCall(ccNumber) {
  const at = seat;
  request("answerPBXCall", { ccNumber }).then(async ({ rtc }) => {
    if (rtc) await at?.join(ccNumber, rtc);
  }).catch(() => tell("terminate", { ccNumber }));
}

/** Hangs up; a call that rings is refused (and may ring again at once). @param {string} ccNumber */
export function terminate(ccNumber) {
  tell("terminate", { ccNumber });
}

/** @param {string} ccNumber */
export function hold(ccNumber) {
  tell("hold", { ccNumber });
}

/** @param {string} ccNumber */
export function unhold(ccNumber) {
  tell("unhold", { ccNumber });
}

/**
 * Hands the call to another seat, which takes over when it answers.
 *
 * @param {string | number} gid its skill group
 * @param {string | number} transNumber its extension
 * @param {string} ccNumber
 * @param {TransferCallback} [callback]
 */
export function transferPBXCall(gid, transNumber, ccNumber, callback) {
  const at = seat;
  if (callback) at?.transfers.set(ccNumber, callback);
  request("transferPBXCall", { gid, transNumber, ccNumber })
    .catch((error) => ({ result: { type: "transferCallFaield", data: String(error) } }))
    .then(({ result }) => {
      if (!result) return; // under way: told later
      at?.transfers.delete(ccNumber);
      callback?.(result, result.data);
    });
}

/** One tone: the other side cannot take several at once. @param {string} tone */
export function sendDTMF(tone) {
  if (/^[0-9*#A-D]$/.test(tone)) tell("sendDTMF", { tone });
  else log("sendDTMF takes one of 0-9 * # A-D at a time");
}

/**
 * Skill groups, or seats of one.
 *
 * @param {"getGroups" | "searchEpMembers"} functionName
 * @param {{ un: string, pwd: string, eid: string, searchGid?: string | number, length?: number, start?: number }} webParam
 * @returns {Promise<{ status: number, returnData?: any, info?: string }>}
 */
export async function webApiHandler(functionName, webParam) {
  if (!userData()) return { status: NO_USER_DATA };
  const { searchGid, length, start } = webParam ?? {};
  try {
    return /** @type {any} */ (await request(functionName, { searchGid, length, start }));
  } catch {
    return { status: SERVER_ERROR.code, info: SERVER_ERROR.info };
  }
}

/**
 * Listens to a call of the own group, unnoticed.
 *
 * @param {string} ccNumber of `repCallStatus`
 * @param {MonitorCallback} [monitorcb]
 */
export async function startCallMonitor(ccNumber, monitorcb) {
  // Without a microphone there is no listening: it must be able to turn into talking.
  const allowed = await navigator.mediaDevices?.getUserMedia({ audio: true }).then(
    (stream) => (stream.getTracks().forEach((track) => track.stop()), true),
    () => false,
  );
  if (allowed) await supervise("startCallMonitor", ccNumber, monitorcb);
  else monitorcb?.(FAILED);
}

/**
 * @param {string} ccNumber
 * @param {MonitorCallback} [monitorcb]
 */
export function stopCallMonitor(ccNumber, monitorcb) {
  return supervise("stopCallMonitor", ccNumber, monitorcb);
}

/**
 * From listening to talking with both.
 *
 * @param {string} ccNumber
 * @param {MonitorCallback} [monitorcb]
 */
export function joinFromMonitor(ccNumber, monitorcb) {
  return supervise("joinFromMonitor", ccNumber, monitorcb);
}

/**
 * Leaves the three-way; the call goes on.
 *
 * @param {string} ccNumber
 * @param {MonitorCallback} [monitorcb]
 */
export function exitJoinMonitor(ccNumber, monitorcb) {
  return supervise("exitJoinMonitor", ccNumber, monitorcb);
}

/**
 * Ends the call that one listens to or has joined.
 *
 * @param {string} ccNumber
 * @param {MonitorCallback} [monitorcb]
 */
export function endCallMonitor(ccNumber, monitorcb) {
  return supervise("endCallMonitor", ccNumber, monitorcb);
}

/**
 * Ends a call without listening.
 *
 * @param {string} ccNumber
 * @param {MonitorCallback} [monitorcb]
 */
export function terminateCall(ccNumber, monitorcb) {
  return supervise("terminateCall", ccNumber, monitorcb);
}

/** @returns {{ status: number, ccNumber: string }} 0: not supervising, 1: listening, 2: joined in */
export function checkMonitorState() {
  return { ...(seat?.monitor ?? { status: 0, ccNumber: "" }) };
}

/** @param {...unknown} words */
export function log(...words) {
  console.info("[phonebar]", ...words);
}

/** @param {Account} account */
async function account_({ un, pwd, switchnumber, callintype, number }) {
  if (!un || !pwd || !switchnumber) throw PARAM_ERROR;
  const connection = new CallConnection({ url: server, dialect: "emic" });
  let reply;
  try {
    reply = await connection.open().then(() => connection.request("getUser", { un, pwd, switchnumber, callintype, number }));
  } catch {
    throw SERVER_ERROR;
  } finally {
    connection.close();
  }
  if (reply.code !== 200) throw { code: reply.code, info: reply.info };
  const { inGroups, userData } = reply.data;
  localStorage.setItem("userData", JSON.stringify({ ...userData, callintype, phone: number }));
  return { inGroups, userData };
}

/**
 * @param {string} number
 * @param {boolean} encrypted
 * @param {number} line
 */
async function place(number, encrypted, line) {
  const at = seat;
  /** @type {Record<string, any>} */
  const reply = await request("call", { number, encrypted }).catch(() => ({ r: 500, info: SERVER_ERROR.info }));
  if (reply.rtc) await at?.join(reply.ccNumber, reply.rtc).catch(() => tell("terminate", { ccNumber: reply.ccNumber }));
  if (reply.r === 200) return;
  const data = { a: reply.r, n: number, r: reply.r, info: reply.info };
  at?.callEvent(line === 3 ? "callinResponse" : "calloutResponse", data);
}

/**
 * @param {string} verb
 * @param {string} ccNumber
 * @param {MonitorCallback} [monitorcb]
 */
async function supervise(verb, ccNumber, monitorcb) {
  const at = seat;
  let done = false;
  try {
    const { result, rtc } = await request(verb, { ccNumber });
    done = result === OK;
    // Listening has begun when the sound is there.
    if (rtc && at) {
      await at.join(ccNumber, rtc);
      done = await at.listens();
    }
  } catch {
    if (verb === "startCallMonitor") tell("stopCallMonitor", { ccNumber });
  }
  monitorcb?.(done ? OK : FAILED);
}

/**
 * @param {string} type
 * @param {Record<string, unknown>} fields
 * @returns {Promise<Record<string, any>>}
 */
function request(type, fields) {
  return seat ? seat.connection.request(type, fields) : Promise.reject(new Error("init comes first"));
}

/**
 * A request whose result nobody waits for; a failure changes nothing.
 *
 * @param {string} type
 * @param {Record<string, unknown>} fields
 */
function tell(type, fields) {
  request(type, fields).catch((error) => log(`${type}: ${error}`));
}

/** What `getUser` has stored. @returns {Record<string, any> | null} */
function userData() {
  try {
    return JSON.parse(localStorage.getItem("userData") ?? "null");
  } catch {
    return null;
  }
}

/** The telephone that the account named, if any. */
function storedPhone() {
  const { callintype, phone } = userData() ?? {};
  return callintype ? { callintype, number: phone } : {};
}

/** @param {string} [id] */
function audioElement(id) {
  const found = id ? document.getElementById(id) : null;
  if (found instanceof HTMLAudioElement) return found;
  const element = document.createElement("audio");
  if (id) element.id = id;
  element.hidden = true;
  document.body.append(element);
  return element;
}

const phonebar = {
  answerPBXCall,
  call,
  changeStaus,
  checkLogin,
  checkMonitorState,
  checkSeatState,
  endCallMonitor,
  exitJoinMonitor,
  getUser,
  getUser2,
  hold,
  init,
  joinFromMonitor,
  log,
  logout,
  sendDTMF,
  startCallMonitor,
  stopCallMonitor,
  terminate,
  terminateCall,
  transferPBXCall,
  unhold,
  webApiHandler,
};

Object.assign(globalThis, { phonebar });

export default phonebar;
