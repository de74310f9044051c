/**
 * The one RTCPeerConnection of a stay: senders, slots, data channels and the offers that tell the
 * server of them.
 *
 * It always offers and the server always answers, so there is no glare; offers go one after the
 * other. What feeds a slot is not its business (see `slots.js`).
 */

import { codecPreferences, videoEncodings } from "./codecs.js";
import { Emitter } from "./emitter.js";
import { CrosspointError } from "./errors.js";
import { M_LINES_MAX } from "./protocol.js";

/** @import { Answer, Kind, Offer, TrackDescription } from "./protocol.js" */
/** @import { LocalTrack } from "./tracks.js" */

/** How long ICE may be without a sign of life before it is restarted, in milliseconds. */
const DISCONNECTED_GRACE_MS = 2_500;
/** m-lines kept free of slots, for what may be published later. */
const RESERVED_M_LINES = 6;
/** Bytes that may wait in a data channel. */
const CHANNEL_BUFFER_MAX = 1 << 20;

/** @typedef {"reliable" | "unreliable"} ChannelLabel */

/**
 * What an application does with encoded frames between codec and network, end-to-end encryption for
 * instance: called for each sender and each slot. The server forwards what it is given; of a picture
 * it must be able to read the first bytes (VP8: 10 of a keyframe, 3 of others), or it finds no keyframe.
 *
 * @typedef {(end: RTCRtpSender | RTCRtpReceiver) => RTCRtpScriptTransform | null} EncodedTransform
 */

/**
 * @typedef {object} PeerEvents
 * @property {void} connected media flows (again)
 * @property {void} unstable no sign of life: ICE wants a restart
 * @property {{ label: ChannelLabel, data: unknown }} channelMessage
 */

/** @extends {Emitter<PeerEvents>} */
export class Peer extends Emitter {
  #pc;
  #encodedTransform;
  #exchange;
  #answered;
  /** @type {LocalTrack[]} */
  #sending = [];
  /** Senders that an unpublished track left, by the shape of what they can carry. */
  #idle = /** @type {{ shape: string, transceiver: RTCRtpTransceiver }[]} */ ([]);
  /**
   * What belongs together for lip sync: camera with microphone, screen with its sound. Only their
   * ids matter, as msid of the offer.
   */
  #streams = { person: new MediaStream(), screen: new MediaStream() };
  /** @type {Record<ChannelLabel, RTCDataChannel>} */
  #channels;
  /** The last negotiation that was begun. @type {Promise<unknown>} */
  #last = Promise.resolve();
  /** The one that has not begun yet, which all who ask meanwhile share. @type {Promise<Answer> | null} */
  #next = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #grace;

