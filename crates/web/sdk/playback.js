/**
 * Sound: one element for each audio slot, for the life of the slot.
 *
 * Voices change slots all the time; the elements do not notice, so nothing clicks and a browser's
 * refusal to play before a gesture is dealt with in one place.
 */

export class Playback {
  /** @type {Map<MediaStreamTrack, HTMLAudioElement>} */
  #elements = new Map();
  #sink = "";
  #blocked = false;
  #onBlocked;

  /** @param {(blocked: boolean) => void} onBlocked the browser wants a gesture first, or no more */
  constructor(onBlocked) {
    this.#onBlocked = onBlocked;
  }

  /** Whether the browser refuses to play until `start` is called in a gesture. */
  get blocked() {
    return this.#blocked;
  }

  /**
   * Plays a slot from now on.
   *
   * @param {MediaStreamTrack} track
   */
  add(track) {
    if (this.#elements.has(track)) return;
    const element = document.createElement("audio");
    element.autoplay = true;
    element.hidden = true;
    element.srcObject = new MediaStream([track]);
    // Safari plays reliably only what stands in the document.
    document.body.append(element);
    this.#elements.set(track, element);
    if (this.#sink) element.setSinkId?.(this.#sink).catch(() => {});
    this.#play(element);
  }

  /** Plays everything that was refused. To be called in a click or key handler. */
  async start() {
    await Promise.all([...this.#elements.values()].map((element) => this.#play(element)));
  }

  /**
   * Chooses the speaker.
   *
   * @param {string} deviceId
   */
  async setSink(deviceId) {
    this.#sink = deviceId;
    await Promise.all([...this.#elements.values()].map((e) => e.setSinkId?.(deviceId)));
  }

  /** Ends all. */
  clear() {
    for (const element of this.#elements.values()) {
      element.srcObject = null;
      element.remove();
    }
    this.#elements.clear();
    this.#setBlocked(false);
  }

  /** @param {HTMLAudioElement} element */
  async #play(element) {
    try {
      await element.play();
      this.#setBlocked(false);
    } catch (error) {
      // AbortError and the like only mean that something newer is being played.
      if (error instanceof DOMException && error.name === "NotAllowedError") this.#setBlocked(true);
    }
  }

  /** @param {boolean} blocked */
  #setBlocked(blocked) {
    if (blocked === this.#blocked) return;
    this.#blocked = blocked;
    this.#onBlocked(blocked);
  }
}
