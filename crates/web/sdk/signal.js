/**
 * The signalling connection: requests with replies, numbered events, and resumption.
 *
 * A cut socket is opened again and the session resumed, so that the room above sees nothing but
 * `interrupted` and `resumed`; media does not notice. Requests made meanwhile wait. This module
 * knows frames, not rooms.
 */

import { Backoff } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { CrosspointError, isCrosspointError, serverError } from "./errors.js";
import { PROTOCOL_VERSION } from "./protocol.js";

/** @import { Reply, ServerEvent } from "./protocol.js" */

/** How long a socket may take to open, in milliseconds. */
const OPEN_TIMEOUT_MS = 10_000;
/** How long a reply may take, an interruption included, in milliseconds. */
const REPLY_TIMEOUT_MS = 20_000;
/** How long a lost server is looked for, in milliseconds. */
const GIVE_UP_AFTER_MS = 120_000;
/** Silence after which a ping is sent, in milliseconds. */
const PING_INTERVAL_MS = 4_000;
/** Silence after which the socket counts as dead: well within the 30 s that sessions are kept. */
const DEAD_AFTER_MS = 10_000;
/** Most requests that wait for a reply. */
const PENDING_MAX = 256;
/** Requests that may be carried out twice, so are sent again when their fate is unknown. */
const REPEATABLE = new Set(["offer", "mute", "subscribe", "update", "ping"]);

/**
 * A token, or a function that gets a fresh one (asked before each join).
 *
 * @typedef {string | (() => string | Promise<string>)} TokenSource
 */

/** @typedef {Record<string, unknown> & { type: string, id: number }} Frame */

/**
 * @typedef {object} SignalOptions
 * @property {string} url of the server: `https://host` or `wss://host`
 * @property {TokenSource} token empty: the first request says who we are
 * @property {string} [path] of the endpoint; default: a room's
 * @property {Record<string, string>} [query] said with each opening
 * @property {string} [goodbye] type of the frame that ends the session
 * @property {(type: string) => boolean} [repeatable] whether a request may be carried out twice
 * @property {(session: string, lastSeq: number) => { type: string }} [resumeFrame] what resumes
 * @property {boolean} [tokenAgain] show the token again when resuming, not the session
 * @property {number} [firstId] number of the first request
 */

/**
 * @typedef {object} SignalEvents
 * @property {ServerEvent} event
 * @property {void} interrupted the socket is gone, a new one is being opened
 * @property {void} resumed the session goes on; nothing was missed
 * @property {CrosspointError} lost the session is over: `session_expired` or `network_lost`
 */

/**
 * @typedef {object} Pending
 * @property {Frame} frame
 * @property {boolean} sent whether the server may have heard it
 * @property {(reply: Reply) => void} resolve
 * @property {(error: CrosspointError) => void} reject
 * @property {ReturnType<typeof setTimeout>} timer
 */

/** @extends {Emitter<SignalEvents>} */
export class Signal extends Emitter {
  #base;
  #token;
  #goodbye;
  #repeatable;
  #resumeFrame;
  #tokenAgain;
  /** @type {WebSocket | null} */
  #socket = null;
  /**
   * The socket before, while the session is being resumed. It counts as cut, but what it has
   * received may still be on its way to this page, and the server may take it for delivered: the
   * browser answers the server's pings before the page has seen what came ahead of them.
   *
   * @type {WebSocket | null}
   */
  #cutSocket = null;
  /** @type {Map<number, Pending>} */
  #pending = new Map();
  /** Set once: `close` was called or the session is lost. */
  #closed = false;
  /** Whether ordinary requests go out at once. */
  #ready = false;
  #nextId;
  #lastSeq = 0;
  #lastHeard = 0;
  #lastBeat = 0;
  /** Resume token; empty before the join's reply. */
  #session = "";
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pulse;
  #backoff = new Backoff();

  /**
   * @param {SignalOptions} options
   */
  constructor({
    url,
    token,
    path,
    query = {},
    goodbye = "leave",
    repeatable = (type) => REPEATABLE.has(type),
    resumeFrame = (session, lastSeq) => ({ type: "resume", version: PROTOCOL_VERSION, session, lastSeq }),
    tokenAgain = false,
    firstId = 1,
  }) {
    super();
    this.#base = signalUrl(url, path);
    for (const [name, value] of Object.entries(query)) this.#base.searchParams.set(name, value);
    this.#token = token;
    this.#goodbye = goodbye;
    this.#repeatable = repeatable;
    this.#resumeFrame = resumeFrame;
    this.#tokenAgain = tokenAgain;
    this.#nextId = firstId;
  }

  /** Opens the first socket. Requests may be made afterwards; the first is the join. */
  async open() {
    await this.#openSocket();
    this.#ready = true;
  }

  /**
   * The resume token of the join's reply. From now on a cut socket is mended.
   *
   * @param {string} session
   */
  setSession(session) {
    this.#session = session;
    this.#lastBeat = Date.now();
    this.#pulse ??= setInterval(() => this.#checkPulse(), PING_INTERVAL_MS);
  }

