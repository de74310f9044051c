/**
 * Cameras, microphones, speakers and screens: finding and opening them, with errors that say what
 * is the matter.
 */

import { CrosspointError, deviceError, isCrosspointError } from "./errors.js";

/**
 * @typedef {object} DeviceList
 * @property {MediaDeviceInfo[]} cameras
 * @property {MediaDeviceInfo[]} microphones
 * @property {MediaDeviceInfo[]} speakers empty where the browser does not let choose
 */

/**
 * @typedef {object} CameraOptions
 * @property {string} [deviceId]
 * @property {number} [width] pixels wished for; default 640
 * @property {number} [height] pixels wished for; default 480
 * @property {number} [frameRate] per second wished for; default 30
 * @property {"user" | "environment"} [facing]
 */

/**
 * @typedef {object} MicrophoneOptions
 * @property {string} [deviceId]
 * @property {boolean} [processing] echo cancellation, noise suppression, gain control; default true
 * @property {number} [sampleRate] Hz wished for; default: the device's own
 */

/** What there is now. Names are empty until the user has allowed a device of that kind. */
export async function listDevices() {
  /** @type {DeviceList} */
  const list = { cameras: [], microphones: [], speakers: [] };
  for (const device of await media().enumerateDevices()) {
    if (!device.deviceId) continue; // an anonymous hint that there is one, nothing to choose
    if (device.kind === "videoinput") list.cameras.push(device);
    else if (device.kind === "audioinput") list.microphones.push(device);
    else list.speakers.push(device);
  }
  return list;
}

/**
 * Calls `changed` when devices come or go.
 *
 * @param {() => void} changed
 * @returns {() => void} ends it
 */
export function watchDevices(changed) {
  const devices = navigator.mediaDevices;
  devices?.addEventListener("devicechange", changed);
  return () => devices?.removeEventListener("devicechange", changed);
}

/** Whether a speaker can be chosen here. */
export function canChooseSpeaker() {
  return typeof HTMLMediaElement !== "undefined" && "setSinkId" in HTMLMediaElement.prototype;
}

/** Whether a screen can be shared here (not on phones). */
export function canShareScreen() {
  return typeof navigator.mediaDevices?.getDisplayMedia === "function";
}

/**
 * @param {CameraOptions} [options]
 * @returns {Promise<MediaStreamTrack>}
 */
export async function openCamera(options = {}) {
  const wish = cameraWish(options);
  const stream = await openDevice("camera", options.deviceId, (id) => ({ video: { ...wish, ...id } }));
  return stream.getVideoTracks()[0];
}

/**
 * @param {MicrophoneOptions} [options]
 * @returns {Promise<MediaStreamTrack>}
 */
export async function openMicrophone(options = {}) {
  const wish = microphoneWish(options);
  const stream = await openDevice("microphone", options.deviceId, (id) => ({ audio: { ...wish, ...id } }));
  return stream.getAudioTracks()[0];
}

/**
 * Opens both with one question to the user. What cannot be opened is missing and its error said:
 * a camera in use does not silence the microphone.
 *
 * @param {CameraOptions} camera
 * @param {MicrophoneOptions} microphone
 */
export async function openCameraAndMicrophone(camera, microphone) {
  try {
    const stream = await media().getUserMedia({
      video: { ...cameraWish(camera), ...exactly(camera.deviceId) },
      audio: { ...microphoneWish(microphone), ...exactly(microphone.deviceId) },
    });
    const [video] = stream.getVideoTracks();
    const [audio] = stream.getAudioTracks();
    return { camera: video, microphone: audio, cameraError: null, microphoneError: null };
  } catch {
    // The browser does not say which of the two it was.
    const [video, audio] = await Promise.all([
      attempt(openCamera(camera)),
      attempt(openMicrophone(microphone)),
    ]);
    return {
      camera: video.track,
      microphone: audio.track,
      cameraError: video.error,
      microphoneError: audio.error,
    };
  }
}

/**
 * Lets the user choose a screen, window or tab.
 *
 * @param {{ audio?: boolean }} [options] with its sound where the browser can; default true
 * @returns {Promise<MediaStream>}
 */
export async function openScreen({ audio = true } = {}) {
  if (!canShareScreen()) {
    throw new CrosspointError("not_supported", "this browser cannot share a screen");
  }
  try {
    const stream = await media().getDisplayMedia({ video: { frameRate: { ideal: 15 } }, audio });
    // Text must stay legible: fewer frames rather than fewer pixels.
    for (const track of stream.getVideoTracks()) track.contentHint = "detail";
    return stream;
  } catch (error) {
    throw deviceError(error, "screen");
  }
}

/**
 * @param {"camera" | "microphone"} device
 * @param {string | undefined} deviceId
 * @param {(id: MediaTrackConstraints) => MediaStreamConstraints} constraints
 */
async function openDevice(device, deviceId, constraints) {
  const open = async (/** @type {MediaTrackConstraints} */ id) => {
    try {
      return await media().getUserMedia(constraints(id));
    } catch (error) {
      throw isCrosspointError(error) ? error : deviceError(error, device);
    }
  };
  if (!deviceId) return open({});
  try {
    return await open(exactly(deviceId));
  } catch (error) {
    // The remembered one was unplugged: any other is better than none.
    if (isCrosspointError(error, "device_missing")) return open({});
    throw error;
  }
}

/**
 * @param {CameraOptions} options
 * @returns {MediaTrackConstraints}
 */
function cameraWish({ width = 640, height = 480, frameRate = 30, facing }) {
  return {
    width: { ideal: width },
    height: { ideal: height },
    frameRate: { ideal: frameRate },
    ...(facing ? { facingMode: facing } : {}),
  };
}

/**
 * @param {MicrophoneOptions} options
 * @returns {MediaTrackConstraints}
 */
function microphoneWish({ processing = true, sampleRate }) {
  return {
    ...(sampleRate ? { sampleRate: { ideal: sampleRate } } : {}),
    echoCancellation: processing,
    noiseSuppression: processing,
    autoGainControl: processing,
  };
}

/**
 * @param {string | undefined} deviceId
 * @returns {MediaTrackConstraints}
 */
function exactly(deviceId) {
  return deviceId ? { deviceId: { exact: deviceId } } : {};
}

/** @param {Promise<MediaStreamTrack>} opening */
async function attempt(opening) {
  try {
    return { track: await opening, error: null };
  } catch (error) {
    return { track: null, error: /** @type {CrosspointError} */ (error) };
  }
}

function media() {
  if (navigator.mediaDevices) return navigator.mediaDevices;
  throw new CrosspointError(
    "insecure_context",
    "browsers give cameras and microphones only to pages from https:// or localhost",
  );
}
