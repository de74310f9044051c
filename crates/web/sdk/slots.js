/**
 * Slots: the m-lines on which this session receives, and what the server feeds them with.
 *
 * Pure bookkeeping. People come and go without renegotiation: the server says which track a slot
 * carries now, and this table is what it last said.
 */

/** @import { Kind, SlotInfo } from "./protocol.js" */

/**
 * Slots of the first offer with media: enough for a call of two. A browser takes some milliseconds
 * per m-line to apply an answer, and pictures wait for that.
 */
export const FIRST_SLOTS = { audio: 1, video: 1 };
/** Slots that stand ready once media is up, so that people come and go without negotiation. */
export const READY_SLOTS = { audio: 4, video: 9 };
/** Slots are added in steps, not one by one. */
const GROWTH_STEP = 4;

export class SlotTable {
  /** @type {Map<string, SlotInfo>} */
  #slots = new Map();

  /**
   * Notes what the server said; slots it does not mention stay as they are.
   *
   * @param {SlotInfo[]} slots
   */
  update(slots) {
    for (const slot of slots) this.#slots.set(slot.mid, slot);
  }

  /** Forgets all: another session begins. */
  clear() {
    this.#slots.clear();
  }

  /**
   * Which slot carries each track: `mid` by track id.
   *
   * @returns {Map<string, string>}
   */
  carriers() {
    const carriers = new Map();
    for (const { mid, feed } of this.#slots.values()) if (feed) carriers.set(feed.track, mid);
    return carriers;
  }

  /** @param {string} mid */
  feed(mid) {
    return this.#slots.get(mid)?.feed ?? null;
  }

  /** @param {Kind} kind */
  count(kind) {
    let count = 0;
    for (const slot of this.#slots.values()) if (slot.kind === kind) count++;
    return count;
  }
}

/**
 * How many slots to add so that everything that is wanted can be seen and heard, and some stand
 * ready.
 *
 * @param {object} need
 * @param {number} need.video pictures that are wanted
 * @param {number} need.audio voices that are wanted
 * @param {number} need.topAudio how many of the loudest the room forwards; 0: all
 * @param {{ audio: number, video: number }} have slots
 * @param {number} left slots that may still be added
 * @returns {{ audio: number, video: number }}
 */
export function slotGrowth({ video, audio, topAudio }, have, left) {
  const voices = topAudio === 0 ? audio : Math.min(audio, topAudio);
  const grow = (/** @type {Kind} */ kind, /** @type {number} */ wanted) => {
    const [present, ready] = [have[kind], READY_SLOTS[kind]];
    if (wanted <= ready) return Math.max(ready - present, 0);
    return wanted <= present ? 0 : Math.ceil((wanted - present) / GROWTH_STEP) * GROWTH_STEP;
  };
  const moreAudio = Math.min(grow("audio", voices), Math.max(left, 0));
  const moreVideo = Math.min(grow("video", video), Math.max(left - moreAudio, 0));
  return { audio: moreAudio, video: moreVideo };
}
