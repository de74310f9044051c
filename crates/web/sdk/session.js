/**
 * One session: a signalling connection and a peer connection, from the join until one of them is
 * lost for good.
 *
 * What can be mended without the server forgetting us is mended here: a cut socket by resumption
 * (in `Signal`), a broken path by an ICE restart. When that fails the session is over, and the room
 * decides whether to begin another.
 */

import { Emitter } from "./emitter.js";
import { CrosspointError } from "./errors.js";
import { Peer } from "./peer.js";
import { PROTOCOL_VERSION } from "./protocol.js";
import { Signal } from "./signal.js";
import { FIRST_SLOTS } from "./slots.js";

/** @import { EncodedTransform } from "./peer.js" */
/** @import { Answer, JoinReply, Offer, Reply, ServerEvent } from "./protocol.js" */
/** @import { TokenSource } from "./signal.js" */
/** @import { Timings } from "./timings.js" */

/** How long media may take to connect, in milliseconds: TCP as the last way included. */
const MEDIA_TIMEOUT_MS = 15_000;
/** How long one ICE restart may take, in milliseconds. */
const RESTART_TIMEOUT_MS = 6_000;
const RESTARTS_MAX = 3;

/**
 * @typedef {object} SessionOptions
 * @property {string} url
 * @property {TokenSource} token
 * @property {boolean} autoSubscribe
 * @property {RTCConfiguration} [rtc]
 * @property {EncodedTransform} [encodedTransform]
 * @property {Timings} timings
 */

/**
 * @typedef {object} SessionEvents
 * @property {JoinReply} joined the server took us in; before anything else happens
 * @property {Answer} answer tracks and slots as they now stand
 * @property {ServerEvent} event
 * @property {void} health `isHealthy` changed
 * @property {{ label: string, data: unknown }} channelMessage
 * @property {CrosspointError} over its type is the reason; not before `start` has succeeded
 */

/** @extends {Emitter<SessionEvents>} */
export class Session extends Emitter {
  /** @readonly */
  peer;
  #signal;
  #options;
  /** @type {Promise<void>} */
  #opening;
  #joined = false;
  /** The last reply with an answer. @type {Reply | null} */
  #reply = null;
  #started = false;
  #mediaUp = false;
  #signalUp = true;
  #mending = false;
  #ended = false;
  /** @type {(error: CrosspointError) => void} */
  #fail = () => {};

  /** @param {SessionOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#signal = new Signal(options);
    this.#signal.on("event", (event) => this.#onEvent(event));
    this.#signal.on("interrupted", () => this.#setHealth({ signal: false }));
    this.#signal.on("resumed", () => this.#setHealth({ signal: true }));
    this.#signal.on("lost", (error) => this.#end(error));
    // The socket opens while the offer is being made.
    this.#opening = this.#signal.open();
    this.#opening.catch(() => {});
    this.peer = new Peer({
      rtc: options.rtc,
      encodedTransform: options.encodedTransform,
      exchange: (offer) => this.#exchange(offer),
      answered: (answer) => this.#onAnswer(answer),
    });
    this.peer.on("connected", () => this.#setHealth({ media: true }));
    this.peer.on("unstable", () => this.#mendMedia());
    this.peer.on("channelMessage", (message) => this.emit("channelMessage", message));
  }

  /** Whether both signalling and media are up. */
  get isHealthy() {
    return this.#signalUp && this.#mediaUp;
  }