  /**
   * @param {object} options
   * @param {RTCConfiguration} [options.rtc] ICE servers and policy
   * @param {(offer: Offer) => Promise<Answer>} options.exchange brings an offer to the server
   * @param {EncodedTransform} [options.encodedTransform]
   * @param {(answer: Answer) => void} options.answered is told of an answer as soon as the browser
   *   has it, not when it has applied it: what the server says next is newer
   */
  constructor({ rtc, encodedTransform, exchange, answered }) {
    super();
    this.#encodedTransform = encodedTransform;
    this.#exchange = exchange;
    this.#answered = answered;
    this.#pc = new RTCPeerConnection({
      ...rtc,
      bundlePolicy: "max-bundle",
      rtcpMuxPolicy: "require",
    });
    this.#pc.onconnectionstatechange = () => this.#watch();
    this.#channels = {
      reliable: this.#openChannel("reliable", { ordered: true }),
      unreliable: this.#openChannel("unreliable", { ordered: false, maxRetransmits: 0 }),
    };
  }

  get isConnected() {
    return this.#pc.connectionState === "connected";
  }

  /** How many slots may still be added. */
  get slotsLeft() {
    return M_LINES_MAX - 1 - RESERVED_M_LINES - this.#pc.getTransceivers().length;
  }

  /**
   * Adds slots; the next offer tells the server.
   *
   * @param {Kind} kind
   * @param {number} count
   */
  addSlots(kind, count) {
    for (let i = 0; i < count; i++) {
      const transceiver = this.#pc.addTransceiver(kind, { direction: "recvonly" });
      this.#prefer(transceiver, kind);
      this.#transform(transceiver.receiver);
      if (kind === "video") takeDescriptors(transceiver);
    }
  }

  /**
   * The media that arrives on a slot. It exists from the moment the slot is added.
   *
   * @param {string} mid
   * @returns {MediaStreamTrack | null}
   */
  slotTrack(mid) {
    const transceiver = this.#pc.getTransceivers().find((t) => t.mid === mid);
    return transceiver?.receiver.track ?? null;
  }

  /**
   * Sends a track; the next offer tells the server. An m-line that an earlier track of the same
   * shape left is used again.
   *
   * @param {LocalTrack} track
   */
  addSender(track) {
    const { kind, source } = track;
    const { simulcast, codec, scalabilityMode, red = true } = track.options;
    const picture = { ...track.size, source, simulcast, codec, scalabilityMode };
    const encodings = kind === "video" ? videoEncodings(picture) : [];
    const shape = [kind, source.startsWith("screen_share"), encodings.length, scalabilityMode].join();
    const live = track.mediaStreamTrack.readyState === "live" ? track.mediaStreamTrack : null;
    const idle = this.#idle.findIndex((entry) => entry.shape === shape);
    let transceiver;
    if (idle >= 0) {
      [{ transceiver }] = this.#idle.splice(idle, 1);
      transceiver.direction = "sendonly";
      transceiver.sender.replaceTrack(live).catch(() => {});
    } else {
      const stream = source.startsWith("screen_share") ? this.#streams.screen : this.#streams.person;
      transceiver = this.#pc.addTransceiver(live ?? kind, {
        direction: "sendonly",
        sendEncodings: encodings,
        streams: [stream],
      });
      shapes.set(transceiver, shape);
      this.#transform(transceiver.sender);
    }
    this.#prefer(transceiver, kind, kind === "audio" && red ? "red" : codec);
    track.transceiver = transceiver;
    this.#sending.push(track);
  }

  /**
   * Stops sending a track; the next offer tells the server.
   *
   * @param {LocalTrack} track
   */
  removeSender(track) {
    const index = this.#sending.indexOf(track);
    if (index < 0) return;
    this.#sending.splice(index, 1);
    const { transceiver } = track;
    track.transceiver = null;
    if (!transceiver || this.#pc.signalingState === "closed") return;
    transceiver.direction = "inactive";
    transceiver.sender.replaceTrack(null).catch(() => {});
    this.#idle.push({ shape: shapes.get(transceiver) ?? "", transceiver });
  }

  /**
   * Offers what stands now and applies the answer. Calls made while another offer is under way
   * share the next one.
   *
   * @returns {Promise<Answer>}
   */
  negotiate() {
    this.#next ??= this.#last.then(() => {
      this.#next = null;
      return this.#negotiateOnce();
    });
    this.#last = this.#next.catch(() => {});
    return this.#next;
  }

  /** Offers with new ICE credentials. */
  restartIce() {
    this.#pc.restartIce();
    return this.negotiate();
  }

  /** Resolves when media is connected, at once when it is. */
  async connected() {
    if (!this.isConnected) await new Promise((resolve) => this.once("connected", () => resolve(undefined)));
  }

  /**
   * Sends by a data channel.
   *
   * @param {ChannelLabel} label
   * @param {string} text
   * @returns {boolean} false when the channel is not open
   */
  send(label, text) {
    const channel = this.#channels[label];
    if (channel.readyState !== "open") return false;
    if (channel.bufferedAmount <= CHANNEL_BUFFER_MAX) channel.send(text);
    else if (label === "reliable") throw new CrosspointError("overloaded", "too many messages wait");
    return true; // an unreliable one that finds no room is lost, as it may be
  }

  /** @returns {Promise<RTCStatsReport>} */
  getStats() {
    return this.#pc.getStats();
  }

  /** Ends it; nothing is emitted afterwards. */
  close() {
    clearTimeout(this.#grace);
    this.#pc.onconnectionstatechange = null;
    this.#pc.close();
    for (const track of this.#sending) track.transceiver = null;
    this.#sending = [];
  }

  /**
   * Says which codecs are wanted, in which order.
   *
   * @param {RTCRtpTransceiver} transceiver
   * @param {Kind} kind
   * @param {string} [first]
   */
  #prefer(transceiver, kind, first) {
    // Both directions take the receiver's capabilities (WebRTC 5.4, setCodecPreferences).
    const capabilities = RTCRtpReceiver.getCapabilities?.(kind)?.codecs;
    if (!capabilities) return;
    // Redundant sound is made of sound that the server can read.
    const readable = !this.#encodedTransform;
    const usable = readable ? capabilities : capabilities.filter(({ mimeType }) => mimeType.toLowerCase() !== "audio/red");
    try {
      transceiver.setCodecPreferences?.(codecPreferences(usable, kind, first));
    } catch {
      // A browser of another mind: its own order does as well.
    }
  }

  /** @param {RTCRtpSender | RTCRtpReceiver} end */
  #transform(end) {
    const transform = this.#encodedTransform?.(end);
    if (transform) end.transform = transform;
  }

  /** @returns {Promise<Answer>} */
  async #negotiateOnce() {
    const offer = await browserSays(this.#makeOffer());
    let answer;
    try {
      answer = await this.#exchange(offer);
    } catch (error) {
      await this.#takeBack();
      throw error;
    }
    const applied = this.#pc.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    applied.catch(() => {}); // seen below
    this.#answered(answer);
    await browserSays(applied);
    return answer;
  }

  /** @returns {Promise<Offer>} */
  async #makeOffer() {
    await this.#pc.setLocalDescription(await this.#pc.createOffer());
    const sdp = this.#pc.localDescription?.sdp ?? "";
    return { sdp, tracks: this.#sending.map(describe) };
  }

  async #takeBack() {
    if (this.#pc.signalingState !== "have-local-offer") return;
    await this.#pc.setLocalDescription({ type: "rollback" });
  }

  #watch() {
    clearTimeout(this.#grace);
    const state = this.#pc.connectionState;
    if (state === "connected") this.emit("connected", undefined);
    else if (state === "failed") this.emit("unstable", undefined);
    else if (state === "disconnected") {
      // Often it comes back by itself within a moment.
      this.#grace = setTimeout(() => this.emit("unstable", undefined), DISCONNECTED_GRACE_MS);
    }
  }

  /**
   * @param {ChannelLabel} label
   * @param {RTCDataChannelInit} init
   */
  #openChannel(label, init) {
    const channel = this.#pc.createDataChannel(label, init);
    channel.onmessage = ({ data }) => this.emit("channelMessage", { label, data });
    return channel;
  }
}

