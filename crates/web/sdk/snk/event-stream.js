/**
 * The push connection of an agent: server-sent events, numbered, resumed after a loss.
 *
 * The browser's `EventSource` reconnects by itself and names the last event it saw, so that the server
 * replays what was missed.
 */

/**
 * @typedef {object} Listener
 * @property {(frame: { type: string } & Record<string, any>) => void} frame
 * @property {(code: number, message: string) => void} refused by the server: no use in trying again
 * @property {() => void} lost for now
 */

/** What the server says when it refuses, by HTTP status. */
const REFUSALS = new Map([
  [401, { code: 1101, message: "the token is refused" }],
  [403, { code: 1110, message: "not allowed" }],
  [404, { code: 1104, message: "no such system" }],
]);

export class EventStream {
  #source;
  #closed = false;

  /**
   * @param {string} url
   * @param {Record<string, string>} identity
   * @param {Listener} listener
   */
  constructor(url, identity, listener) {
    const address = new URL(url, globalThis.location?.href);
    for (const [name, value] of Object.entries(identity)) if (value) address.searchParams.set(name, value);
    this.#source = new EventSource(address);
    this.#source.onmessage = ({ data }) => {
      const frame = parse(data);
      if (!frame) return;
      for (const each of frame.type === "frames" ? frame.frames : [frame]) listener.frame(each);
    };
    this.#source.onerror = async () => {
      if (this.#closed) return;
      listener.lost();
      // A browser gives up only when it was answered, and not with events.
      if (this.#source.readyState !== EventSource.CLOSED) return;
      const status = await fetch(address, { method: "HEAD" }).then((response) => response.status, () => 0);
      const { code, message } = REFUSALS.get(status) ?? { code: 1404, message: "the server cannot be reached" };
      if (!this.#closed) listener.refused(code, message);
    };
  }

  close() {
    this.#closed = true;
    this.#source.close();
  }
}

/** @param {string} text */
function parse(text) {
  try {
    const frame = JSON.parse(text);
    return frame !== null && typeof frame === "object" ? frame : null;
  } catch {
    return null;
  }
}
