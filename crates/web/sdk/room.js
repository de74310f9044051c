/**
 * A room as an application sees it: join, who is there, what they send, messages, leave.
 */

import { Backoff } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { CrosspointError, isCrosspointError } from "./errors.js";
import { LocalParticipant } from "./local-participant.js";
import { decodeMessage, encodeMessage, fromBase64 } from "./messages.js";
import { Playback } from "./playback.js";
import { BrowserReports, mergeReports } from "./reports.js";
import { Roster } from "./roster.js";
import { Session } from "./session.js";
import { slotGrowth } from "./slots.js";
import { summarise } from "./stats.js";
import { Timings } from "./timings.js";

/** @import { LocalEvent } from "./local-participant.js" */
/** @import { MessageOptions } from "./messages.js" */
/** @import { EncodedTransform } from "./peer.js" */
/** @import { Answer, JoinReply, Largest, QualityReason, RoomInfo, ServerEvent, ShownQuality } from "./protocol.js" */
/** @import { RemoteParticipant } from "./remote-participant.js" */
/** @import { StateReport } from "./reports.js" */
/** @import { RosterEvents } from "./roster.js" */
/** @import { TokenSource } from "./signal.js" */
/** @import { LocalTrack, RemoteTrack } from "./tracks.js" */

/**
 * `reconnecting`: signalling or media is being mended; what arrives goes on arriving.
 *
 * @typedef {"disconnected" | "connecting" | "connected" | "reconnecting"} RoomState
 */

/**
 * @typedef {object} RoomOptions
 * @property {boolean} [playAudio] play everyone's sound; default true
 * @property {boolean} [autoSubscribe] receive everything without asking; default true
 * @property {RTCConfiguration} [rtc] ICE servers, transport policy
 * @property {EncodedTransform} [encodedTransform] of encoded frames, e.g. end-to-end encryption
 */

/**
 * @typedef {object} ReceivedMessage
 * @property {string | null} from identity; null: the server
 * @property {RemoteParticipant | null} participant
 * @property {string} topic
 * @property {string | null} text
 * @property {Uint8Array | null} data when it is not text
 * @property {boolean} reliable
 */

/**
 * @typedef {object} OwnEvents
 * @property {{ state: RoomState, reason: string, error: CrosspointError | null }} stateChanged
 * @property {{ track: LocalTrack }} localTrackPublished
 * @property {{ track: LocalTrack }} localTrackUnpublished
 * @property {{ track: LocalTrack }} localTrackSwitched another device feeds it
 * @property {{ track: LocalTrack, byServer: boolean }} localTrackMuted or unmuted
 * @property {{ track: LocalTrack }} deviceLost unplugged, or taken by the system; now muted
 * @property {{ participant: LocalParticipant }} localParticipantUpdated name, permissions, ...
 * @property {{ speakers: { participant: RemoteParticipant | LocalParticipant, level: number }[] }} activeSpeakers
 *   who speaks now, loudest first
 * @property {{ participant: RemoteParticipant, track: RemoteTrack, quality: ShownQuality | null,
 *   reason: QualityReason | null }} subscriptionChanged a picture comes in another size, or not at all
 * @property {ReceivedMessage} message
 * @property {{ room: RoomInfo }} roomUpdated
 * @property {{ room: RoomInfo }} moved the server brought us into another room
 * @property {void} draining the server will stop
 * @property {{ report: StateReport, server: StateReport, browser: StateReport }} report each second, after
 *   `setReports(true)`: both sides' figures in one, and each alone
 * @property {{ blocked: boolean }} audioBlocked the browser wants a gesture: call `startAudio` in one
 */

/** @typedef {OwnEvents & RosterEvents} RoomEvents */

/** Reasons for which a session that is over is followed by another. */
const REJOIN = new Set([
  "session_expired", "signal_lost", "consent_expired", "connect_timeout", "dtls_failed",
  "peer_closed", "slow_client", "worker_failed", "connection_lost", "media_failed",
]);
/** Errors of a join that time does not mend. */
const HOPELESS = new Set([
  "unauthorized", "forbidden", "not_permitted", "room_full", "room_not_found", "draining",
  "duplicate_identity", "kicked", "room_deleted", "server_shutdown", "fingerprint_mismatch",
  "protocol",
]);
/** How long rejoining is tried, in milliseconds. */
const REJOIN_FOR_MS = 120_000;

