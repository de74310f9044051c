/**
 * Waiting between attempts: longer each time, never all clients at once, cut short when the
 * browser says that the network is back.
 */

const FIRST_MS = 200;
const LONGEST_MS = 3_000;

export class Backoff {
  #attempt = 0;
  /** @type {(() => void) | null} */
  #wake = null;

  /** The next wait is the shortest again. */
  reset() {
    this.#attempt = 0;
  }

  /** Waits before the next attempt. */
  async wait() {
    const delay = backoffDelay(this.#attempt++, Math.random());
    await new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        globalThis.removeEventListener?.("online", done);
        this.#wake = null;
        resolve(undefined);
      };
      const timer = setTimeout(done, delay);
      globalThis.addEventListener?.("online", done);
      this.#wake = done;
    });
  }

  /** Ends a wait that is under way. */
  hurry() {
    this.#wake?.();
  }
}

/**
 * @param {number} attempt from 0
 * @param {number} random 0 to 1
 * @returns {number} milliseconds
 */
export function backoffDelay(attempt, random) {
  const full = Math.min(FIRST_MS * 2 ** attempt, LONGEST_MS);
  return full * (0.5 + random / 2);
}
