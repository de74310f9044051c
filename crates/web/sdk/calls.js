/**
 * Crosspoint's call client: who rings whom, queues, transfer, supervision, with the media that
 * belongs to it. For applications that use Crosspoint's own words; the façades of other systems stand
 * beside it.
 *
 * ```js
 * import { Calls } from "/sdk/calls.js";
 *
 * const calls = new Calls({ url: location.origin, token });
 * calls.on("inviteReceived", ({ invite }) => calls.accept(invite));
 * calls.on("remoteTrack", ({ track }) => {
 *   if (track.kind === "video") document.body.append(track.attach());
 * });
 * await calls.login();
 * await calls.createCall({ type: "user", user: "bob" }, { media: "video" });
 * ```
 *
 * Events are those of the server (`types.js`, `ServerCallEvents`) and {@link OwnCallEvents}. Microphone
 * and camera are opened and the call's room is joined when the server says so; sound is played.
 */

import { CallConnection } from "./calls/connection.js";
import { CallMedia } from "./calls/media.js";
import { CallVerbs, inviteRef, ref } from "./calls/verbs.js";
import { CrosspointError, isCrosspointError } from "./errors.js";

/** @import { CallFrame } from "./calls/connection.js" */
/** @import { MediaGrant } from "./calls/media.js" */
/** @import { CallMediaType, CallRole, CallView, ServerCallEvents, Target } from "./calls/types.js" */
/** @import { Data } from "./calls/verbs.js" */
/** @import { EncodedTransform } from "./peer.js" */
/** @import { TokenSource } from "./signal.js" */
/** @import { RemoteParticipant } from "./remote-participant.js" */
/** @import { LocalTrack, RemoteTrack } from "./tracks.js" */

/**
 * What happens at this end.
 *
 * @typedef {object} OwnCallEvents
 * @property {CallFrame} event every event of the server, whatever its word
 * @property {void} interrupted the connection is gone, a new one is being opened
 * @property {void} resumed nothing was missed
 * @property {CrosspointError} lost the server has given this device up, or cannot be found again
 * @property {{ call: string, media: CallMedia }} mediaOpened media of a call begins
 * @property {{ call: string }} mediaUp it is connected
 * @property {{ call: string }} mediaClosed
 * @property {{ call: string, track: LocalTrack }} localTrack
 * @property {{ call: string, track: RemoteTrack, participant: RemoteParticipant }} remoteTrack
 * @property {{ call: string, device: "microphone" | "camera", error: CrosspointError }} deviceProblem the call goes on without it
 */

/** @typedef {ServerCallEvents & OwnCallEvents} CallEvents */

/** How long a right that was given by one way is waited for by the other, in milliseconds. */
const PERMISSION_PATIENCE_MS = 3_000;

/** @extends {CallVerbs<CallEvents>} */
export class Calls extends CallVerbs {
  #url;
  #encodedTransform;
  #connection;
  /** By call. @type {Map<string, CallMedia>} */
  #media = new Map();
  /** What this end sends in a call. @type {Map<string, CallMediaType>} */
  #wishes = new Map();

