import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffDelay } from "../sdk/backoff.js";
import { codecPreferences, videoEncodings } from "../sdk/codecs.js";
import { loudness } from "../sdk/level-meter.js";
import { slotGrowth, SlotTable } from "../sdk/slots.js";
import { summarise } from "../sdk/stats.js";

/** As Chromium lists them. */
const CAPABILITIES = [
  { mimeType: "video/VP8", clockRate: 90000 },
  { mimeType: "video/rtx", clockRate: 90000 },
  { mimeType: "video/VP9", clockRate: 90000, sdpFmtpLine: "profile-id=0" },
  { mimeType: "video/VP9", clockRate: 90000, sdpFmtpLine: "profile-id=2" },
  { mimeType: "video/H264", clockRate: 90000, sdpFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f" },
  { mimeType: "video/H264", clockRate: 90000, sdpFmtpLine: "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f" },
  { mimeType: "video/AV1", clockRate: 90000, sdpFmtpLine: "level-idx=5;profile=0;tier=0" },
  { mimeType: "video/AV1", clockRate: 90000, sdpFmtpLine: "level-idx=5;profile=1;tier=0" },
  { mimeType: "video/red", clockRate: 90000 },
  { mimeType: "video/flexfec-03", clockRate: 90000 },
];
const names = (/** @type {RTCRtpCodec[]} */ codecs) => codecs.map((codec) => codec.mimeType.slice(6));

test("only what the server forwards is offered, repair included", () => {
  assert.deepEqual(names(codecPreferences(CAPABILITIES, "video")), ["VP8", "rtx", "VP9", "H264", "AV1"]);
});

test("the preferred codec comes first and the others stay", () => {
  assert.deepEqual(names(codecPreferences(CAPABILITIES, "video", "H264")), ["H264", "VP8", "rtx", "VP9", "AV1"]);
  assert.deepEqual(names(codecPreferences(CAPABILITIES, "video", "AV1"))[0], "AV1");
});

/**
 * @param {number} width
 * @param {number} height
 * @param {object} [more]
 */
const shape = (width, height, more = {}) =>
  videoEncodings({ width, height, source: "camera", ...more }).map((e) => `${e.rid ?? ""}/${e.scaleResolutionDownBy ?? 1}`);

test("a camera is sent in as many sizes as browsers really send, the largest always among them", () => {
  assert.deepEqual(shape(1280, 720), ["q/4", "h/2", "f/1"]);
  assert.deepEqual(shape(640, 480), ["h/2", "f/1"]);
  assert.deepEqual(shape(320, 180), ["/1"]);
  assert.deepEqual(shape(0, 0), shape(640, 480));
});

test("screens, heavy codecs and those who say so are sent once", () => {
  assert.deepEqual(shape(1920, 1080, { source: "screen_share" }), ["/1"]);
  assert.deepEqual(shape(1280, 720, { codec: "AV1" }), ["/1"]);
  assert.deepEqual(shape(1280, 720, { simulcast: false }), ["/1"]);
  assert.deepEqual(shape(1280, 720, { codec: "VP9", simulcast: true }), ["q/4", "h/2", "f/1"]);
});

test("larger encodings may use more bits", () => {
  const bitrates = videoEncodings({ width: 1280, height: 720, source: "camera" }).map((e) => e.maxBitrate ?? 0);
  assert.deepEqual(bitrates, [...bitrates].sort((a, b) => a - b));
  assert.ok(bitrates[0] >= 80_000 && bitrates[2] <= 3_000_000);
});

test("slots are added in steps, and never beyond what is left", () => {
  const have = { audio: 4, video: 9 };
  const need = { video: 9, audio: 4, topAudio: 3 };
  assert.deepEqual(slotGrowth(need, have, 40), { audio: 0, video: 0 });
  assert.deepEqual(slotGrowth(need, { audio: 1, video: 1 }, 40), { audio: 3, video: 8 });
  assert.deepEqual(slotGrowth({ ...need, video: 10 }, have, 40), { audio: 0, video: 4 });
  assert.deepEqual(slotGrowth({ ...need, video: 60 }, have, 40), { audio: 0, video: 40 });
  assert.deepEqual(slotGrowth({ ...need, video: 60 }, have, -2), { audio: 0, video: 0 });
});

test("voices need slots only as far as the room forwards them", () => {
  const have = { audio: 4, video: 9 };
  assert.deepEqual(slotGrowth({ video: 0, audio: 99, topAudio: 3 }, have, 40), { audio: 0, video: 0 });
  assert.deepEqual(slotGrowth({ video: 0, audio: 6, topAudio: 0 }, have, 40), { audio: 4, video: 0 });
});

test("the table keeps what an update does not mention", () => {
  const table = new SlotTable();
  table.update([
    { mid: "0", kind: "audio", feed: { track: "TR_1", identity: "a" } },
    { mid: "1", kind: "video", feed: null },
  ]);
  table.update([{ mid: "1", kind: "video", feed: { track: "TR_2", identity: "b" } }]);
  assert.deepEqual([...table.carriers()], [["TR_1", "0"], ["TR_2", "1"]]);
  assert.equal(table.count("video"), 1);
  table.clear();
  assert.equal(table.carriers().size, 0);
});

test("waits grow to a bound and are spread", () => {
  assert.deepEqual([0, 1, 2, 9].map((n) => backoffDelay(n, 1)), [200, 400, 800, 3_000]);
  assert.equal(backoffDelay(9, 0), 1_500);
});

test("loudness goes from silence to full scale", () => {
  assert.equal(loudness(new Float32Array(64)), 0);
  assert.equal(loudness(new Float32Array(64).fill(1)), 1);
  const quiet = loudness(new Float32Array(64).fill(0.01));
  assert.ok(quiet > 0.2 && quiet < 0.5);
});

test("the short form of the statistics says whose picture a slot carries", () => {
  const report = new Map(
    [
      { id: "T", type: "transport", srtpCipher: "AEAD_AES_256_GCM", selectedCandidatePairId: "P" },
      { id: "P", type: "candidate-pair", currentRoundTripTime: 0.025, localCandidateId: "L" },
      { id: "L", type: "local-candidate", protocol: "udp" },
      { id: "C", type: "codec", mimeType: "video/VP8" },
      { id: "I", type: "inbound-rtp", kind: "video", mid: "3", codecId: "C", framesDecoded: 50, frameWidth: 640 },
      { id: "O", type: "outbound-rtp", kind: "video", mid: "0", rid: "f", codecId: "C", bytesSent: 9 },
    ].map((entry) => [entry.id, entry]),
  );
  const stats = summarise(/** @type {any} */ (report), (mid) => (mid === "3" ? { track: "TR_b", identity: "bob" } : null));
  assert.equal(stats.srtpCipher, "AEAD_AES_256_GCM");
  assert.equal(stats.roundTripMs, 25);
  assert.equal(stats.protocol, "udp");
  assert.deepEqual([stats.receiving[0].identity, stats.receiving[0].codec, stats.receiving[0].width], ["bob", "video/VP8", 640]);
  assert.deepEqual([stats.sending[0].rid, stats.sending[0].bytes], ["f", 9]);
});
