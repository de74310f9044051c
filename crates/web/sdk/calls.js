/**
 * Crosspoint's own call client: ring, answer, transfer, supervise, with the media of the calls.
 *
 * ```js
 * import { CallClient } from "/sdk/calls.js";
 *
 * const client = new CallClient({ url: location.origin, token });
 * client.on("inviteReceived", async ({ call }) => {
 *   const media = await client.accept(call);
 *   media.on("remoteTrack", ({ track }) => track.kind === "video" && document.body.append(track.attach()));
 * });
 * await client.login();
 * ```
 *
 * Commands and events are the call machine's, as JSON: `client.request("hold")`, `client.on("callEnded")`.
 * The most frequent have methods of their own.
 */

import { CallConnection } from "./calls/connection.js";
import { CallMedia } from "./calls/media.js";
import { Emitter } from "./emitter.js";

/** @import { CallFrame } from "./calls/connection.js" */
/** @import { MediaGrant } from "./calls/media.js" */
/** @import { CrosspointError } from "./errors.js" */
/** @import { TokenSource } from "./signal.js" */

export { CallConnection } from "./calls/connection.js";
export { CallMedia } from "./calls/media.js";

/**
 * Where a call goes.
 *
 * @typedef {{ type: "user", user: string } | { type: "group", group: string }
 *   | { type: "number", number: string, shown?: string } | { type: "queue", group: string }
 *   | { type: "room", serial: string }} Target
 */

/**
 * @typedef {object} NewCall
 * @property {"private" | "group" | "meeting" | "pstn" | "queue"} kind
 * @property {Target} target
 * @property {string[]} [callees] whom to ring, in a group
 * @property {"audio" | "video"} [media]
 * @property {string} [extra]
 * @property {string} [channel]
 */

/**
 * Beside these, each event of the machine by its `type`, and `event` for all of them.
 *
 * @typedef {Record<string, any> & {
 *   event: CallFrame,
 *   interrupted: void,
 *   resumed: void,
 *   lost: CrosspointError,
 * }} ClientEvents
 */

/** @extends {Emitter<ClientEvents>} */
export class CallClient extends Emitter {
  #connection;
  #url;
  #playAudio;
  /** By call. @type {Map<string, CallMedia>} */
  #media = new Map();

  /**
   * @param {object} options
   * @param {string} options.url of the server
   * @param {TokenSource} [options.token] a user's token; without it `login` takes a password
   * @param {boolean} [options.playAudio] play what is heard; default true
   */
  constructor({ url, token, playAudio = true }) {
    super();
    this.#url = url;
    this.#playAudio = playAudio;
    this.#connection = new CallConnection({ url, dialect: "native", token });
    this.#connection.on("event", (frame) => this.#onEvent(frame));
    this.#connection.on("interrupted", () => this.emit("interrupted", undefined));
    this.#connection.on("resumed", () => this.emit("resumed", undefined));
    this.#connection.on("lost", (error) => {
      for (const call of [...this.#media.keys()]) this.#endMedia(call);
      this.emit("lost", error);
    });
  }

  /**
   * Comes online.
   *
   * @param {{ seat?: boolean, skillGroup?: string, tenant?: string, user?: string, password?: string }} [who]
   *   an agent says `seat: true`
   */
  async login(who = {}) {
    await this.#connection.login(who);
  }

  /** Goes offline: leaves calls. */
  logout() {
    this.#connection.close();
    for (const call of [...this.#media.keys()]) this.#endMedia(call);
  }

  /**
   * Any command of the machine, by its name.
   *
   * @param {string} type
   * @param {Record<string, unknown>} [fields]
   * @returns {Promise<any>} what success brought; rejects with the machine's error as `type`
   */
  async request(type, fields) {
    return (await this.#connection.request(type, fields)).data;
  }

  /**
   * Makes a call and joins its media.
   *
   * @param {NewCall} call
   */
  async call(call) {
    const data = await this.request("createCall", { ...call });
    const media = await this.#join(data.call.id, data.grant, data.call.media);
    return { call: data.call, media };
  }

  /**
   * Answers an invitation and joins the call's media.
   *
   * @param {string} call
   * @param {{ media?: "audio" | "video" }} [options]
   */
  async accept(call, { media } = {}) {
    const data = await this.request("accept", { invite: { call }, media });
    return this.#join(call, data.grant, media ?? data.call?.media ?? "video");
  }

  /** Refuses. @param {string} call */
  reject(call) {
    return this.request("reject", { invite: { call } });
  }

  /** Withdraws, refuses or hangs up, whichever it is now. @param {string} call */
  hangUp(call) {
    return this.request("hangUp", { call: { id: call } });
  }

  /**
   * Joins a call's media with a grant that a reply or an event has brought (transfer, third party,
   * supervision).
   *
   * @param {string} call
   * @param {MediaGrant} grant
   * @param {{ microphone?: boolean, camera?: boolean }} [devices]
   */
  async join(call, grant, { microphone = true, camera = false } = {}) {
    const known = this.#media.get(call);
    if (known) {
      await known.join(grant);
      return known;
    }
    const media = new CallMedia({ url: this.#url, playAudio: this.#playAudio });
    this.#media.set(call, media);
    try {
      const { microphoneError, cameraError } = await media.open({
        microphone: microphone ? {} : null,
        camera: camera ? {} : null,
      });
      const error = microphoneError ?? cameraError;
      if (error) throw error;
      await media.join(grant);
    } catch (error) {
      this.#endMedia(call);
      throw error;
    }
    return media;
  }

  /** A call's media, once joined. @param {string} call */
  media(call) {
    return this.#media.get(call) ?? null;
  }

  /**
   * @param {string} call
   * @param {MediaGrant} grant
   * @param {"audio" | "video"} media
   */
  async #join(call, grant, media) {
    try {
      return await this.join(call, grant, { camera: media === "video" });
    } catch (error) {
      // The others shall not wait for somebody who can neither be heard nor seen.
      this.hangUp(call).catch(() => {});
      throw error;
    }
  }

  /** @param {CallFrame} event */
  #onEvent(event) {
    if (event.type === "inviteReceived") this.request("ringing", { invite: { id: event.invite } }).catch(() => {});
    if (event.type === "callRecovered" && event.grant) this.#media.get(event.call.id)?.join(event.grant).catch(() => {});
    if (event.type === "callEnded") this.#endMedia(event.call);
    if (event.type === "monitorUpdate" && event.state === "none") this.#endMedia(event.call);
    this.emit(event.type, event);
    this.emit("event", event);
  }

  /** @param {string} call */
  #endMedia(call) {
    this.#media.get(call)?.close();
    this.#media.delete(call);
  }
}
