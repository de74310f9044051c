import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Signal, signalUrl } from "../sdk/signal.js";
import { settle, sockets, TestSocket } from "./support.js";

/** Status that the HTTP question after a refused socket gets; 0: no answer. */
let httpStatus = 0;

beforeEach(() => {
  sockets.length = 0;
  httpStatus = 0;
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  mock.method(globalThis, "fetch", async () => {
    if (!httpStatus) throw new TypeError("no network");
    return { status: httpStatus };
  });
  Object.assign(globalThis, { WebSocket: TestSocket });
});

afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

async function joined() {
  const signal = new Signal({ url: "http://host/", token: "T" });
  /** @type {string[]} */
  const log = [];
  signal.on("event", (event) => log.push(event.type));
  signal.on("interrupted", () => log.push("interrupted"));
  signal.on("resumed", () => log.push("resumed"));
  signal.on("lost", (error) => log.push(`lost: ${error.type}`));
  const opening = signal.open();
  await settle();
  sockets[0].accept();
  await opening;
  signal.setSession("SESSION");
  return { signal, log, socket: sockets[0] };
}

/** Waits out any back-off and returns the newest socket. */
async function nextSocket(count = sockets.length + 1) {
  for (let i = 0; i < 50 && sockets.length < count; i++) {
    mock.timers.tick(100);
    await settle();
  }
  return sockets[sockets.length - 1];
}

test("the endpoint follows the page's scheme and path", () => {
  assert.equal(signalUrl("https://host").href, "wss://host/v1/signal");
  assert.equal(signalUrl("http://host:7880/media/?x#y").href, "ws://host:7880/media/v1/signal");
});

test("a reply settles its request, an error rejects it with the server's type", async () => {
  const { signal, socket } = await joined();
  const good = signal.request("mute", { track: "TR_1", muted: true });
  const bad = signal.request("subscribe", { track: "TR_2" });
  const [first, second] = socket.sent;
  assert.deepEqual(first, { type: "mute", id: first.id, track: "TR_1", muted: true });
  socket.push({ type: "reply", id: second.id, seq: 1, error: { type: "track_not_found", status: 404 } });
  socket.push({ type: "reply", id: first.id, seq: 2, extra: 5 });
  assert.equal((await good).extra, 5);
  await assert.rejects(bad, { type: "track_not_found", status: 404 });
});

test("a cut socket is resumed with the last number heard, and replayed events come once", async () => {
  const { log, socket } = await joined();
  socket.push({ type: "connected", seq: 1 });
  socket.push({ type: "draining", seq: 2 });
  socket.cut();
  const again = await nextSocket(2);
  again.accept();
  await settle();
  assert.deepEqual(again.last, { type: "resume", id: again.last.id, version: 1, session: "SESSION", lastSeq: 2 });
  again.push({ type: "draining", seq: 2 });
  again.push({ type: "roomUpdated", seq: 3 });
  again.push({ type: "reply", id: again.last.id, seq: 4, resumed: true });
  await settle();
  assert.deepEqual(log, ["connected", "draining", "interrupted", "roomUpdated", "resumed"]);
});

test("requests made while interrupted go out after the resumption, in order", async () => {
  const { signal, socket } = await joined();
  socket.cut();
  signal.request("message", { text: "a" }).catch(() => {});
  signal.request("mute", { muted: true }).catch(() => {});
  const again = await nextSocket(2);
  again.accept();
  await settle();
  assert.deepEqual(again.sent.map((frame) => frame.type), ["resume"]);
  again.push({ type: "reply", id: again.last.id, seq: 1, resumed: true });
  await settle();
  assert.deepEqual(again.sent.map((frame) => frame.type), ["resume", "message", "mute"]);
});

test("what the server may have heard is repeated only when that does no harm", async () => {
  const { signal, socket } = await joined();
  const mute = signal.request("mute", { muted: true });
  const message = signal.request("message", { text: "hi" });
  socket.cut();
  const again = await nextSocket(2);
  again.accept();
  await settle();
  again.push({ type: "reply", id: again.last.id, seq: 1, resumed: true });
  await assert.rejects(message, { type: "connection_lost" });
  assert.equal(again.last.type, "mute");
  again.push({ type: "reply", id: again.last.id, seq: 2 });
  await mute;
});

test("attempts go on until the server is there again", async () => {
  const { log, socket } = await joined();
  socket.cut();
  for (let attempt = 2; attempt <= 6; attempt++) (await nextSocket(attempt)).cut();
  const again = await nextSocket(7);
  again.accept();
  await settle();
  again.push({ type: "reply", id: again.last.id, seq: 1, resumed: true });
  await settle();
  assert.deepEqual(log, ["interrupted", "resumed"]);
});