  /**
   * Joins, sends what `publish` adds to the peer, and resolves when media is connected.
   *
   * @param {(peer: Peer) => void} publish
   * @returns {Promise<void>}
   */
  async start(publish) {
    const failure = new Promise((_, reject) => (this.#fail = reject));
    failure.catch(() => {});
    const timer = setTimeout(
      () => this.#fail(new CrosspointError("media_failed", "media did not connect in time")),
      MEDIA_TIMEOUT_MS,
    );
    try {
      await Promise.race([this.#startMedia(publish), failure]);
      this.#started = true;
    } catch (error) {
      this.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Tells the server of changed senders or slots. */
  async negotiate() {
    await this.peer.negotiate();
  }

  /**
   * @param {string} type
   * @param {Record<string, unknown>} fields
   * @returns {Promise<Reply>}
   */
  request(type, fields) {
    return this.#signal.request(type, fields);
  }

  /** The network may have changed or come back: do not wait for time-outs. */
  nudge() {
    this.#signal.hurry();
    if (this.#started && !this.peer.isConnected) this.#mendMedia();
  }

  /** Says goodbye and ends; nothing is emitted afterwards. */
  close() {
    if (this.#ended) return;
    this.#ended = true;
    this.#fail(new CrosspointError("aborted", "the room was left"));
    this.#signal.close();
    this.peer.close();
  }

  /**
   * A browser looks for a path only when it has set up all media of an answer, which takes it tens
   * of milliseconds. So the first offer has the data channels alone: the path is there at once, and
   * media starts no later for it.
   *
   * @param {(peer: Peer) => void} publish
   */
  async #startMedia(publish) {
    const { timings } = this.#options;
    await this.peer.negotiate();
    timings.mark("applied");
    await this.peer.connected();
    timings.mark("connected");
    publish(this.peer);
    this.peer.addSlots("audio", FIRST_SLOTS.audio);
    this.peer.addSlots("video", FIRST_SLOTS.video);
    await this.peer.negotiate();
  }

  /**
   * @param {Offer} offer
   * @returns {Promise<Answer>}
   */
  async #exchange(offer) {
    const { timings, autoSubscribe } = this.#options;
    timings.mark("offer");
    await this.#opening;
    timings.mark("socket");
    const reply = this.#joined
      ? await this.#signal.request("offer", { offer })
      : await this.#signal.request("join", { version: PROTOCOL_VERSION, autoSubscribe, offer });
    if (!reply.answer) throw new CrosspointError("protocol", "the reply has no answer");
    timings.mark("answer");
    this.#reply = reply;
    return reply.answer;
  }

  /** @param {Answer} answer */
  #onAnswer(answer) {
    if (!this.#joined) {
      this.#joined = true;
      const joined = /** @type {JoinReply} */ (/** @type {unknown} */ (this.#reply));
      this.#signal.setSession(joined.session);
      this.emit("joined", joined);
    }
    this.emit("answer", answer);
  }

  /** @param {ServerEvent} event */
  #onEvent(event) {
    if (event.type === "left") this.#end(new CrosspointError(event.reason, "the server ended the stay"));
    else this.emit("event", event);
  }

  async #mendMedia() {
    if (this.#mending || this.#ended || !this.#started) return; // `start` has its own time-out
    this.#mending = true;
    this.#setHealth({ media: false });
    try {
      for (let i = 0; i < RESTARTS_MAX && !this.peer.isConnected && !this.#ended; i++) {
        // While signalling is interrupted this waits for the resumption.
        await this.peer.restartIce();
        await Promise.race([this.peer.connected(), delay(RESTART_TIMEOUT_MS)]);
      }
    } catch {
      // The offer was refused or the session is over; what follows tells which.
    } finally {
      this.#mending = false;
    }
    if (this.peer.isConnected) this.#setHealth({ media: true });
    else this.#end(new CrosspointError("media_failed", "the media path is lost"));
  }

  /** @param {{ signal?: boolean, media?: boolean }} change */
  #setHealth({ signal = this.#signalUp, media = this.#mediaUp }) {
    const before = this.isHealthy;
    this.#signalUp = signal;
    this.#mediaUp = media;
    if (before !== this.isHealthy && !this.#ended) this.emit("health", undefined);
  }

  /** @param {CrosspointError} error */
  #end(error) {
    if (this.#ended) return;
    this.#fail(error);
    this.close();
    if (this.#started) this.emit("over", error);
  }
}

/** @param {number} ms */
function delay(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
