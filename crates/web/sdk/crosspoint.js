/**
 * Crosspoint's browser SDK: the one file that applications import.
 *
 * ```js
 * import { Room } from "/sdk/crosspoint.js";
 *
 * const room = new Room();
 * room.on("trackSubscribed", ({ track }) => {
 *   if (track.kind === "video") document.body.append(track.attach());
 * });
 * await room.localParticipant.setMicrophoneEnabled(true);
 * await room.localParticipant.setCameraEnabled(true);
 * await room.join(location.origin, token);
 * ```
 *
 * Plain ES modules: what is written here is what the browser loads. Types are JSDoc.
 */

export { Room } from "./room.js";
export { LocalParticipant } from "./local-participant.js";
export { RemoteParticipant } from "./remote-participant.js";
export { LocalTrack, RemoteTrack } from "./tracks.js";
export { CrosspointError, isCrosspointError } from "./errors.js";
export {
  canChooseSpeaker,
  canShareScreen,
  listDevices,
  openCamera,
  openCameraAndMicrophone,
  openMicrophone,
  openScreen,
  watchDevices,
} from "./devices.js";
export { LevelMeter } from "./level-meter.js";

/** Version of the SDK; the signalling protocol's version is separate. */
export const VERSION = "0.1.0";