  /**
   * Sends a request and waits for its reply. While interrupted, it waits for the resumption.
   *
   * @param {string} type
   * @param {Record<string, unknown>} [fields]
   * @returns {Promise<Reply>}
   */
  request(type, fields = {}) {
    if (this.#closed) return Promise.reject(notJoined());
    if (this.#pending.size >= PENDING_MAX) {
      return Promise.reject(new CrosspointError("overloaded", "too many requests wait for a reply"));
    }
    const frame = { type, id: this.#nextId++, ...fields };
    const reply = this.#expect(frame);
    if (this.#ready) this.#transmit(frame);
    return reply;
  }

  /** Tries again at once when a new socket is being waited for. */
  hurry() {
    this.#backoff.hurry();
  }

  /** Says goodbye and ends; requests that wait are rejected. */
  close() {
    if (this.#closed) return;
    if (this.#ready) this.#send({ type: this.#goodbye });
    this.#end(new CrosspointError("aborted", "closed by this end"));
  }

  /**
   * @param {Frame} frame
   * @returns {Promise<Reply>}
   */
  #expect(frame) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(frame.id);
        reject(new CrosspointError("timeout", `no reply to "${frame.type}" in time`));
      }, REPLY_TIMEOUT_MS);
      this.#pending.set(frame.id, { frame, sent: false, resolve, reject, timer });
    });
  }

  /** @param {Frame} frame */
  #transmit(frame) {
    const pending = this.#pending.get(frame.id);
    if (pending) pending.sent = true;
    this.#send(frame);
  }

  /** @param {Record<string, unknown>} frame */
  #send(frame) {
    // A socket that closes right now loses the frame; the resumption sends it again.
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  async #openSocket() {
    const url = new URL(this.#base);
    if (this.#session && !this.#tokenAgain) {
      // Says enough, and still does when the access token has expired since the join.
      url.searchParams.set("session", this.#session);
    } else {
      const token = typeof this.#token === "function" ? await this.#token() : this.#token;
      if (this.#closed) throw new CrosspointError("aborted", "the room was left");
      if (token) url.searchParams.set("access_token", token);
    }
    const socket = new WebSocket(url);
    try {
      await opened(socket);
    } catch {
      socket.close();
      throw await refusal(url);
    }
    if (this.#closed) {
      socket.close();
      throw new CrosspointError("aborted", "the room was left");
    }
    this.#socket = socket;
    this.#lastHeard = Date.now();
    socket.onmessage = ({ data }) => this.#onFrame(data);
    socket.onclose = () => {
      if (this.#socket === socket) this.#onCut();
    };
  }

  /** @param {unknown} data */
  #onFrame(data) {
    this.#lastHeard = Date.now();
    const message = parse(data);
    if (!message) return;
    if (message.type === "reply") {
      this.#note(message.seq);
      this.#settle(/** @type {Reply} */ (message));
    } else if (this.#note(message.seq)) {
      this.emit("event", /** @type {ServerEvent} */ (message));
    }
  }

  /**
   * Notes a sequence number; false when the message was seen before (replayed twice).
   *
   * @param {unknown} seq
   */
  #note(seq) {
    if (typeof seq !== "number") return true;
    if (seq <= this.#lastSeq) return false;
    this.#lastSeq = seq;
    return true;
  }

  /** @param {Reply} reply */
  #settle(reply) {
    const pending = this.#pending.get(reply.id);
    if (!pending) return;
    this.#pending.delete(reply.id);
    clearTimeout(pending.timer);
    if (reply.error) pending.reject(serverError(reply.error));
    else pending.resolve(reply);
  }

  #checkPulse() {
    const now = Date.now();
    const slept = now - this.#lastBeat > 2 * PING_INTERVAL_MS;
    this.#lastBeat = now;
    if (!this.#ready) return;
    // After a sleep the clock says nothing about the socket: it has until the next beat to speak.
    if (slept) this.#lastHeard = now - DEAD_AFTER_MS + PING_INTERVAL_MS;
    const quiet = now - this.#lastHeard;
    if (quiet >= DEAD_AFTER_MS) this.#onCut();
    else if (quiet >= PING_INTERVAL_MS) this.request("ping").catch(() => {});
  }

  #onCut() {
    if (this.#closed) return;
    if (!this.#session) {
      this.#end(new CrosspointError("connection_lost", "the server closed the connection"));
      return;
    }
    if (!this.#ready) return; // a resumption is under way and notices by itself
    this.#ready = false;
    this.#cutSocket = this.#socket;
    this.#socket = null;
    this.emit("interrupted", undefined);
    this.#resume();
  }

  #dropSocket() {
    silence(this.#socket);
    this.#socket = null;
  }

  #dropCutSocket() {
    silence(this.#cutSocket);
    this.#cutSocket = null;
  }

  async #resume() {
    const cutAt = Date.now();
    this.#backoff.reset();
    while (!this.#closed) {
      try {
        await this.#openSocket();
        await this.#resumeSession();
        this.#dropCutSocket();
        this.#ready = true;
        this.#repeatPending();
        this.emit("resumed", undefined);
        return;
      } catch (error) {
        this.#dropSocket();
        if (this.#closed) return;
        if (isExpiry(error)) return this.#lose(sessionExpired());
        if (Date.now() - cutAt > GIVE_UP_AFTER_MS) return this.#lose(networkLost());
        await this.#backoff.wait();
      }
    }
  }

  async #resumeSession() {
    const frame = { id: this.#nextId++, ...this.#resumeFrame(this.#session, this.#lastSeq) };
    const reply = this.#expect(frame);
    const socket = this.#socket;
    const cut = new Promise((_, reject) => {
      if (socket) socket.onclose = () => reject(new CrosspointError("connection_lost", "cut again"));
    });
    this.#transmit(frame);
    try {
      await Promise.race([reply, cut]);
    } catch (error) {
      this.#settle({ type: "reply", id: frame.id }); // nobody waits for it any more
      throw error;
    }
    if (socket) socket.onclose = () => this.#socket === socket && this.#onCut();
  }

  /** Sends what had no reply before the cut, or tells its caller that its fate is unknown. */
  #repeatPending() {
    for (const [id, { frame, sent, reject, timer }] of [...this.#pending]) {
      if (!sent || this.#repeatable(frame.type)) {
        this.#transmit(frame);
        continue;
      }
      this.#pending.delete(id);
      clearTimeout(timer);
      reject(
        new CrosspointError("connection_lost", `it is unknown whether "${frame.type}" was heard`),
      );
    }
  }

  /** @param {CrosspointError} error */
  #lose(error) {
    this.#end(error);
    this.emit("lost", error);
  }

  /** @param {CrosspointError} error */
  #end(error) {
    this.#closed = true;
    this.#ready = false;
    clearInterval(this.#pulse);
    this.#backoff.hurry();
    this.#dropSocket();
    this.#dropCutSocket();
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#pending.clear();
  }
}

