/**
 * When the steps of joining happened, for tests and for the curious.
 */

/**
 * @typedef {"join" | "offer" | "socket" | "answer" | "applied" | "connected" | "firstFrame"} Mark
 *
 * `join`: called. `offer`: made. `socket`: open. `answer`: arrived. `applied`: given to the browser.
 * `connected`: ICE and DTLS are up. `firstFrame`: an element showed somebody else's picture.
 */

export class Timings {
  /**
   * Milliseconds since the page began (`performance.now()`), by mark.
   *
   * @type {Partial<Record<Mark, number>>}
   */
  marks = {};

  /** Forgets all. */
  reset() {
    this.marks = {};
  }

  /**
   * Notes the first time of a step.
   *
   * @param {Mark} name
   */
  mark(name) {
    this.marks[name] ??= performance.now();
  }

  /** Milliseconds from calling `join` until media is connected. */
  get joinMs() {
    return this.#between("join", "connected");
  }

  /** Milliseconds from the answer's arrival until media is connected. */
  get answerToConnectedMs() {
    return this.#between("answer", "connected");
  }

  /** Milliseconds of that which the browser took to apply the answer. */
  get answerToAppliedMs() {
    return this.#between("answer", "applied");
  }

  /** Milliseconds from calling `join` until somebody else's picture was shown. */
  get joinToFirstFrameMs() {
    return this.#between("join", "firstFrame");
  }

  /**
   * @param {Mark} from
   * @param {Mark} to
   * @returns {number | null} null while one of them is missing
   */
  #between(from, to) {
    const [start, end] = [this.marks[from], this.marks[to]];
    return start === undefined || end === undefined ? null : end - start;
  }
}
