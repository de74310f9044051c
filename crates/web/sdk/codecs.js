/**
 * Which codecs are offered, in which order, and in how many encodings a picture is sent.
 *
 * Pure: capabilities and sizes in, parameters out.
 */

/** @import { Kind, Source } from "./protocol.js" */

/** @typedef {"VP8" | "VP9" | "H264" | "AV1"} VideoCodec */

/** What Crosspoint forwards. All else only makes offers long. */
const FORWARDED = {
  audio: ["audio/opus", "audio/red", "audio/pcmu", "audio/pcma"],
  video: ["video/vp8", "video/vp9", "video/h264", "video/av1", "video/rtx"],
};

/**
 * The list for `setCodecPreferences`: what the server forwards, `first` before all others.
 *
 * @param {readonly RTCRtpCodec[]} capabilities the browser's, in its own order
 * @param {Kind} kind
 * @param {string} [first] codec name, e.g. `VP9`
 * @returns {RTCRtpCodec[]}
 */
export function codecPreferences(capabilities, kind, first) {
  const usable = capabilities.filter((codec) => isForwarded(codec, kind));
  if (!first) return usable;
  const wanted = `${kind}/${first}`.toLowerCase();
  const isFirst = (/** @type {RTCRtpCodec} */ c) => c.mimeType.toLowerCase() === wanted;
  return [...usable.filter(isFirst), ...usable.filter((codec) => !isFirst(codec))];
}

/**
 * @param {RTCRtpCodec} codec
 * @param {Kind} kind
 */
function isForwarded({ mimeType, sdpFmtpLine = "" }, kind) {
  const type = mimeType.toLowerCase();
  if (!FORWARDED[kind].includes(type)) return false;
  if (type === "video/vp9") return !/profile-id=[1-3]/.test(sdpFmtpLine); // 8 bit 4:2:0 only
  if (type === "video/av1") return !/profile=[12]/.test(sdpFmtpLine);
  // One NAL unit per packet is of no use, and 4:4:4 nobody else decodes.
  if (type === "video/h264") return !/packetization-mode=0|profile-level-id=f4/i.test(sdpFmtpLine);
  return true;
}

/** Bits per pixel and frame that give a good picture of a face. */
const BITS_PER_PIXEL = 0.08;
const FRAME_RATE = 30;

/**
 * Encodings for `addTransceiver`, smallest first.
 *
 * Chromium sends fewer encodings than it is asked for when the picture is small, and what it leaves
 * out is the *largest* (measured: of three at 640x480 it sends 160 and 320, never 640). So three are
 * offered from 960x540 on, two from 480x270 on, and one below.
 *
 * @param {object} picture
 * @param {number} picture.width pixels
 * @param {number} picture.height pixels
 * @param {Source} picture.source
 * @param {boolean} [picture.simulcast] default: for cameras
 * @param {VideoCodec} [picture.codec]
 * @param {string} [picture.scalabilityMode] one encoding of several layers
 * @returns {RTCRtpEncodingParameters[]}
 */
export function videoEncodings({ width, height, source, simulcast, codec, scalabilityMode }) {
  const pixels = (width || 640) * (height || 480);
  const layers = { scalabilityMode };
  if (scalabilityMode) return [{ maxBitrate: bitrate(pixels), ...layers }];
  if (source === "screen_share") return [{ maxBitrate: 3_000_000, maxFramerate: 15 }];
  // Without being told otherwise Chromium makes one stream with spatial layers of several VP9
  // encodings; and three AV1 encoders are more than most machines can bear.
  const several = simulcast ?? (source === "camera" && codec !== "VP9" && codec !== "AV1");
  const count = !several ? 1 : pixels >= 960 * 540 ? 3 : pixels >= 480 * 270 ? 2 : 1;
  if (count === 1) return [{ maxBitrate: bitrate(pixels) }];
  const scaled = codec === "VP9" || codec === "AV1" ? { scalabilityMode: "L1T1" } : {};
  return ["q", "h", "f"].slice(-count).map((rid, i) => {
    const scale = 2 ** (count - 1 - i);
    return {
      rid,
      scaleResolutionDownBy: scale,
      maxBitrate: bitrate(pixels / scale ** 2),
      ...scaled,
    };
  });
}

/** @param {number} pixels */
function bitrate(pixels) {
  return Math.max(80_000, Math.round(pixels * FRAME_RATE * BITS_PER_PIXEL));
}