test("an expired session is lost at once, with its reason", async () => {
  const { signal, log, socket } = await joined();
  socket.cut();
  const again = await nextSocket(2);
  again.accept();
  await settle();
  again.push({ type: "reply", id: again.last.id, error: { type: "session_expired", status: 404 } });
  await settle();
  assert.deepEqual(log, ["interrupted", "lost: session_expired"]);
  await assert.rejects(signal.request("ping"), { type: "not_joined" });
});

test("a server that stays away is given up after two minutes", async () => {
  const { log, socket } = await joined();
  socket.cut();
  for (let seconds = 0; seconds < 300 && log.length < 2; seconds++) {
    await settle();
    const newest = sockets[sockets.length - 1];
    if (newest.readyState === 0) newest.cut();
    await settle();
    mock.timers.tick(1_000);
  }
  await settle();
  assert.deepEqual(log, ["interrupted", "lost: network_lost"]);
});

test("silence is answered by pings, and lasting silence by a new socket", async () => {
  const { log, socket } = await joined();
  mock.timers.tick(4_000);
  assert.equal(socket.last.type, "ping");
  mock.timers.tick(8_000);
  await settle();
  assert.deepEqual(log, ["interrupted"]);
  assert.equal(sockets.length, 2);
});

test("what a silent socket had received still counts, and is not asked for again", async () => {
  const { log, socket } = await joined();
  mock.timers.tick(12_000);
  const again = await nextSocket(2);
  socket.push({ type: "draining", seq: 1 }); // late, but before the resumption
  again.accept();
  await settle();
  assert.equal(again.last.lastSeq, 1);
  socket.push({ type: "draining", seq: 2 });
  again.push({ type: "draining", seq: 2 });
  again.push({ type: "reply", id: again.last.id, seq: 3, resumed: true });
  await settle();
  assert.deepEqual(log, ["interrupted", "draining", "draining", "resumed"]);
  assert.equal(socket.readyState, 3);
});

test("a page that slept gives its socket a moment before it counts as dead", async () => {
  const { log, socket } = await joined();
  mock.timers.setTime(Date.now() + 15_000);
  mock.timers.tick(1); // the intervals that are due fire late
  assert.deepEqual(log, []);
  assert.equal(socket.last.type, "ping");
  socket.push({ type: "reply", id: socket.last.id, seq: 1 });
  mock.timers.tick(4_000);
  assert.deepEqual(log, []);
});

test("a reply that does not come is a time-out", async () => {
  const { signal, socket } = await joined();
  const late = signal.request("offer");
  const rejection = assert.rejects(late, { type: "timeout" });
  for (let seconds = 0; seconds < 20; seconds += 2) {
    mock.timers.tick(2_000);
    socket.push({ type: "connected" }); // alive, but silent about this
  }
  await rejection;
});

test("a refused token is told apart from a server that is gone", async () => {
  for (const [status, type] of /** @type {const} */ ([[401, "unauthorized"], [403, "forbidden"], [0, "server_unreachable"]])) {
    httpStatus = status;
    const opening = new Signal({ url: "http://host", token: "bad" }).open();
    const rejection = assert.rejects(opening, { type, status });
    await settle();
    sockets[sockets.length - 1].cut();
    await rejection;
  }
});

test("a resumption needs no access token, which may have expired", async () => {
  const signal = new Signal({ url: "http://host", token: async () => "T" });
  const opening = signal.open();
  await settle();
  sockets[0].accept();
  await opening;
  signal.setSession("S");
  sockets[0].cut();
  await nextSocket(2);
  assert.deepEqual(sockets.map((s) => s.url.search), ["?access_token=T", "?session=S"]);
  signal.close();
});

test("a session that opens no door any more has expired", async () => {
  const { log, socket } = await joined();
  httpStatus = 401;
  socket.cut();
  (await nextSocket(2)).cut();
  await settle();
  assert.deepEqual(log, ["interrupted", "lost: session_expired"]);
});

test("closing says goodbye and rejects what waits", async () => {
  const { signal, socket, log } = await joined();
  const waiting = signal.request("offer");
  signal.close();
  assert.equal(socket.last.type, "leave");
  await assert.rejects(waiting, { type: "aborted" });
  mock.timers.tick(60_000);
  await settle();
  assert.deepEqual(log, []);
  assert.equal(sockets.length, 1);
});

test("frames that are no messages are ignored", async () => {
  const { socket, log } = await joined();
  for (const data of ["", "null", "[", "7", '"x"', "{}"]) socket.onmessage?.({ data });
  socket.onmessage?.({ data: /** @type {any} */ (new ArrayBuffer(4)) });
  socket.push({ type: "connected", seq: 1 });
  assert.deepEqual(log.filter(Boolean), ["connected"]);
});