/** @extends {Emitter<RoomEvents>} */
export class Room extends Emitter {
  /** @readonly */
  localParticipant = new LocalParticipant({
    peer: () => this.#session?.peer ?? null,
    negotiate: async () => this.#session?.negotiate(),
    request: (type, fields) => this.#request(type, fields),
    emit: (event) => this.#onLocal(event),
  });
  /** When the steps of the (last) join happened. @readonly */
  timings = new Timings();
  /** The room's description; null before the first join. @type {RoomInfo | null} */
  info = null;
  #options;
  /** @type {RoomState} */
  #state = "disconnected";
  /** @type {Session | null} */
  #session = null;
  #roster = new Roster(
    (name, payload) => this.#onRoster(name, payload),
    (mid) => this.#session?.peer.slotTrack(mid) ?? null,
  );
  #playback = new Playback((blocked) => this.emit("audioBlocked", { blocked }));
  /** @type {{ url: string, token: TokenSource } | null} */
  #target = null;
  #backoff = new Backoff();
  /** Made while reports are wanted. @type {BrowserReports | null} */
  #reports = null;
  /** A change of slots is being negotiated, or was refused. */
  #growing = false;
  #nudge = () => this.#session?.nudge();
  #leaveWithPage = () => void this.leave();

  /** @param {RoomOptions} [options] */
  constructor(options = {}) {
    super();
    this.#options = options;
  }

  get state() {
    return this.#state;
  }

  get name() {
    return this.info?.name ?? "";
  }

  /** The others, by identity. @returns {ReadonlyMap<string, RemoteParticipant>} */
  get participants() {
    return this.#roster.participants;
  }

  /**
   * Joins. Resolves when media is connected; those who are already there have been told of by
   * `participantJoined` then, like those who come later.
   *
   * @param {string} url of the server, e.g. `location.origin`
   * @param {TokenSource} token says which room and who we are
   */
  async join(url, token) {
    if (this.#state !== "disconnected") throw new CrosspointError("protocol", "already joined");
    this.#target = { url, token };
    this.timings.reset();
    this.timings.mark("join");
    this.#setState("connecting");
    globalThis.addEventListener?.("online", this.#nudge);
    globalThis.addEventListener?.("pagehide", this.#leaveWithPage);
    try {
      await this.#beginSession();
    } catch (cause) {
      const error = asError(cause);
      this.#finish(error.type, error);
      throw error;
    }
    this.#setState("connected");
    this.#growSlots();
  }

  /** Leaves: publications end, devices that the room opened are closed. */
  async leave() {
    if (this.#state !== "disconnected") this.#finish("client_left", null);
  }

  /**
   * Says what is wanted of a track.
   *
   * @param {RemoteTrack} track
   * @param {{ wanted?: boolean, largest?: Largest }} wish
   */
  async subscribe(track, { wanted = true, largest = "best" }) {
    track.wanted = wanted;
    await this.#request("subscribe", { track: track.sid, wanted, largest });
    this.#growSlots();
  }

  /**
   * Sends an application message: by data channel while that is open, else by the WebSocket.
   *
   * @param {string | Uint8Array} payload at most 64 KiB
   * @param {MessageOptions} [options]
   */
  async send(payload, options = {}) {
    const reliable = options.reliable ?? true;
    const message = encodeMessage(payload, options);
    const sent = this.#session?.peer.send(reliable ? "reliable" : "unreliable", JSON.stringify(message));
    if (!sent) await this.#request("message", { ...message, reliable });
  }

  /**
   * Changes our own name, metadata or attributes, if permitted.
   *
   * @param {{ name?: string, metadata?: string, attributes?: Record<string, string> }} change
   */
  async update(change) {
    const { participant } = await this.#request("update", change);
    if (participant) this.#onEvent({ type: "participantUpdated", seq: 0, participant });
  }

  /** Plays what the browser refused to. To be called in a click or key handler. */
  startAudio() {
    return this.#playback.start();
  }

  /** Whether the browser refuses to play until `startAudio`. */
  get audioBlocked() {
    return this.#playback.blocked;
  }

  /**
   * Plays by this speaker (where the browser lets choose).
   *
   * @param {string} deviceId
   */
  setSpeaker(deviceId) {
    return this.#playback.setSink(deviceId);
  }

  /** Figures of this session now; null without one. */
  async stats() {
    const session = this.#session;
    return session && summarise(await session.peer.getStats(), (mid) => this.#roster.feed(mid));
  }

  /**
   * Whether there shall be a `report` each second.
   *
   * @param {boolean} wanted
   */
  async setReports(wanted) {
    this.#reports = wanted ? new BrowserReports() : null;
    if (this.#session) await this.#request("reports", { wanted });
  }

  /** Everything that the browser knows. */
  async rawStats() {
    return this.#session?.peer.getStats() ?? null;
  }

  async #beginSession() {
    const target = /** @type {{ url: string, token: TokenSource }} */ (this.#target);
    const { autoSubscribe = true, rtc, encodedTransform } = this.#options;
    const session = new Session({ ...target, autoSubscribe, rtc, encodedTransform, timings: this.timings });
    this.#session = session;
    this.#growing = false;
    session.on("joined", (reply) => this.#onJoined(reply));
    session.on("answer", (answer) => this.#onAnswer(answer));
    session.on("event", (event) => this.#onEvent(event));
    session.on("health", () => this.#onHealth(session));
    session.on("channelMessage", ({ label, data }) => this.#onChannelMessage(label, data));
    session.on("over", (error) => this.#onOver(session, error));
    await session.start((peer) => this.localParticipant.publishAll(peer));
  }

  /** @param {JoinReply} reply */
  #onJoined(reply) {
    this.info = reply.room;
    this.localParticipant.info = reply.participant;
    this.#roster.replaceAll(reply.participants);
    if (this.#reports) this.#request("reports", { wanted: true }).catch(() => {});
    this.emit("localParticipantUpdated", { participant: this.localParticipant });
  }

  /** @param {Answer} answer */
  #onAnswer(answer) {
    this.localParticipant.noteAnswer(answer.tracks);
    this.#roster.slotsChanged(answer.slots);
    this.#growSlots();
  }

  /** @param {ServerEvent} event */
  #onEvent(event) {
    const own = this.localParticipant;
    switch (event.type) {
      case "participantJoined":
      case "participantUpdated":
        if (event.participant.identity !== own.identity) this.#roster.upsert(event.participant);
        else {
          own.noteInfo(event.participant);
          this.emit("localParticipantUpdated", { participant: own });
        }
        break;
      case "participantLeft":
        this.#roster.left(event.identity, event.reason);
        break;
      case "trackPublished":
        this.#roster.published(event.identity, event.track);
        break;
      case "trackUpdated":
        this.#roster.trackUpdated(event.identity, event.track);
        break;
      case "trackUnpublished":
        this.#roster.unpublished(event.identity, event.trackSid);
        break;
      case "trackMuted":
        own.noteServerMute(event.track, event.muted);
        break;
      case "encodingsWanted":
        own.noteWanted(event.track, event.encodings);
        break;
      case "subscriptionChanged":
        this.#onQuality(event);
        break;
      case "slots":
        this.#roster.slotsChanged(event.slots);
        break;
      case "activeSpeakers":
        this.#onSpeakers(event.speakers);
        break;
      case "message":
        this.#onMessage(event, event.reliable);
        break;
      case "roomUpdated":
        this.info = event.room;
        this.emit("roomUpdated", { room: event.room });
        break;
      case "moved":
        this.info = event.room;
        this.#roster.replaceAll(event.participants);
        this.emit("moved", { room: event.room });
        break;
      case "report":
        void this.#onReport(event.report);
        break;
      case "draining":
        this.emit("draining", undefined);
        break;
      default: // `connected`, `interrupted` and what later servers add
    }
    this.#growSlots();
  }

  /** @param {StateReport} server */
  async #onReport(server) {
    const stats = await this.rawStats();
    if (!stats || !this.#reports) return;
    const browser = this.#reports.next(stats);
    this.emit("report", { report: mergeReports(server, browser), server, browser });
  }

  /** @param {Extract<ServerEvent, { type: "subscriptionChanged" }>} event */
  #onQuality({ publisher, track: sid, quality, reason }) {
    const participant = this.participants.get(publisher);
    const track = participant?.tracks.get(sid);
    if (!participant || !track) return;
    track.noteQuality(quality, reason);
    this.emit("subscriptionChanged", { participant, track, quality, reason });
  }

  /** @param {{ identity: string, level: number }[]} speakers */
  #onSpeakers(speakers) {
    const levels = new Map(speakers.map(({ identity, level }) => [identity, level]));
    for (const participant of [this.localParticipant, ...this.participants.values()]) {
      participant.level = levels.get(participant.identity) ?? 0;
      participant.speaking = levels.has(participant.identity);
    }
    const known = speakers.flatMap(({ identity, level }) => {
      const participant =
        identity === this.localParticipant.identity
          ? this.localParticipant
          : this.participants.get(identity);
      return participant ? [{ participant, level }] : [];
    });
    this.emit("activeSpeakers", { speakers: known });
  }

  /**
   * @param {string} label
   * @param {unknown} data
   */
  #onChannelMessage(label, data) {
    const message = decodeMessage(data);
    if (message) this.#onMessage(message, label === "reliable");
  }

  /**
   * @param {{ from: string | null, topic: string, text?: string, data?: string }} message
   * @param {boolean} reliable
   */
  #onMessage({ from = null, topic = "", text, data }, reliable) {
    const bytes = typeof data === "string" ? fromBase64(data) : null;
    if (typeof text !== "string" && !bytes) return;
    const participant = (from && this.participants.get(from)) || null;
    this.emit("message", { from, participant, topic, text: text ?? null, data: bytes, reliable });
  }

  /**
   * @template {keyof RosterEvents} Name
   * @param {Name} name
   * @param {RosterEvents[Name]} payload
   */
  #onRoster(name, payload) {
    if (name === "trackSubscribed") {
      const { mediaStreamTrack } = /** @type {RosterEvents["trackSubscribed"]} */ (payload);
      if (mediaStreamTrack.kind === "audio" && this.#options.playAudio !== false) {
        this.#playback.add(mediaStreamTrack);
      }
    } else if (name === "trackPublished") {
      const { track } = /** @type {RosterEvents["trackPublished"]} */ (payload);
      track.bind(async () => (await this.#request("explain", { track: track.sid })).explanation);
      track.on("firstFrame", () => this.timings.mark("firstFrame"));
    }
    this.emit(name, /** @type {RoomEvents[Name]} */ (payload));
  }

  /** @param {LocalEvent} event */
  #onLocal(event) {
    const { track } = event;
    switch (event.type) {
      case "published": return this.emit("localTrackPublished", { track });
      case "unpublished": return this.emit("localTrackUnpublished", { track });
      case "switched": return this.emit("localTrackSwitched", { track });
      case "deviceLost": return this.emit("deviceLost", { track });
      case "muted": return this.emit("localTrackMuted", { track, byServer: event.byServer });
    }
  }

  /** Asks for more slots when there are more people than slots. */
  #growSlots() {
    const session = this.#session;
    if (this.#growing || !session || !this.info || this.#state === "connecting") return;
    const need = {
      video: this.#roster.wantedCount("video"),
      audio: this.#roster.wantedCount("audio"),
      topAudio: this.info.topAudio,
    };
    const more = slotGrowth(need, this.#roster.slotCount(), session.peer.slotsLeft);
    if (more.audio + more.video === 0) return;
    this.#growing = true;
    const before = this.#roster.slotCount();
    session.peer.addSlots("audio", more.audio);
    session.peer.addSlots("video", more.video);
    session.negotiate().then(
      () => {
        if (this.#session !== session) return;
        const after = this.#roster.slotCount();
        // A server that gives no more has told us its limit: we live with the slots that we have.
        this.#growing = after.audio + after.video === before.audio + before.video;
        this.#growSlots();
      },
      () => {}, // refused: the same
    );
  }

  /** @param {Session} session */
  #onHealth(session) {
    if (session !== this.#session || this.#state === "connecting") return;
    this.#setState(session.isHealthy ? "connected" : "reconnecting");
  }

  /**
   * @param {Session} session
   * @param {CrosspointError} error
   */
  #onOver(session, error) {
    if (session !== this.#session) return;
    if (REJOIN.has(error.type)) this.#rejoin(error);
    else this.#finish(error.type, error);
  }

  /** @param {CrosspointError} cause */
  async #rejoin(cause) {
    const until = Date.now() + REJOIN_FOR_MS;
    let error = cause;
    this.#setState("reconnecting", cause.type);
    this.#backoff.reset();
    while (this.#state === "reconnecting") {
      this.#session = null;
      this.#roster.slotsGone();
      this.#playback.clear();
      try {
        await this.#beginSession();
        if (this.#state === "reconnecting") this.#setState("connected");
        return;
      } catch (cause) {
        error = asError(cause);
        if (this.#state !== "reconnecting") return;
        if (HOPELESS.has(error.type) || Date.now() > until) {
          this.#finish(error.type, error);
          return;
        }
        await this.#backoff.wait();
      }
    }
  }

  /**
   * @param {string} reason
   * @param {CrosspointError | null} error
   */
  #finish(reason, error) {
    globalThis.removeEventListener?.("online", this.#nudge);
    globalThis.removeEventListener?.("pagehide", this.#leaveWithPage);
    const session = this.#session;
    this.#session = null;
    this.#setState("disconnected", reason, error);
    session?.close();
    this.#backoff.hurry();
    this.#roster.slotsGone();
    this.#roster.replaceAll([]);
    this.#playback.clear();
    this.localParticipant.release();
  }

  /**
   * @param {string} type
   * @param {Record<string, unknown>} fields
   */
  #request(type, fields) {
    if (this.#session) return this.#session.request(type, fields);
    return Promise.reject(new CrosspointError("not_joined", "the room is not joined"));
  }

  /**
   * @param {RoomState} state
   * @param {string} [reason]
   * @param {CrosspointError | null} [error]
   */
  #setState(state, reason = "", error = null) {
    if (state === this.#state) return;
    this.#state = state;
    this.emit("stateChanged", { state, reason, error });
  }
}

/** @param {unknown} cause */
function asError(cause) {
  if (isCrosspointError(cause)) return cause;
  return new CrosspointError("media_failed", String(cause), { cause });
}
