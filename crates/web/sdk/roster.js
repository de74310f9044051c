/**
 * Who is in the room, what they publish, and which slot carries it.
 *
 * Takes the server's messages, keeps participants and tracks, and tells the room what changed. The
 * only thing it knows of media is a function from a slot's mid to the track that arrives on it.
 */

import { RemoteParticipant } from "./remote-participant.js";
import { SlotTable } from "./slots.js";

/** @import { Kind, ParticipantInfo, SlotInfo, TrackInfo } from "./protocol.js" */
/** @import { RemoteTrack } from "./tracks.js" */

/**
 * @typedef {{ track: RemoteTrack, participant: RemoteParticipant }} TrackChange
 *
 * @typedef {object} RosterEvents
 * @property {{ participant: RemoteParticipant }} participantJoined
 * @property {{ participant: RemoteParticipant }} participantUpdated
 * @property {{ participant: RemoteParticipant, reason: string }} participantLeft
 * @property {TrackChange} trackPublished
 * @property {TrackChange} trackUnpublished
 * @property {TrackChange & { mediaStreamTrack: MediaStreamTrack }} trackSubscribed
 * @property {TrackChange} trackUnsubscribed
 * @property {TrackChange & { muted: boolean }} trackMuted
 * @property {TrackChange} trackUpdated
 */

/** @typedef {<Name extends keyof RosterEvents>(name: Name, payload: RosterEvents[Name]) => void} Tell */

export class Roster {
  /** By identity. @type {Map<string, RemoteParticipant>} */
  participants = new Map();
  #slots = new SlotTable();
  #tell;
  #slotMedia;

  /**
   * @param {Tell} tell
   * @param {(mid: string) => MediaStreamTrack | null} slotMedia
   */
  constructor(tell, slotMedia) {
    this.#tell = tell;
    this.#slotMedia = slotMedia;
  }

  /**
   * A new session, or another room: these are all who are there. Who was known stays the same
   * object.
   *
   * @param {ParticipantInfo[]} infos
   */
  replaceAll(infos) {
    const present = new Set(infos.map((info) => info.identity));
    for (const identity of [...this.participants.keys()]) {
      if (!present.has(identity)) this.left(identity, "");
    }
    for (const info of infos) this.upsert(info);
  }

  /** @param {ParticipantInfo} info */
  upsert(info) {
    const known = this.participants.get(info.identity);
    if (!known) {
      const participant = new RemoteParticipant(info);
      this.participants.set(info.identity, participant);
      this.#tell("participantJoined", { participant });
      for (const track of participant.tracks.values()) this.#tell("trackPublished", { track, participant });
      this.#connectSlots();
      return;
    }
    const { added, removed, changed } = known.update(info);
    for (const track of removed) this.unpublished(info.identity, track.sid);
    for (const track of added) this.published(info.identity, track);
    for (const track of changed) this.trackUpdated(info.identity, track);
    this.#tell("participantUpdated", { participant: known });
  }

  /**
   * @param {string} identity
   * @param {string} reason
   */
  left(identity, reason) {
    const participant = this.participants.get(identity);
    if (!participant) return;
    for (const sid of [...participant.tracks.keys()]) this.unpublished(identity, sid);
    this.participants.delete(identity);
    this.#tell("participantLeft", { participant, reason });
  }

  /**
   * @param {string} identity
   * @param {TrackInfo} info
   */
  published(identity, info) {
    const participant = this.participants.get(identity);
    if (!participant) return;
    if (participant.tracks.has(info.sid)) {
      this.trackUpdated(identity, info);
      return;
    }
    const track = participant.addTrack(info);
    this.#tell("trackPublished", { track, participant });
    this.#connectSlots();
  }

  /**
   * @param {string} identity
   * @param {TrackInfo} info
   */
  trackUpdated(identity, info) {
    const participant = this.participants.get(identity);
    const track = participant?.tracks.get(info.sid);
    if (!participant || !track) return;
    const wasMuted = track.muted;
    track.info = info;
    this.#tell("trackUpdated", { track, participant });
    if (wasMuted !== info.muted) this.#tell("trackMuted", { track, participant, muted: info.muted });
  }

  /**
   * @param {string} identity
   * @param {string} sid
   */
  unpublished(identity, sid) {
    const participant = this.participants.get(identity);
    const track = participant?.tracks.get(sid);
    if (!participant || !track) return;
    this.#carry(participant, track, null);
    participant.tracks.delete(sid);
    this.#tell("trackUnpublished", { track, participant });
  }

  /** @param {SlotInfo[]} slots those that changed */
  slotsChanged(slots) {
    this.#slots.update(slots);
    this.#connectSlots();
  }

  /** A new session begins: no slot carries anything. */
  slotsGone() {
    this.#slots.clear();
    this.#connectSlots();
  }

  /** @param {string} mid */
  feed(mid) {
    return this.#slots.feed(mid);
  }

  /** How many slots the server has for us. */
  slotCount() {
    return { audio: this.#slots.count("audio"), video: this.#slots.count("video") };
  }

  /**
   * How many tracks of a kind there are to be received: wanted and not muted.
   *
   * @param {Kind} kind
   */
  wantedCount(kind) {
    let count = 0;
    for (const { tracks } of this.participants.values()) {
      for (const track of tracks.values()) {
        if (track.kind === kind && track.wanted && !track.muted) count++;
      }
    }
    return count;
  }

  /** @param {string} sid */
  findTrack(sid) {
    for (const participant of this.participants.values()) {
      const track = participant.tracks.get(sid);
      if (track) return track;
    }
    return undefined;
  }

  /**
   * Gives each track what its slot receives. First takes away, then gives: a slot that changed
   * hands is never in two of them.
   */
  #connectSlots() {
    const carriers = this.#slots.carriers();
    /** @type {(() => void)[]} */
    const gains = [];
    for (const participant of this.participants.values()) {
      for (const track of participant.tracks.values()) {
        const mid = carriers.get(track.sid);
        const media = mid === undefined ? null : this.#slotMedia(mid);
        if (media === track.mediaStreamTrack) continue;
        this.#carry(participant, track, null);
        if (media) gains.push(() => this.#carry(participant, track, media));
      }
    }
    for (const gain of gains) gain();
  }

  /**
   * @param {RemoteParticipant} participant
   * @param {RemoteTrack} track
   * @param {MediaStreamTrack | null} media
   */
  #carry(participant, track, media) {
    const previous = track.mediaStreamTrack;
    if (previous === media) return;
    const stream = participant.streamOf(track.source);
    if (previous) stream.removeTrack(previous);
    if (media) stream.addTrack(media);
    track.carry(media);
    if (media) this.#tell("trackSubscribed", { track, participant, mediaStreamTrack: media });
    else this.#tell("trackUnsubscribed", { track, participant });
  }
}
