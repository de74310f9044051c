/**
 * Tracks: what this participant sends, and what it receives of others.
 */

import { Emitter } from "./emitter.js";

/** @import { Explanation, Kind, QualityReason, ShownQuality, Source, TrackInfo } from "./protocol.js" */
/** @import { VideoCodec } from "./codecs.js" */

/**
 * @typedef {object} PublishOptions
 * @property {Source} [source] default: microphone or camera, by kind
 * @property {string} [name] for applications
 * @property {boolean} [simulcast] several sizes of one picture; default: for cameras
 * @property {VideoCodec} [codec] preferred codec
 * @property {boolean} [red] sound that takes the sound before it along, so that a lost packet is not
 *   missed; default true
 * @property {string} [scalabilityMode] several layers in one stream instead, e.g. "L3T3_KEY"
 * @property {boolean} [stopOnUnpublish] ends the device with the publication; default false
 */

/** A track of this participant. Made by `localParticipant.publish`. */
export class LocalTrack {
  /** What is sent now; another one after `switchDevice`. @type {MediaStreamTrack} */
  mediaStreamTrack;
  /** Public id; empty until the server has answered. */
  sid = "";
  /** Whether its owner wants nothing to flow. */
  muted = false;
  /** Whether the server has muted it. It flows when neither does. */
  mutedByServer = false;
  /**
   * The m-line that carries it, while published. For statistics and parameters.
   *
   * @type {RTCRtpTransceiver | null}
   */
  transceiver = null;

  /**
   * @param {MediaStreamTrack} track
   * @param {PublishOptions} options
   */
  constructor(track, options) {
    this.mediaStreamTrack = track;
    /** @readonly */
    this.kind = /** @type {Kind} */ (track.kind);
    /** @type {Source} @readonly */
    this.source = options.source ?? (this.kind === "audio" ? "microphone" : "camera");
    /** @readonly */
    this.options = options;
  }

  get name() {
    return this.options.name ?? "";
  }

  /** Whether media flows, as far as this end decides. */
  get isLive() {
    return !this.muted && !this.mutedByServer;
  }

  /** Size in pixels; zeros for audio or when unknown. */
  get size() {
    if (this.kind === "audio") return { width: 0, height: 0 };
    const { width = 0, height = 0 } = this.mediaStreamTrack.getSettings();
    return { width, height };
  }

  /**
   * Shows it in an element (a new muted one by default). Its owner ends it by removing the element.
   *
   * @param {HTMLMediaElement} [element]
   */
  attach(element = document.createElement(this.kind)) {
    element.muted = true;
    element.autoplay = true;
    if (element instanceof HTMLVideoElement) element.playsInline = true;
    element.srcObject = new MediaStream([this.mediaStreamTrack]);
    return element;
  }
}

/**
 * @typedef {object} RemoteTrackEvents
 * @property {MediaStreamTrack} attached media arrives by this track now
 * @property {void} detached nothing carries it any more
 * @property {{ quality: ShownQuality | null, reason: QualityReason | null }} qualityChanged it comes in
 *   another size, or (null) not at all, and why
 * @property {void} firstFrame an attached element shows the first picture since `attached`
 */

/**
 * A track of another participant. It stands as long as it is published; whether its media arrives
 * at this moment (`mediaStreamTrack`) is another matter, and may change often: of many microphones
 * only the loudest are forwarded.
 *
 * @extends {Emitter<RemoteTrackEvents>}
 */
export class RemoteTrack extends Emitter {
  /** The media, while it is received. @type {MediaStreamTrack | null} */
  mediaStreamTrack = null;
  /** Whether it was asked not to be sent (`room.subscribe`). */
  wanted = true;
  /** What of it is received, as the server said last; null: nothing. @type {ShownQuality | null} */
  quality = null;
  /** @type {Set<HTMLMediaElement>} */
  #elements = new Set();
  /** @type {() => Promise<Explanation>} */
  #ask = () => Promise.reject(new Error("its room is not joined"));

  /** @param {TrackInfo} info */
  constructor(info) {
    super();
    /** Public id. @readonly */
    this.sid = info.sid;
    /** @readonly */
    this.kind = info.kind;
    /** @readonly */
    this.source = info.source;
    /** The server's description, replaced when it changes. */
    this.info = info;
  }

  get name() {
    return this.info.name;
  }

  get muted() {
    return this.info.muted;
  }

  /** @returns {string | null} */
  get codec() {
    return this.info.codec;
  }

  /** Whether its media arrives. */
  get isSubscribed() {
    return this.mediaStreamTrack !== null;
  }

  /** Asks the server why its picture is as it is: what there is, what is asked, decided, flowing. */
  explain() {
    return this.#ask();
  }

  /** For the room: how to ask. @param {() => Promise<Explanation>} ask */
  bind(ask) {
    this.#ask = ask;
  }

  /**
   * For the room: it comes in another size, or not at all.
   *
   * @param {ShownQuality | null} quality
   * @param {QualityReason | null} reason
   */
  noteQuality(quality, reason) {
    this.quality = quality;
    this.emit("qualityChanged", { quality, reason });
  }

  /**
   * Plays it in an element (a new one by default), and goes on doing so when another slot carries
   * it. Video elements are silent: sound is played by the room.
   *
   * @param {HTMLMediaElement} [element]
   */
  attach(element = document.createElement(this.kind)) {
    element.autoplay = true;
    if (element instanceof HTMLVideoElement) {
      element.playsInline = true;
      element.muted = true;
    }
    this.#elements.add(element);
    this.#feed(element);
    return element;
  }

  /** @param {HTMLMediaElement} element */
  detach(element) {
    if (this.#elements.delete(element)) element.srcObject = null;
  }

  /**
   * For the room: another slot carries it, or none.
   *
   * @param {MediaStreamTrack | null} media
   */
  carry(media) {
    if (media === this.mediaStreamTrack) return;
    this.mediaStreamTrack = media;
    for (const element of this.#elements) this.#feed(element);
    if (media) this.emit("attached", media);
    else this.emit("detached", undefined);
  }

  /** @param {HTMLMediaElement} element */
  #feed(element) {
    const media = this.mediaStreamTrack;
    element.srcObject = media && new MediaStream([media]);
    if (!media || !(element instanceof HTMLVideoElement)) return;
    onNextFrame(element, () => {
      if (this.mediaStreamTrack === media) this.emit("firstFrame", undefined);
    });
  }
}

/**
 * @param {HTMLVideoElement} element
 * @param {() => void} then
 */
function onNextFrame(element, then) {
  if ("requestVideoFrameCallback" in element) element.requestVideoFrameCallback(then);
  else /** @type {HTMLElement} */ (element).addEventListener("loadeddata", then, { once: true });
}