/** What the m-lines that we made can carry. @type {WeakMap<RTCRtpTransceiver, string>} */
const shapes = new WeakMap();

/**
 * What the browser refuses, as an error of ours.
 *
 * @template T
 * @param {Promise<T>} outcome
 * @returns {Promise<T>}
 */
async function browserSays(outcome) {
  try {
    return await outcome;
  } catch (cause) {
    const closed = cause instanceof DOMException && cause.name === "InvalidStateError";
    throw new CrosspointError(closed ? "aborted" : "media_failed", String(cause), { cause });
  }
}

/**
 * @param {LocalTrack} track
 * @returns {TrackDescription}
 */
function describe(track) {
  const { source, name, muted, size } = track;
  return { mid: track.transceiver?.mid ?? "", source, name, muted, ...size };
}

/** AV1 RTP specification, appendix A: which frames a frame depends on, and whom it is for. */
const DEPENDENCY_DESCRIPTOR =
  "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/**
 * Takes descriptions of frames on a slot. Chromium offers that by itself only where it sends them,
 * and cannot put the layers of an AV1 picture together without.
 *
 * @param {RTCRtpTransceiver & HeaderExtensionControl} transceiver
 */
function takeDescriptors(transceiver) {
  const extensions = transceiver.getHeaderExtensionsToNegotiate?.();
  if (!extensions) return;
  const wanted = extensions.map((extension) =>
    extension.uri === DEPENDENCY_DESCRIPTOR ? { ...extension, direction: "sendrecv" } : extension,
  );
  try {
    transceiver.setHeaderExtensionsToNegotiate?.(wanted);
  } catch {
    // Not here, then.
  }
}

/**
 * WebRTC extensions, 5.2; not in all browsers.
 *
 * @typedef {object} HeaderExtensionControl
 * @property {() => { uri: string, direction: string }[]} [getHeaderExtensionsToNegotiate]
 * @property {(extensions: { uri: string, direction: string }[]) => void} [setHeaderExtensionsToNegotiate]
 */
