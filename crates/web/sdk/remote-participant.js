/**
 * Another participant and its tracks.
 */

import { RemoteTrack } from "./tracks.js";

/** @import { ParticipantInfo, Source, TrackInfo } from "./protocol.js" */

export class RemoteParticipant {
  /** The server's description, replaced when it changes. @type {ParticipantInfo} */
  info;
  /** What it publishes, by track id. @type {Map<string, RemoteTrack>} */
  tracks = new Map();
  /** Whether it is among those who speak now. */
  speaking = false;
  /** How loud it speaks, 0 to 1; 0 when it does not. */
  level = 0;
  /**
   * Camera and microphone, as far as they arrive. Tracks come and go in it while the object
   * stays. Mute elements that show it: sound is played by the room, unless that was switched off.
   *
   * @readonly
   */
  stream = new MediaStream();
  /** Shared screen and its sound, in the same way. @readonly */
  screenStream = new MediaStream();

  /** @param {ParticipantInfo} info */
  constructor(info) {
    this.info = info;
    for (const track of info.tracks) this.tracks.set(track.sid, new RemoteTrack(track));
  }

  get identity() {
    return this.info.identity;
  }

  /** Name to show: its own, or its identity. */
  get name() {
    return this.info.name || this.info.identity;
  }

  get isLocal() {
    return /** @type {const} */ (false);
  }

  /**
   * The (first) track of a source.
   *
   * @param {Source} source
   * @returns {RemoteTrack | undefined}
   */
  track(source) {
    for (const track of this.tracks.values()) if (track.source === source) return track;
    return undefined;
  }

  /**
   * The stream that a track of this source belongs into.
   *
   * @param {Source} source
   */
  streamOf(source) {
    return source.startsWith("screen_share") ? this.screenStream : this.stream;
  }

  /**
   * For the room: notes a description and tells which tracks it adds and which it no longer has.
   *
   * @param {ParticipantInfo} info
   */
  update(info) {
    this.info = info;
    const sids = new Set(info.tracks.map((track) => track.sid));
    const removed = [...this.tracks.values()].filter((track) => !sids.has(track.sid));
    const added = info.tracks.filter((track) => !this.tracks.has(track.sid));
    return { added, removed, changed: info.tracks.filter((track) => this.tracks.has(track.sid)) };
  }

  /**
   * For the room.
   *
   * @param {TrackInfo} info
   */
  addTrack(info) {
    const track = new RemoteTrack(info);
    this.tracks.set(info.sid, track);
    return track;
  }
}
