/**
 * RCCallPlusClient: binds users to video elements and plays them, for CallPlusWrapper.
 */

/** @import { RCTrack } from "./track.js" */

/** Not the numbers of RCCallMediaType: applications convert. @enum {number} */
export const RCCallPlusMediaType = /** @type {const} */ ({ AUDIO: 0, VIDEO: 1, AUDIO_VIDEO: 2 });

export class RCCallPlusClient {
  /** @type {Map<string, HTMLVideoElement>} */
  #views = new Map();
  /** @type {Map<string, RCTrack[]>} */
  #tracks = new Map();

  /**
   * Says where users are shown. To be called before `playMedia`.
   *
   * @param {{ userId: string, videoElement: HTMLVideoElement }[]} views
   */
  setVideoView(views) {
    for (const { userId, videoElement } of views) this.#views.set(userId, videoElement);
  }

  /**
   * Plays what arrived of a user: the sound, or the picture in its view. Never one's own sound.
   *
   * @param {string} userId
   * @param {number} mediaType an RCCallPlusMediaType
   */
  async playMedia(userId, mediaType) {
    const audio = mediaType !== RCCallPlusMediaType.VIDEO;
    const video = mediaType !== RCCallPlusMediaType.AUDIO;
    for (const track of this.#tracks.get(userId) ?? []) {
      if (audio && track.isAudioTrack() && !track.isLocalTrack()) await track.play();
      const view = this.#views.get(userId);
      if (video && track.isVideoTrack() && view) await track.play(view);
    }
  }

  /** For the wrapper: media of a user has come. @param {RCTrack} track */
  addTrack(track) {
    const tracks = this.#tracks.get(track.getUserId()) ?? [];
    tracks.push(track);
    this.#tracks.set(track.getUserId(), tracks);
  }

  /** For the wrapper: the call is over. */
  releaseTracks() {
    this.#tracks.clear();
  }
}