/**
 * The signalling endpoint of a server given by its page address.
 *
 * @param {string} url
 * @param {string} [path]
 */
export function signalUrl(url, path = "/v1/signal") {
  const base = new URL(url, globalThis.location?.href);
  if (base.protocol === "http:") base.protocol = "ws:";
  if (base.protocol === "https:") base.protocol = "wss:";
  base.search = "";
  base.hash = "";
  base.pathname = `${base.pathname.replace(/\/$/, "")}${path}`;
  return base;
}

/**
 * @param {WebSocket} socket
 * @returns {Promise<void>}
 */
function opened(socket) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(reject, OPEN_TIMEOUT_MS);
    socket.onopen = () => {
      clearTimeout(timer);
      resolve();
    };
    socket.onclose = () => {
      clearTimeout(timer);
      reject();
    };
  });
}

/** @param {WebSocket | null} socket */
function silence(socket) {
  if (!socket) return;
  socket.onmessage = null;
  socket.onclose = null;
  socket.close();
}

/**
 * Why a socket did not open. Browsers hide the status of a refused WebSocket, so the same address
 * is asked once more by HTTP: the token is checked before the upgrade is.
 *
 * @param {URL} url
 */
async function refusal(url) {
  const http = new URL(url);
  http.protocol = url.protocol === "wss:" ? "https:" : "http:";
  let status = 0;
  try {
    const signal = AbortSignal.timeout(3_000);
    status = (await fetch(http, { signal, credentials: "omit" })).status;
  } catch {
    // No HTTP either: the network or the server is gone.
  }
  if (status === 401) return new CrosspointError("unauthorized", "the token is refused", { status });
  if (status === 403) {
    return new CrosspointError("forbidden", "the token does not allow to join", { status });
  }
  return new CrosspointError("server_unreachable", "the server cannot be reached", { status });
}

/**
 * @param {unknown} data
 * @returns {{ type: unknown, seq?: unknown } & Record<string, any> | null}
 */
function parse(data) {
  if (typeof data !== "string") return null;
  try {
    const message = JSON.parse(data);
    return message !== null && typeof message === "object" ? message : null;
  } catch {
    return null;
  }
}

function notJoined() {
  return new CrosspointError("not_joined", "the room is not joined");
}

/**
 * Whether a resumption failed because the server does not know the session any more: it says so, or
 * does not even open the door.
 *
 * @param {unknown} error
 */
function isExpiry(error) {
  const expired = ["session_expired", "unauthorized", "forbidden"];
  return isCrosspointError(error) && expired.includes(error.type);
}

function sessionExpired() {
  return new CrosspointError("session_expired", "the server has given up the session");
}

function networkLost() {
  return new CrosspointError("network_lost", "the server cannot be reached");
}
