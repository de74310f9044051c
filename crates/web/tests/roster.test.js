import assert from "node:assert/strict";
import { test } from "node:test";
import { participant, track } from "./support.js";

/** Just the set of tracks that a browser's is, for modules that make one when they are used. */
class TestStream {
  tracks = new Set();
  /** @param {unknown} track */
  addTrack(track) {
    this.tracks.add(track);
  }
  /** @param {unknown} track */
  removeTrack(track) {
    this.tracks.delete(track);
  }
}
Object.assign(globalThis, { MediaStream: TestStream });
const { Roster } = await import("../sdk/roster.js");

function roster() {
  /** @type {string[]} */
  const log = [];
  const media = (/** @type {string} */ mid) => /** @type {any} */ ({ slot: mid });
  const slots = new Map(["0", "1", "2"].map((mid) => [mid, media(mid)]));
  const roster = new Roster(
    (name, payload) => {
      const { participant, track } = /** @type {any} */ (payload);
      log.push([name, participant.identity, track?.sid].filter(Boolean).join(" "));
    },
    (mid) => slots.get(mid) ?? null,
  );
  const take = () => log.splice(0);
  const slotOf = (/** @type {string} */ sid) => /** @type {any} */ (roster.findTrack(sid)?.mediaStreamTrack)?.slot;
  return { roster, take, slotOf };
}

/**
 * @param {string} mid
 * @param {[string, string] | null} feed
 */
function slot(mid, feed) {
  return { mid, kind: /** @type {const} */ ("video"), feed: feed && { track: feed[0], identity: feed[1] } };
}

test("a slot that names a known track subscribes it", () => {
  const { roster: r, take, slotOf } = roster();
  r.upsert(participant("bob", [track("TR_b")]));
  r.slotsChanged([slot("0", ["TR_b", "bob"])]);
  assert.deepEqual(take(), ["participantJoined bob", "trackPublished bob TR_b", "trackSubscribed bob TR_b"]);
  assert.equal(slotOf("TR_b"), "0");
});

test("a slot may name a track before the track is told of", () => {
  const { roster: r, take, slotOf } = roster();
  r.slotsChanged([slot("1", ["TR_b", "bob"])]);
  r.upsert(participant("bob"));
  r.published("bob", track("TR_b"));
  assert.deepEqual(take(), ["participantJoined bob", "trackPublished bob TR_b", "trackSubscribed bob TR_b"]);
  assert.equal(slotOf("TR_b"), "1");
});

test("a slot that changes hands is taken away before it is given", () => {
  const { roster: r, take, slotOf } = roster();
  r.upsert(participant("ann", [track("TR_a")]));
  r.upsert(participant("bob", [track("TR_b")]));
  r.slotsChanged([slot("0", ["TR_b", "bob"])]);
  take();
  r.slotsChanged([slot("0", ["TR_a", "ann"])]);
  assert.deepEqual(take(), ["trackUnsubscribed bob TR_b", "trackSubscribed ann TR_a"]);
  assert.equal(slotOf("TR_b"), undefined);
});

test("two tracks that exchange slots each end where they were sent", () => {
  const { roster: r, slotOf } = roster();
  r.upsert(participant("ann", [track("TR_a")]));
  r.upsert(participant("bob", [track("TR_b")]));
  r.slotsChanged([slot("0", ["TR_a", "ann"]), slot("1", ["TR_b", "bob"])]);
  r.slotsChanged([slot("0", ["TR_b", "bob"]), slot("1", ["TR_a", "ann"])]);
  assert.equal(slotOf("TR_a"), "1");
  assert.equal(slotOf("TR_b"), "0");
  const ann = /** @type {any} */ (r.participants.get("ann")?.stream);
  assert.deepEqual([...ann.tracks].map((t) => t.slot), ["1"]);
});

test("camera and screen of one participant are in streams of their own", () => {
  const { roster: r } = roster();
  r.upsert(participant("bob", [track("TR_c"), track("TR_s", { source: "screen_share" })]));
  r.slotsChanged([slot("0", ["TR_c", "bob"]), slot("1", ["TR_s", "bob"])]);
  const bob = /** @type {any} */ (r.participants.get("bob"));
  assert.deepEqual([...bob.stream.tracks].map((t) => t.slot), ["0"]);
  assert.deepEqual([...bob.screenStream.tracks].map((t) => t.slot), ["1"]);
});

test("who leaves takes subscription and publication along", () => {
  const { roster: r, take } = roster();
  r.upsert(participant("bob", [track("TR_b")]));
  r.slotsChanged([slot("0", ["TR_b", "bob"])]);
  take();
  r.left("bob", "client_left");
  assert.deepEqual(take(), ["trackUnsubscribed bob TR_b", "trackUnpublished bob TR_b", "participantLeft bob"]);
  r.left("bob", "client_left");
  assert.deepEqual(take(), []);
});

test("a mute is told once, with the track's new description", () => {
  const { roster: r, take } = roster();
  r.upsert(participant("bob", [track("TR_b")]));
  take();
  r.trackUpdated("bob", track("TR_b", { muted: true }));
  r.trackUpdated("bob", track("TR_b", { muted: true, codec: "VP8" }));
  assert.deepEqual(take(), ["trackUpdated bob TR_b", "trackMuted bob TR_b", "trackUpdated bob TR_b"]);
  assert.equal(r.findTrack("TR_b")?.codec, "VP8");
});

test("after a rejoin those who stayed are the same, their old tracks gone", () => {
  const { roster: r, take } = roster();
  r.replaceAll([participant("ann", [track("TR_a")]), participant("bob", [track("TR_b")])]);
  const bob = r.participants.get("bob");
  take();
  r.replaceAll([participant("bob", [track("TR_b2")]), participant("cid")]);
  assert.deepEqual(take(), [
    "trackUnpublished ann TR_a",
    "participantLeft ann",
    "trackUnpublished bob TR_b",
    "trackPublished bob TR_b2",
    "participantUpdated bob",
    "participantJoined cid",
  ]);
  assert.equal(r.participants.get("bob"), bob);
});

test("tracks that are muted or not wanted need no slot", () => {
  const { roster: r } = roster();
  r.upsert(participant("ann", [track("TR_1"), track("TR_2", { muted: true }), track("TR_3")]));
  const unwanted = r.findTrack("TR_3");
  if (unwanted) unwanted.wanted = false;
  assert.equal(r.wantedCount("video"), 1);
  assert.equal(r.wantedCount("audio"), 0);
});

test("messages about strangers are ignored", () => {
  const { roster: r, take } = roster();
  r.published("nobody", track("TR_x"));
  r.trackUpdated("nobody", track("TR_x"));
  r.unpublished("nobody", "TR_x");
  r.slotsChanged([slot("9", ["TR_x", "nobody"])]);
  assert.deepEqual(take(), []);
});