  /**
   * @param {object} options
   * @param {string} [options.url] of the server; default: the page's
   * @param {TokenSource} [options.token] a user's token; without it `login` takes a password
   * @param {EncodedTransform} [options.encodedTransform] of encoded frames, e.g. end-to-end encryption
   */
  constructor({ url = document.baseURI, token, encodedTransform } = {}) {
    super();
    this.#encodedTransform = encodedTransform;
    this.#url = url;
    this.#connection = new CallConnection({ url, dialect: "native", token });
    this.#connection.on("event", (frame) => this.#onEvent(frame));
    this.#connection.on("interrupted", () => this.emit("interrupted", undefined));
    this.#connection.on("resumed", () => this.emit("resumed", undefined));
    this.#connection.on("lost", (error) => {
      this.#closeAll();
      this.emit("lost", error);
    });
  }

  /**
   * Comes online.
   *
   * @param {object} [options]
   * @param {boolean} [options.seat] as an agent, whose seat comes online with this device
   * @param {string} [options.skillGroup] in which the agent takes calls this time; default: all
   * @param {{ tenant: string, user: string, password: string }} [options.account] in place of a token
   */
  async login({ seat = false, skillGroup, account } = {}) {
    await this.#connection.login({ terminal: "web", seat, skillGroup, ...account });
  }

  /** Goes offline: leaves calls, refuses what rings only here. */
  logout() {
    this.#connection.close();
    this.#closeAll();
  }

  /**
   * @override
   * @param {string} type
   * @param {Record<string, unknown>} [fields]
   * @returns {Promise<Data>}
   */
  async ask(type, fields) {
    const reply = await this.#connection.request(type, fields);
    return reply.data ?? { type: "none" };
  }

  /** Media of a call that this device is in or listens to. @param {string} call */
  mediaOf(call) {
    return this.#media.get(call);
  }

  /**
   * Makes a call and rings.
   *
   * @param {Target} target
   * @param {object} [options]
   * @param {CallMediaType} [options.media] default: video
   * @param {string[]} [options.callees] of a group call
   * @param {string} [options.extra] free text for those who are rung
   * @returns {Promise<CallView>}
   */
  async createCall(target, { media = "video", callees = [], extra = "" } = {}) {
    const kind = { user: "private", group: "group", queue: "queue", number: "pstn", room: "meeting" }[target.type];
    return this.#joined(await this.ask("createCall", { kind, target, callees, media, extra }), media);
  }

  /**
   * Joins the meeting with this name, or makes it.
   *
   * @param {string} serial
   * @param {{ media?: CallMediaType, role?: CallRole }} [options] an audience only sees and hears
   * @returns {Promise<CallView>}
   */
  async joinRoom(serial, { media = "video", role } = {}) {
    return this.#joined(await this.ask("joinRoom", { serial, media, role }), media);
  }

  /**
   * Answers.
   *
   * @param {string} [invite] default: the newest
   * @param {{ media?: CallMediaType }} [options] an answer may send less than the call carries
   * @returns {Promise<CallView>}
   */
  async accept(invite, { media } = {}) {
    return this.#joined(await this.ask("accept", { invite: inviteRef(invite), media }), media);
  }

  /** Takes a call over that a colleague asked to. @param {string} call @returns {Promise<CallView>} */
  async transferAccept(call) {
    return this.#joined(await this.ask("transferAccept", { call: ref(call) }));
  }

  /** Joins a call that a colleague asked to. @param {string} call @returns {Promise<CallView>} */
  async thirdAccept(call) {
    return this.#joined(await this.ask("thirdAccept", { call: ref(call) }));
  }

  /** Listens to a call, unseen. @param {string} call */
  async monStart(call) {
    const { grant } = await this.ask("monStart", { call: ref(call) });
    this.#enter(call, grant, "audio");
  }

  /** Speaks to the agent only, or listens again. @param {string} call @param {boolean} on */
  async monWhisper(call, on) {
    await this.ask("monWhisper", { call: ref(call), on });
    await this.#speak(call, on);
  }

  /** Speaks to all, and is seen. @param {string} call */
  async monBarge(call) {
    await this.ask("monBarge", { call: ref(call) });
    await this.#speak(call, true);
  }

  /**
   * Switches own microphone or camera on or off, and tells the others.
   *
   * @param {string} call
   * @param {"audio" | "video"} kind
   * @param {boolean} enabled
   */
  async setEnabled(call, kind, enabled) {
    const media = this.#media.get(call);
    if (!media) return;
    await media.setEnabled(kind, enabled);
    await this.mute(kind, !enabled, call);
  }

  /** Claims the call's shared screen and lets the user choose one. @param {string} call */
  async startScreen(call) {
    const own = this.#media.get(call)?.room.localParticipant;
    if (!own) return;
    await this.screenShare("start", { call });
    try {
      await own.setScreenShareEnabled(true);
    } catch (error) {
      await this.screenShare("stop", { call });
      throw error;
    }
    // The browser has a button of its own that ends it.
    own.track("screen_share")?.mediaStreamTrack.addEventListener("ended", () => void this.stopScreen(call).catch(() => {}));
  }

  /** @param {string} call */
  async stopScreen(call) {
    await this.#media.get(call)?.room.localParticipant.setScreenShareEnabled(false);
    await this.screenShare("stop", { call });
  }

  /**
   * A picture of what somebody sends now.
   *
   * @param {string} call
   * @param {"pusher" | "player"} source oneself, or the other side
   * @returns {Promise<{ user: string, dataUrl: string, width: number, height: number }>}
   */
  async snapshot(call, source) {
    const user = await this.snapshotOf(source, call);
    const media = this.#media.get(call);
    const track = source === "pusher"
      ? media?.room.localParticipant.track("camera")
      : media?.room.participants.get(user)?.track("camera");
    if (!media || !track?.mediaStreamTrack) throw new CrosspointError("snapshot", "there is no picture");
    return { user, ...(await media.snapshot(track.mediaStreamTrack)) };
  }

  /**
   * @param {Data} data
   * @param {CallMediaType} [wish]
   * @returns {CallView}
   */
  #joined({ call, grant }, wish) {
    this.#enter(call.id, grant, wish ?? call.media);
    return call;
  }

  /** @param {CallFrame} frame */
  #onEvent(frame) {
    const { type, call, grant } = frame;
    if (type === "callRecovered") this.#enter(call.id, grant, call.media);
    else if (grant) this.#enter(call, grant, this.#wishes.get(call) ?? "audio");
    if (type === "inviteReceived") {
      this.#wishes.set(call, frame.media);
      this.ringing(frame.invite).catch(() => {}); // answered or withdrawn meanwhile
    }
    this.emit(/** @type {any} */ (type), /** @type {any} */ (frame));
    this.emit("event", frame);
    if (type === "callEnded" || (type === "monitorUpdate" && frame.state === "none")) this.#close(call);
    if (type === "kicked") this.logout();
  }

  /**
   * Opens what this end sends and joins the call's room; a further right to join the same changes
   * nothing.
   *
   * @param {string} call
   * @param {(MediaGrant & { access?: { speaks: boolean } }) | null} grant
   * @param {CallMediaType} wish
   */
  #enter(call, grant, wish) {
    if (!grant?.token || this.#media.has(call)) return;
    const media = new CallMedia({ url: this.#url, encodedTransform: this.#encodedTransform });
    this.#media.set(call, media);
    this.#wishes.set(call, wish);
    media.on("localTrack", (track) => this.emit("localTrack", { call, track }));
    media.on("remoteTrack", ({ track, participant }) => this.emit("remoteTrack", { call, track, participant }));
    this.emit("mediaOpened", { call, media });
    const speaks = grant.access?.speaks ?? true;
    void this.#bringUp(call, media, grant, speaks ? wish : null);
  }

  /**
   * @param {string} call
   * @param {CallMedia} media
   * @param {MediaGrant} grant
   * @param {CallMediaType | null} wish
   */
  async #bringUp(call, media, grant, wish) {
    try {
      if (wish) await this.#openDevices(call, media, wish);
      if (this.#media.get(call) !== media) return await media.close(); // over meanwhile
      await media.join(grant);
      this.emit("mediaUp", { call });
    } catch (error) {
      if (this.#media.get(call) !== media) return;
      this.#close(call);
      await this.reportFault("join_room", String(error), call).catch(() => {});
    }
  }

  /**
   * What cannot be opened is told, and the call goes on without.
   *
   * @param {string} call
   * @param {CallMedia} media
   * @param {CallMediaType} wish
   */
  async #openDevices(call, media, wish) {
    const camera = wish === "video" ? {} : null;
    let { microphoneError, cameraError } = await media.open({ microphone: {}, camera });
    // Of two that were asked for together and one of which failed, none is open.
    if (camera && cameraError && !microphoneError) ({ microphoneError } = await media.open({ microphone: {} }));
    else if (camera && microphoneError && !cameraError) ({ cameraError } = await media.open({ camera }));
    if (microphoneError) this.emit("deviceProblem", { call, device: "microphone", error: microphoneError });
    if (cameraError) this.emit("deviceProblem", { call, device: "camera", error: cameraError });
  }

  /**
   * A supervisor's microphone, opened when there is somebody to speak to. The right to speak comes and
   * goes by the room, which publishes the track anew each time; the word of it comes by the call: the
   * second may be first.
   *
   * @param {string} call
   * @param {boolean} on
   */
  async #speak(call, on) {
    const media = this.#media.get(call);
    if (!media) return;
    const end = Date.now() + PERMISSION_PATIENCE_MS;
    for (;;) {
      try {
        return await media.setEnabled("audio", on);
      } catch (error) {
        const gone = isCrosspointError(error, "track_not_found");
        if (gone && !on) return; // the room took it away already, and here it is muted
        if (!(gone || isCrosspointError(error, "not_permitted")) || Date.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  /** @param {string} call */
  #close(call) {
    const media = this.#media.get(call);
    this.#wishes.delete(call);
    if (!this.#media.delete(call) || !media) return;
    void media.close().catch(() => {});
    this.emit("mediaClosed", { call });
  }

  #closeAll() {
    for (const call of [...this.#media.keys()]) this.#close(call);
  }
}

export { CrosspointError, isCrosspointError } from "./errors.js";
