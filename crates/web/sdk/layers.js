/**
 * Encodings of one's own tracks that nobody watches or hears are not sent, until somebody does.
 *
 * The server says which are wanted. What goes on being sent is the browser's business; an encoding
 * that is switched on again begins with a keyframe.
 */

/** @import { LocalTrack } from "./tracks.js" */

/** @typedef {{ rid: string | null, wanted: boolean }} EncodingWanted */

/** Changes of one sender's parameters go one after the other. @type {WeakMap<RTCRtpSender, Promise<void>>} */
const turns = new WeakMap();

/**
 * @param {LocalTrack} track
 * @param {EncodingWanted[]} wanted
 */
export function sendWanted(track, wanted) {
  const sender = track.transceiver?.sender;
  if (!sender) return Promise.resolve();
  const turn = (turns.get(sender) ?? Promise.resolve()).then(() => apply(sender, wanted)).catch(() => {});
  turns.set(sender, turn);
  return turn;
}

/**
 * @param {RTCRtpSender} sender
 * @param {EncodingWanted[]} wanted
 */
async function apply(sender, wanted) {
  const parameters = sender.getParameters();
  let changed = false;
  for (const encoding of parameters.encodings) {
    const named = wanted.find(({ rid }) => (rid ?? undefined) === encoding.rid);
    if (!named || (encoding.active ?? true) === named.wanted) continue;
    encoding.active = named.wanted;
    changed = true;
  }
  if (changed) await sender.setParameters(parameters);
}
