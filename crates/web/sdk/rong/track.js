/**
 * RCTrack: one piece of media of a call, local or remote. Audio is heard only when it is played.
 */

import { RemoteTrack } from "../tracks.js";

/** @import { LocalTrack } from "../tracks.js" */

export class RCTrack {
  /** @type {LocalTrack | RemoteTrack} */
  #track;
  #userId;
  /** Plays sound that was given no element. @type {HTMLMediaElement | null} */
  #speaker = null;

  /**
   * @param {LocalTrack | RemoteTrack} track
   * @param {string} userId whose it is
   */
  constructor(track, userId) {
    this.#track = track;
    this.#userId = userId;
  }

  isLocalTrack() {
    return !(this.#track instanceof RemoteTrack);
  }

  isAudioTrack() {
    return this.#track.kind === "audio";
  }

  isVideoTrack() {
    return this.#track.kind === "video";
  }

  getUserId() {
    return this.#userId;
  }

  getTrackId() {
    return this.#track.sid;
  }

  /**
   * Plays sound, or shows the picture in an element.
   *
   * @param {HTMLVideoElement | HTMLAudioElement} [element] required for pictures
   * @returns {Promise<void>} rejects when the browser wants a gesture first
   */
  async play(element) {
    if (this.isVideoTrack() && !element) throw new TypeError("a video track plays in an element");
    const target = element ?? (this.#speaker ??= new Audio());
    this.#track.attach(target);
    await target.play();
  }

  /** Ends what `play` without an element began. For the session, when the call is over. */
  release() {
    if (this.#speaker) this.#speaker.srcObject = null;
    this.#speaker = null;
  }
}
