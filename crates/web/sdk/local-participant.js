/**
 * This participant: what it publishes, mutes and switches.
 *
 * Tracks may be published before the room is joined; they then go out with the join, which is
 * the fastest way in. Devices that it opens itself it also closes.
 */

import { openCamera, openMicrophone, openScreen } from "./devices.js";
import { CrosspointError, isCrosspointError } from "./errors.js";
import { sendWanted } from "./layers.js";
import { LocalTrack } from "./tracks.js";

/** @import { CameraOptions, MicrophoneOptions } from "./devices.js" */
/** @import { EncodingWanted } from "./layers.js" */
/** @import { Peer } from "./peer.js" */
/** @import { ParticipantInfo, Reply, Source, TrackInfo } from "./protocol.js" */
/** @import { PublishOptions } from "./tracks.js" */

/**
 * What it needs of its room.
 *
 * @typedef {object} Link
 * @property {() => Peer | null} peer null while there is no session
 * @property {() => Promise<void>} negotiate
 * @property {(type: string, fields: Record<string, unknown>) => Promise<Reply>} request
 * @property {(event: LocalEvent) => void} emit
 */

/**
 * @typedef {{ type: "published" | "unpublished" | "switched" | "deviceLost", track: LocalTrack }
 *   | { type: "muted", track: LocalTrack, byServer: boolean }} LocalEvent
 */

export class LocalParticipant {
  /** The server's description; null before the first join. @type {ParticipantInfo | null} */
  info = null;
  /** Whether it is among those who speak now. */
  speaking = false;
  /** How loud it speaks, as others hear it, 0 to 1. */
  level = 0;
  #link;
  /** @type {LocalTrack[]} */
  #tracks = [];
  /** Devices to open next time. @type {{ camera?: string, microphone?: string }} */
  #deviceIds = {};
  /** Toggles of one source go one after the other. @type {Map<Source, Promise<unknown>>} */
  #toggles = new Map();

  /** @param {Link} link */
  constructor(link) {
    this.#link = link;
  }

  get identity() {
    return this.info?.identity ?? "";
  }

  get name() {
    return this.info?.name || this.identity;
  }

  get isLocal() {
    return /** @type {const} */ (true);
  }

  /** What it publishes. @returns {readonly LocalTrack[]} */
  get tracks() {
    return this.#tracks;
  }

  /**
   * The (first) track of a source.
   *
   * @param {Source} source
   */
  track(source) {
    return this.#tracks.find((track) => track.source === source);
  }

  /**
   * Publishes a track, or all tracks of a stream.
   *
   * @overload
   * @param {MediaStreamTrack} media
   * @param {PublishOptions} [options]
   * @returns {Promise<LocalTrack>}
   */
  /**
   * @overload
   * @param {MediaStream} media
   * @param {PublishOptions} [options]
   * @returns {Promise<LocalTrack[]>}
   */
  /**
   * @param {MediaStreamTrack | MediaStream} media
   * @param {PublishOptions} [options]
   * @returns {Promise<LocalTrack | LocalTrack[]>}
   */
  publish(media, options = {}) {
    if (media instanceof MediaStream) {
      return Promise.all(media.getTracks().map((track) => this.#publishTrack(track, options)));
    }
    return this.#publishTrack(media, options);
  }

  /**
   * Ends a publication; the device too when it was opened here.
   *
   * @param {LocalTrack} track
   */
  async unpublish(track) {
    if (!this.#forget(track)) return;
    const peer = this.#link.peer();
    peer?.removeSender(track);
    this.#link.emit({ type: "unpublished", track });
    if (peer) await this.#link.negotiate();
  }

  /**
   * Mutes or unmutes. What the server muted stays so until the server lets it flow.
   *
   * @param {LocalTrack} track
   * @param {boolean} muted
   */
  async setMuted(track, muted) {
    if (track.muted !== muted) {
      track.muted = muted;
      this.#applyMute(track, false);
    }
    if (track.sid && this.#link.peer()) await this.#link.request("mute", { track: track.sid, muted });
  }

  /**
   * Opens and publishes the microphone, or mutes it. The device stays open while muted, so that
   * the first word after unmuting is heard.
   *
   * @param {boolean} enabled
   * @param {MicrophoneOptions & PublishOptions} [options]
   */
  setMicrophoneEnabled(enabled, options = {}) {
    return this.#inTurn("microphone", () =>
      this.#setDeviceEnabled("microphone", enabled, options, (deviceId) =>
        openMicrophone({ ...options, deviceId }),
      ),
    );
  }

  /**
   * Opens and publishes the camera, or mutes it and switches the device (and its light) off.
   *
   * @param {boolean} enabled
   * @param {CameraOptions & PublishOptions} [options]
   */
  setCameraEnabled(enabled, options = {}) {
    return this.#inTurn("camera", () =>
      this.#setDeviceEnabled("camera", enabled, options, (deviceId) =>
        openCamera({ ...options, deviceId }),
      ),
    );
  }

