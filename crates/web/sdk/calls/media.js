/**
 * The media of one call: this end's devices, and a room that carries them. Nothing here knows a
 * vendor; façades turn its errors into their own codes.
 */

import { openCamera, openCameraAndMicrophone, openMicrophone } from "../devices.js";
import { Emitter } from "../emitter.js";
import { Room } from "../room.js";

/** @import { CameraOptions, MicrophoneOptions } from "../devices.js" */
/** @import { CrosspointError } from "../errors.js" */
/** @import { EncodedTransform } from "../peer.js" */
/** @import { Kind } from "../protocol.js" */
/** @import { RemoteParticipant } from "../remote-participant.js" */
/** @import { LocalTrack, RemoteTrack } from "../tracks.js" */

/**
 * Where a call's media is: what the server gives to those who take part.
 *
 * @typedef {object} MediaGrant
 * @property {string} room
 * @property {string} token
 * @property {string} [url] of another server; default: the call's own
 */

/**
 * @typedef {object} Opened
 * @property {CrosspointError | null} microphoneError why there is no microphone though asked for
 * @property {CrosspointError | null} cameraError
 */

/**
 * @typedef {object} MediaEvents
 * @property {LocalTrack} localTrack opened
 * @property {{ track: RemoteTrack, participant: RemoteParticipant }} remoteTrack arrives, told once
 * @property {{ track: RemoteTrack, participant: RemoteParticipant }} remoteTrackEnded
 * @property {{ state: string, error: CrosspointError | null }} state of the room
 */

/** @extends {Emitter<MediaEvents>} */
export class CallMedia extends Emitter {
  /** @readonly */
  room;
  #url;
  /** Tracks that were told of. @type {Set<string>} */
  #told = new Set();
  /** @type {Promise<void> | null} */
  #joining = null;

  /**
   * @param {object} options
   * @param {string} options.url of the server
   * @param {boolean} [options.playAudio] play what is heard without asking; default true
   * @param {EncodedTransform} [options.encodedTransform]
   */
  constructor({ url, playAudio = true, encodedTransform }) {
    super();
    this.#url = url;
    this.room = new Room({ playAudio, encodedTransform });
    this.room.on("trackSubscribed", ({ track, participant }) => {
      if (this.#told.has(track.sid)) return;
      this.#told.add(track.sid);
      this.emit("remoteTrack", { track, participant });
    });
    this.room.on("trackUnpublished", ({ track, participant }) => {
      if (this.#told.delete(track.sid)) this.emit("remoteTrackEnded", { track, participant });
    });
    this.room.on("stateChanged", ({ state, error }) => this.emit("state", { state, error }));
  }

  /**
   * Opens devices and publishes them: with the join when that comes later.
   *
   * @param {{ microphone?: MicrophoneOptions | null, camera?: CameraOptions | null }} wish
   * @returns {Promise<Opened>}
   */
  async open({ microphone = null, camera = null }) {
    /** @type {Opened} */
    const opened = { microphoneError: null, cameraError: null };
    if (microphone && camera) {
      const both = await openCameraAndMicrophone(camera, microphone);
      opened.microphoneError = both.microphoneError;
      opened.cameraError = both.cameraError;
      // Half of what was asked for is a failure to the callers: they see no device of it stay on.
      const tracks = [both.microphone, both.camera].filter((track) => track !== null);
      if (tracks.length === 2) for (const track of tracks) await this.#publish(track);
      else for (const track of tracks) track.stop();
      return opened;
    }
    if (microphone) {
      const media = await openMicrophone(microphone).catch((error) => void (opened.microphoneError = error));
      if (media) await this.#publish(media);
    }
    if (camera) {
      const media = await openCamera(camera).catch((error) => void (opened.cameraError = error));
      if (media) await this.#publish(media);
    }
    return opened;
  }

  /**
   * Joins the call's room; a second grant of the same call waits for the first join.
   *
   * @param {MediaGrant} grant
   * @returns {Promise<void>} resolves when media is connected
   */
  join(grant) {
    this.#joining ??= this.room.join(grant.url ?? this.#url, grant.token).catch((error) => {
      this.#joining = null;
      throw error;
    });
    return this.#joining;
  }

  /** @param {Kind} kind */
  localTrack(kind) {
    return this.room.localParticipant.track(kind === "audio" ? "microphone" : "camera");
  }

  /**
   * Mutes or unmutes what this end sends; the camera's light goes out with it.
   *
   * @param {Kind} kind
   * @param {boolean} enabled
   */
  setEnabled(kind, enabled) {
    const own = this.room.localParticipant;
    return kind === "audio" ? own.setMicrophoneEnabled(enabled) : own.setCameraEnabled(enabled);
  }

  /** Stops sending pictures for the rest of the call. */
  async endVideo() {
    const track = this.localTrack("video");
    if (track) await this.room.localParticipant.unpublish(track);
  }

  /**
   * A picture of a track as it is shown now.
   *
   * @param {MediaStreamTrack} media
   * @param {{ type?: string, quality?: number }} [format]
   * @returns {Promise<{ dataUrl: string, width: number, height: number }>}
   */
  async snapshot(media, { type = "image/jpeg", quality = 0.92 } = {}) {
    const video = document.createElement("video");
    video.muted = true;
    video.srcObject = new MediaStream([media]);
    try {
      await video.play();
      const canvas = document.createElement("canvas");
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
      canvas.getContext("2d")?.drawImage(video, 0, 0);
      return { dataUrl: canvas.toDataURL(type, quality), width: canvas.width, height: canvas.height };
    } finally {
      video.srcObject = null;
    }
  }

  /** Leaves and closes the devices. */
  async close() {
    await this.room.leave();
    this.room.localParticipant.release();
  }

  /** @param {MediaStreamTrack} media */
  async #publish(media) {
    const track = await this.room.localParticipant.publish(media, { stopOnUnpublish: true });
    this.emit("localTrack", track);
  }
}
