/**
 * What the tests share: a WebSocket whose other end is the test, and things of the server's making.
 *
 * Browsers are the real thing and tested elsewhere; here only logic that a browser would make slow or
 * impossible to provoke.
 */

import assert from "node:assert/strict";

/** Sockets that were opened, oldest first. @type {TestSocket[]} */
export const sockets = [];

/** A WebSocket of which the test is the server. */
export class TestSocket {
  readyState = 0;
  /** @type {any[]} */
  sent = [];
  /** @type {(() => void) | null} */
  onopen = null;
  /** @type {(() => void) | null} */
  onclose = null;
  /** @type {((event: { data: string }) => void) | null} */
  onmessage = null;

  /** @param {URL} url */
  constructor(url) {
    this.url = url;
    sockets.push(this);
  }

  /** @param {string} text */
  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.readyState = 3;
  }

  accept() {
    this.readyState = 1;
    this.onopen?.();
  }

  /** As when the network or the server ends it. */
  cut() {
    this.readyState = 3;
    this.onclose?.();
  }

  /** @param {Record<string, unknown>} message */
  push(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  get last() {
    return this.sent[this.sent.length - 1];
  }
}

/** Lets everything that is ready to run do so. */
export async function settle() {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

/**
 * Lets timers run until something has happened, for ten seconds at most.
 *
 * @param {() => boolean} happened
 */
export async function until(happened) {
  const end = Date.now() + 10_000;
  while (!happened()) {
    assert.ok(Date.now() < end, "it has not happened");
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

/** @param {string} identity */
export function participant(identity, tracks = /** @type {any[]} */ ([])) {
  return {
    identity,
    sid: `PA_${identity}`,
    name: identity.toUpperCase(),
    metadata: "",
    attributes: {},
    permissions: /** @type {any} */ ({}),
    state: /** @type {const} */ ("active"),
    joinedAt: "2026-01-01T00:00:00Z",
    tracks,
  };
}

/**
 * @param {string} sid
 * @param {Record<string, unknown>} [more]
 * @returns {any}
 */
export function track(sid, more = {}) {
  return {
    sid,
    kind: "video",
    source: "camera",
    name: "",
    muted: false,
    codec: null,
    simulcast: false,
    mid: "0",
    width: 640,
    height: 480,
    ...more,
  };
}