  /**
   * Lets the user choose a screen and publishes it, with its sound where there is any; or ends it.
   *
   * @param {boolean} enabled
   * @param {{ audio?: boolean } & PublishOptions} [options]
   */
  setScreenShareEnabled(enabled, options = {}) {
    return this.#inTurn("screen_share", async () => {
      const present = this.#tracks.filter((track) => track.source.startsWith("screen_share"));
      if (!enabled) await Promise.all(present.map((track) => this.unpublish(track)));
      if (!enabled || present.length > 0) return;
      const stream = await openScreen(options);
      const own = { ...options, stopOnUnpublish: true };
      await Promise.all(
        stream.getTracks().map((media) => {
          const source = media.kind === "video" ? "screen_share" : "screen_share_audio";
          return this.#publishTrack(media, { ...own, source });
        }),
      );
    });
  }

  /**
   * Uses another camera or microphone, without renegotiation. (The speaker is the room's:
   * `room.setSpeaker`.)
   *
   * @param {"videoinput" | "audioinput"} kind
   * @param {string} deviceId
   */
  switchDevice(kind, deviceId) {
    const source = kind === "videoinput" ? "camera" : "microphone";
    return this.#inTurn(source, async () => {
      this.#deviceIds[source] = deviceId;
      const track = this.track(source);
      if (!track || track.mediaStreamTrack.readyState === "ended") return; // opened when enabled
      const open = () => (source === "camera" ? openCamera({ ...track.size, deviceId }) : openMicrophone({ deviceId }));
      let media;
      try {
        media = await open();
      } catch (error) {
        // Phones and some drivers give one device at a time.
        if (!isCrosspointError(error, "device_in_use")) throw error;
        track.mediaStreamTrack.stop();
        media = await open();
      }
      await this.#replace(track, media);
    });
  }

  /** For the room: brings what is published into a new session. @param {Peer} peer */
  publishAll(peer) {
    for (const track of this.#tracks) {
      track.sid = "";
      track.mutedByServer = false;
      peer.addSender(track);
    }
  }

  /** For the room: the answer's tracks. @param {TrackInfo[]} tracks */
  noteAnswer(tracks) {
    for (const track of this.#tracks) {
      const mid = track.transceiver?.mid;
      const info = tracks.find((info) => info.mid === mid);
      track.sid = info?.sid ?? "";
    }
  }

  /** For the room: how the server describes this participant now. @param {ParticipantInfo} info */
  noteInfo(info) {
    this.info = info;
    for (const track of this.#tracks) {
      const known = info.tracks.find(({ mid }) => mid === track.transceiver?.mid);
      if (!known || !track.sid || known.sid === track.sid) continue;
      // Published anew, since the permission to do so came back; what the server muted stays so.
      track.sid = known.sid;
      this.noteServerMute(known.sid, track.mutedByServer && known.muted);
    }
  }

  /**
   * For the room: the server muted or unmuted a track.
   *
   * @param {string} sid
   * @param {boolean} muted
   */
  noteServerMute(sid, muted) {
    const track = this.#tracks.find((track) => track.sid === sid);
    if (!track || track.mutedByServer === muted) return;
    track.mutedByServer = muted;
    this.#applyMute(track, true);
  }

  /**
   * For the room: which encodings of a track anybody wants.
   *
   * @param {string} sid
   * @param {EncodingWanted[]} encodings
   */
  noteWanted(sid, encodings) {
    const track = this.#tracks.find((track) => track.sid === sid);
    if (track) void sendWanted(track, encodings);
  }

  /** For the room: the stay is over. */
  release() {
    for (const track of [...this.#tracks]) this.#forget(track);
  }

  /**
   * @param {MediaStreamTrack} media
   * @param {PublishOptions} options
   */
  async #publishTrack(media, options) {
    const track = new LocalTrack(media, options);
    this.#tracks.push(track);
    this.#watchEnd(track);
    const peer = this.#link.peer();
    if (peer) {
      try {
        peer.addSender(track);
        await this.#link.negotiate();
        if (!track.sid) throw new CrosspointError("not_permitted", `${track.source} may not be published`);
      } catch (error) {
        peer.removeSender(track);
        this.#forget(track);
        throw error;
      }
    }
    this.#link.emit({ type: "published", track });
    return track;
  }

  /**
   * @param {"camera" | "microphone"} source
   * @param {boolean} enabled
   * @param {PublishOptions & { deviceId?: string }} options
   * @param {(deviceId: string | undefined) => Promise<MediaStreamTrack>} open
   */
  async #setDeviceEnabled(source, enabled, options, open) {
    if (options.deviceId) this.#deviceIds[source] = options.deviceId;
    const track = this.track(source);
    if (!enabled) {
      if (track) await this.setMuted(track, true);
      if (track && source === "camera" && track.options.stopOnUnpublish) {
        track.mediaStreamTrack.stop();
        await track.transceiver?.sender.replaceTrack(null);
      }
      return;
    }
    if (!track) {
      const media = await open(this.#deviceIds[source]);
      await this.#publishTrack(media, { ...options, source, stopOnUnpublish: true });
      return;
    }
    if (track.mediaStreamTrack.readyState === "ended") {
      await this.#replace(track, await open(this.#deviceIds[source]));
    }
    await this.setMuted(track, false);
  }

  /**
   * @param {LocalTrack} track
   * @param {MediaStreamTrack} media
   */
  async #replace(track, media) {
    const previous = track.mediaStreamTrack;
    track.mediaStreamTrack = media;
    media.enabled = track.isLive;
    this.#watchEnd(track);
    await track.transceiver?.sender.replaceTrack(media);
    previous.stop();
    this.#link.emit({ type: "switched", track });
  }

  /**
   * @param {LocalTrack} track
   * @param {boolean} byServer
   */
  #applyMute(track, byServer) {
    track.mediaStreamTrack.enabled = track.isLive;
    this.#link.emit({ type: "muted", track, byServer });
  }

  /** @param {LocalTrack} track */
  #watchEnd(track) {
    const media = track.mediaStreamTrack;
    // Not fired by our own `stop()`: the device was pulled, or sharing ended in the browser's bar.
    media.addEventListener("ended", () => {
      if (track.mediaStreamTrack !== media || !this.#tracks.includes(track)) return;
      if (track.source.startsWith("screen_share")) {
        this.unpublish(track).catch(() => {});
        return;
      }
      this.setMuted(track, true).catch(() => {});
      this.#link.emit({ type: "deviceLost", track });
    });
  }

  /** @param {LocalTrack} track */
  #forget(track) {
    const index = this.#tracks.indexOf(track);
    if (index < 0) return false;
    this.#tracks.splice(index, 1);
    if (track.options.stopOnUnpublish) track.mediaStreamTrack.stop();
    track.sid = "";
    return true;
  }

  /**
   * @template T
   * @param {Source} source
   * @param {() => Promise<T>} action
   * @returns {Promise<T>}
   */
  #inTurn(source, action) {
    const turn = (this.#toggles.get(source) ?? Promise.resolve()).then(action);
    this.#toggles.set(source, turn.catch(() => {}));
    return turn;
  }
}
