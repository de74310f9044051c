/**
 * Numbers and names of RongCloud CallLib Web 5.x that applications compare with. What the server
 * sends (reasons, status codes) is numbered there already; here they only get their names.
 */

/** Status of an operation. @enum {number} */
export const RCCallErrorCode = /** @type {const} */ ({
  SUCCESS: 10000,
  /** A parameter is wrong, or the target is oneself. */
  PARAM_ERROR: 50001,
  /** An unfinished call exists. */
  STATE_MACHINE_EXIT: 53200,
  SEND_MSG_ERROR: 53201,
  REJECTED_BY_BLACKLIST: 53202,
  NOT_IN_GROUP: 53203,
  GET_LOCAL_AUDIO_TRACK_ERROR: 53301,
  GET_LOCAL_VIDEO_TRACK_ERROR: 53302,
  GET_LOCAL_AUDIO_AND_VIDEO_TRACK_ERROR: 53303,
  JOIN_ROOM_ERROR: 53304,
  AUDIO_PUBLISH_ERROR: 53305,
  VIDEO_PUBLISH_ERROR: 53306,
  AUDIO_AND_VIDEO_PUBLISH_ERROR: 53307,
  QUERY_JOINED_USER_INFO_ERROR: 53308,
  MISSING_VIDEO_TRACK_ERROR: 53309,
  UNPUBLISH_VIDEO_ERROR: 53310,
  CONVERSATION_NOT_GROUP_ERROR: 53311,
});

/** Why a call ended; the second block is what the peers see. @enum {number} */
export const RCCallEndReason = /** @type {const} */ ({
  CANCEL: 1,
  REJECT: 2,
  HANGUP: 3,
  BUSY_LINE: 4,
  NO_RESPONSE: 5,
  ENGINE_UNSUPPORTED: 6,
  NETWORK_ERROR: 7,
  GET_MEDIA_RESOURCES_ERROR: 8,
  PUBLISH_ERROR: 9,
  SUBSCRIBE_ERROR: 10,
  REMOTE_CANCEL: 11,
  REMOTE_REJECT: 12,
  REMOTE_HANGUP: 13,
  REMOTE_BUSY_LINE: 14,
  REMOTE_NO_RESPONSE: 15,
  REMOTE_ENGINE_UNSUPPORTED: 16,
  REMOTE_NETWORK_ERROR: 17,
  REMOTE_GET_MEDIA_RESOURCE_ERROR: 18,
  REMOTE_PUBLISH_ERROR: 19,
  REMOTE_SUBSCRIBE_ERROR: 20,
  OTHER_CLIENT_JOINED_CALL: 21,
  OTHER_CLIENT_IN_CALL: 22,
  KICKED_BY_SERVER: 23,
  ACCEPT_SYSTEM_CALL: 24,
  REMOTE_OTHER_CLIENT_JOINED_CALL: 31,
  REMOTE_OTHER_CLIENT_IN_CALL: 32,
  REMOTE_KICKED_BY_SERVER: 33,
  REMOTE_ACCEPT_SYSTEM_CALL: 34,
  ACCEPT_BY_OTHER_CLIENT: 101,
  HANGUP_BY_OTHER_CLIENT: 102,
  ADDED_TO_BLACKLIST: 103,
  SERVICE_NOT_OPENED: 104,
});

/** @enum {number} */
export const RCCallMediaType = /** @type {const} */ ({ AUDIO: 1, AUDIO_VIDEO: 2 });

/** @enum {number} */
export const RCCallSessionState = /** @type {const} */ ({ WAITING: 0, KEEPING: 1, END: 2 });

/** @enum {number} */
export const RCCallUserState = /** @type {const} */ ({ NONE: 0, WAITING: 1, KEEPING: 2 });

/** @enum {number} */
export const ConversationType = /** @type {const} */ ({ PRIVATE: 1, GROUP: 3 });

/** @enum {string} */
export const RCFrameRate = /** @type {const} */ ({
  FPS_10: "FPS_10",
  FPS_15: "FPS_15",
  FPS_24: "FPS_24",
  FPS_30: "FPS_30",
});

/** @enum {string} */
export const RCResolution = /** @type {const} */ ({
  W176_H132: "W176_H132",
  W176_H144: "W176_H144",
  W256_H144: "W256_H144",
  W320_H180: "W320_H180",
  W240_H240: "W240_H240",
  W320_H240: "W320_H240",
  W480_H360: "W480_H360",
  W640_H360: "W640_H360",
  W480_H480: "W480_H480",
  W640_H480: "W640_H480",
  W720_H480: "W720_H480",
  W1280_H720: "W1280_H720",
  W1920_H1080: "W1920_H1080",
});

/**
 * @typedef {object} ICameraVideoProfile
 * @property {string} [cameraId] device id
 * @property {string} [frameRate] an RCFrameRate; default FPS_15
 * @property {string} [resolution] an RCResolution; default W640_H480
 */

/**
 * @typedef {object} IMicphoneAudioProfile
 * @property {string} [micphoneId] device id
 * @property {number} [sampleRate] kHz below 1000, else Hz
 */

/**
 * The wish that a video profile says.
 *
 * @param {ICameraVideoProfile} [profile]
 */
export function cameraOptions({ cameraId, frameRate, resolution } = {}) {
  const size = /^W(\d+)_H(\d+)$/.exec(resolution ?? RCResolution.W640_H480) ?? ["", "640", "480"];
  const rate = /^FPS_(\d+)$/.exec(frameRate ?? RCFrameRate.FPS_15) ?? ["", "15"];
  return {
    deviceId: cameraId,
    width: Number(size[1]),
    height: Number(size[2]),
    frameRate: Number(rate[1]),
  };
}

/**
 * The wish that an audio profile says.
 *
 * @param {IMicphoneAudioProfile} [profile]
 */
export function microphoneOptions({ micphoneId, sampleRate } = {}) {
  return {
    deviceId: micphoneId,
    sampleRate: sampleRate && (sampleRate < 1000 ? sampleRate * 1000 : sampleRate),
  };
}
