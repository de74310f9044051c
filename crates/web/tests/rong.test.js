import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import ts from "typescript";
import { ImClient } from "../sdk/rong/im.js";
import { installer } from "../sdk/rong/plugin-call.js";
import { installer as plusInstaller } from "../sdk/rong/plugin-call-plus.js";
import { installer as wrapperInstaller } from "../sdk/rong/plugin-call-plus-wrapper.js";
import { installer as rtcInstaller } from "../sdk/rong/plugin-rtc.js";
import { RCCallEndReason, RCCallErrorCode, cameraOptions, microphoneOptions } from "../sdk/rong/codes.js";
import { StateReporter } from "../sdk/rong/state-report.js";
import { settle, sockets, TestSocket, until } from "./support.js";

/** Devices that the test's computer has. @type {Set<string>} */
const devices = new Set();

class Track extends EventTarget {
  enabled = true;
  readyState = "live";
  /** @param {string} kind */
  constructor(kind) {
    super();
    this.kind = kind;
  }
  stop() {
    this.readyState = "ended";
  }
}

class Stream {
  /** @param {Track[]} tracks */
  constructor(tracks = []) {
    this.tracks = tracks;
  }
  getTracks() {
    return this.tracks;
  }
  getAudioTracks() {
    return this.tracks.filter(({ kind }) => kind === "audio");
  }
  getVideoTracks() {
    return this.tracks.filter(({ kind }) => kind === "video");
  }
}

beforeEach(() => {
  sockets.length = 0;
  devices.clear();
  devices.add("audio").add("video");
  Object.assign(globalThis, { WebSocket: TestSocket, MediaStream: Stream });
  Object.defineProperty(globalThis, "navigator", {
    configurable: true,
    value: {
      mediaDevices: {
        /** @param {Record<string, unknown>} wish */
        async getUserMedia(wish) {
          const kinds = ["audio", "video"].filter((kind) => wish[kind]);
          if (kinds.some((kind) => !devices.has(kind))) {
            throw Object.assign(new Error("none"), { name: "NotFoundError" });
          }
          return new Stream(kinds.map((kind) => new Track(kind)));
        },
      },
    },
  });
});

/** Ends what the sockets' tests began. @type {ImClient[]} */
const clients = [];
afterEach(async () => {
  for (const im of clients.splice(0)) await im.disconnect();
});

/** Alice, connected; `log` has what the application heard. */
async function alice(plugins = callLib) {
  const im = new ImClient({ appkey: "key", serverUrl: "http://host" });
  clients.push(im);
  /** @type {unknown[]} */
  const log = [];
  /** @type {any[]} */
  const sessions = [];
  const caller = plugins(im, {
    onSession: (session, extra) => {
      sessions.push(session);
      log.push(["onSession", session.getSessionId(), extra]);
    },
    onSessionClose: (session, summary) => log.push(["onSessionClose", summary?.endReason, session.getState()]),
    onOfflineRecord: (record) => log.push(["onOfflineRecord", record.callId]),
  });
  const connecting = im.connect("TOKEN");
  await settle();
  sockets[0].accept();
  await settle();
  answer("login", { code: 0, userId: "alice" });
  assert.deepEqual(await connecting, { code: 0, userId: "alice" });
  return { im, caller, log, sessions, socket: sockets[0] };
}

/** @param {ImClient} im @param {any} options */
function callLib(im, options) {
  const rtcClient = im.install(rtcInstaller, {});
  return im.install(installer, { rtcClient, ...options });
}

/** Whether an application was told so. @param {unknown[]} log @param {string} what */
function told(log, what) {
  return log.some((each) => Array.isArray(each) && each[0] === what);
}

/** @param {string} type @param {Record<string, unknown>} body */
function answer(type, body) {
  const request = sockets[0].last;
  assert.equal(request.type, type);
  sockets[0].push({ type: "reply", id: request.id, ...body });
}

/** @param {unknown[]} log */
function listener(log) {
  const note = (/** @type {string} */ name) => (/** @type {any[]} */ ...args) => {
    const shown = args.slice(0, -1).map((each) => each?.userId ?? each?.isLocalTrack?.() ?? each);
    log.push([name, ...shown]);
  };
  const names = ["onRinging", "onAccept", "onHungup", "onTrackReady", "onMemberModify", "onMediaModify", "onAudioMuteChange", "onVideoMuteChange"];
  return /** @type {any} */ (Object.fromEntries(names.map((name) => [name, note(name)])));
}

const session = (/** @type {Record<string, unknown>} */ more = {}) => ({
  sessionId: "c1",
  rtcSessionId: "c1",
  conversationType: 1,
  targetId: "bob",
  channelId: "",
  mediaType: 2,
  users: [
    { userId: "alice", state: 2, isCaller: true },
    { userId: "bob", state: 1, isCaller: false },
  ],
  ...more,
});

test("a wrong call is refused before anything is sent", async () => {
  const { caller, log, socket } = await alice();
  const good = { targetId: "bob", mediaType: 1, listener: listener(log) };
  for (const wrong of [
    { ...good, targetId: "alice" },
    { ...good, targetId: "" },
    { ...good, mediaType: 3 },
    { ...good, listener: { onRinging() {} } },
  ]) {
    assert.deepEqual(await caller.call(wrong), { code: RCCallErrorCode.PARAM_ERROR });
  }
  const group = { ...good, targetId: "team", userIds: ["bob"] };
  for (const wrong of [
    { ...group, userIds: ["bob", "alice"] },
    { ...group, userIds: [] },
    { ...group, listener: { ...listener(log), onMemberModify: undefined } },
  ]) {
    assert.deepEqual(await caller.callInGroup(wrong), { code: RCCallErrorCode.PARAM_ERROR });
  }
  assert.equal(socket.sent.length, 1, "the login only");
});

test("without devices there is no call, and the code says which is missing", async () => {
  const { caller, log, socket } = await alice();
  for (const [missing, mediaType, code] of /** @type {const} */ ([
    [["audio"], 1, 53301],
    [["audio"], 2, 53301],
    [["video"], 2, 53302],
    [["audio", "video"], 2, 53303],
  ])) {
    for (const kind of ["audio", "video"]) devices.add(kind);
    for (const kind of missing) devices.delete(kind);
    assert.deepEqual(await caller.call({ targetId: "bob", mediaType, listener: listener(log) }), { code });
  }
  assert.equal(socket.sent.length, 1);
});

test("a call is told to its listener, in order, and closes once", async () => {
  const { caller, log, socket } = await alice();
  const calling = caller.call({ targetId: "bob", mediaType: 2, listener: listener(log), extra: "hi" });
  await settle();
  assert.equal(socket.last.extra, "hi");
  answer("call", { code: 10000, session: session() });
  const { code, session: call } = await calling;
  assert.equal(code, 10000);
  assert.ok(call);
  assert.deepEqual(
    [call.getSessionId(), call.getTargetId(), call.getConversationType(), call.getState(), call.getUserState("bob")],
    ["c1", "bob", 1, 0, 1],
  );
  assert.equal((await caller.call({ targetId: "carol", mediaType: 1, listener: listener(log) })).code, 53200);
  assert.equal((await call.invite(["carol"])).code, 53311);
  const bob = { userId: "bob" };
  socket.push({ type: "onRinging", seq: 1, sessionId: "c1", sender: bob });
  socket.push({ type: "onAccept", seq: 2, sessionId: "c1", sender: bob });
  assert.deepEqual([call.getState(), call.getUserState("bob"), call.getUserState("alice")], [1, 2, 2]);
  assert.deepEqual(call.getRemoteUsers().map(({ userId, state, isRemote }) => [userId, state, isRemote]), [["bob", 2, true]]);
  socket.push({ type: "onVideoMuteChange", seq: 3, sessionId: "c1", muteUser: { userId: "bob", muted: true } });
  socket.push({
    type: "frames",
    seq: 4,
    frames: [
      { type: "onHungup", sessionId: "c1", sender: bob, reason: 13 },
      { type: "onSessionClose", sessionId: "c1", summaryInfo: { endReason: 13 } },
    ],
  });
  socket.push({ type: "onSessionClose", seq: 5, sessionId: "c1", summaryInfo: { endReason: 3 } });
  await settle();
  assert.deepEqual(log, [
    ["onTrackReady", true],
    ["onTrackReady", true],
    ["onRinging", "bob"],
    ["onAccept", "bob"],
    ["onVideoMuteChange", "bob"],
    ["onHungup", "bob", 13],
    ["onSessionClose", 13, 2],
  ]);
});

test("hanging up settles first and is told to the application afterwards", async () => {
  const { caller, log, socket } = await alice();
  const calling = caller.call({ targetId: "bob", mediaType: 1, listener: listener(log) });
  await settle();
  answer("call", { code: 10000, session: session({ mediaType: 1 }) });
  const { session: call } = await calling;
  const hanging = call?.hungup().then(({ code }) => log.push(["hungup", code]));
  await settle();
  const { id } = socket.last;
  socket.push({ type: "reply", id, code: 10000 });
  socket.push({ type: "onSessionClose", seq: 1, sessionId: "c1", summaryInfo: { endReason: 1 } });
  await hanging;
  await until(() => told(log, "onSessionClose"));
  assert.deepEqual(log.slice(-2), [["hungup", 10000], ["onSessionClose", 1, 2]]);
});

test("an incoming call rings, and what happens before there is a listener waits for it", async () => {
  const { log, sessions, socket } = await alice();
  const users = [{ userId: "bob", state: 2, isCaller: true }];
  socket.push({ type: "onSession", seq: 1, extra: "hi", session: session({ users }) });
  assert.equal(socket.last.type, "ringing");
  socket.push({ type: "onMediaModify", seq: 2, sessionId: "c1", sender: users[0], mediaType: 1 });
  assert.deepEqual(log, [["onSession", "c1", "hi"]]);
  sessions[0].registerSessionListener(listener(log));
  assert.deepEqual(log.at(-1), ["onMediaModify", "bob", 1]);
});

test("what calls are made of stays in the SDK: an application's IM hears of its connection only", async () => {
  const RongIMLib = await import("../sdk/rong/imlib-next.js");
  /** @type {unknown[]} */
  const heard = [];
  // 3.x gave the messages of calls to the application's message listener.
  for (const name of [...Object.values(RongIMLib.Events), "MESSAGES", "message", "frame"]) {
    RongIMLib.addEventListener(name, () => heard.push(name));
  }
  RongIMLib.init({ appkey: "key", serverUrl: "http://host" });
  const rtcClient = RongIMLib.installPlugin(rtcInstaller, {});
  /** @type {string[]} */
  const told = [];
  RongIMLib.installPlugin(installer, {
    rtcClient,
    onSession: (session) => void told.push(session.getSessionId()),
    onSessionClose: (session) => void told.push(session.getSessionId()),
  });
  const connecting = RongIMLib.connect("TOKEN");
  await settle();
  sockets[0].accept();
  await settle();
  answer("login", { code: 0, userId: "alice" });
  await connecting;
  const users = [{ userId: "bob", state: 2, isCaller: true }];
  sockets[0].push({ type: "onSession", seq: 1, session: session({ users }) });
  sockets[0].push({ type: "onSessionClose", seq: 2, sessionId: "c1", summaryInfo: { endReason: 11 } });
  await RongIMLib.disconnect();
  assert.deepEqual(told, ["c1", "c1"]);
  assert.deepEqual(heard, ["CONNECTING", "CONNECTED", "DISCONNECT"]);
});

test("who cannot open devices refuses with that reason and hears the end", async () => {
  const { log, sessions, socket } = await alice();
  devices.clear();
  socket.push({ type: "onSession", seq: 1, session: session({ users: [{ userId: "bob", state: 2, isCaller: true }] }) });
  sessions[0].registerSessionListener(listener(log));
  const accepting = sessions[0].accept();
  await settle();
  assert.equal(socket.last.reason, RCCallEndReason.GET_MEDIA_RESOURCES_ERROR);
  answer("hungup", { code: 10000 });
  assert.deepEqual(await accepting, { code: 53303 });
  assert.deepEqual(log.at(-1), ["onSessionClose", 8, 2]);
});

test("a refused call ends with the reason of who refused", async () => {
  const { log, sessions, socket } = await alice();
  socket.push({ type: "onSession", seq: 1, session: session({ users: [{ userId: "bob", state: 2, isCaller: true }] }) });
  const hanging = sessions[0].hungup();
  await settle();
  answer("hungup", { code: 10000 });
  assert.deepEqual(await hanging, { code: 10000 });
  await until(() => told(log, "onSessionClose"));
  assert.deepEqual(log.at(-1), ["onSessionClose", 2, 2]);
});

test("only members who are not there yet are invited", async () => {
  const { caller, log, socket } = await alice();
  const calling = caller.callInGroup({ targetId: "team", userIds: ["bob", "bob"], mediaType: 0, listener: listener(log) });
  await settle();
  assert.deepEqual([socket.last.userIds, socket.last.mediaType], [["bob"], 1]);
  answer("callInGroup", { code: 10000, session: session({ conversationType: 3, targetId: "team", mediaType: 1 }) });
  const { session: call } = await calling;
  assert.equal((await call?.invite(["bob", "alice"]))?.code, RCCallErrorCode.PARAM_ERROR);
  const inviting = call?.invite(["bob", "carol", "carol"]);
  await settle();
  assert.deepEqual(socket.last.userIds, ["carol"]);
  answer("invite", { code: 10000 });
  assert.equal((await inviting)?.code, 10000);
  assert.equal(call?.getUserState("carol"), 1);
  socket.push({ type: "onHungup", seq: 1, sessionId: "c1", sender: { userId: "carol" }, reason: 15 });
  assert.equal(call?.getUserState("carol"), 0);
});

test("calls that were missed are told, and a forgotten call is left", async () => {
  const { log, socket } = await alice();
  socket.push({ type: "onOfflineRecord", seq: 1, record: { callId: "c9" } });
  assert.deepEqual(log, [["onOfflineRecord", "c9"]]);
  socket.push({ type: "recovered", seq: 2, sessionId: "c7" });
  assert.deepEqual([socket.last.type, socket.last.sessionId], ["hungup", "c7"]);
});

test("video that is not there cannot be disabled, and audio calls not downgraded", async () => {
  const { caller, log } = await alice();
  const calling = caller.call({ targetId: "bob", mediaType: 1, listener: listener(log) });
  await settle();
  answer("call", { code: 10000, session: session({ mediaType: 1 }) });
  const { session: call } = await calling;
  assert.deepEqual(await call?.disableVideoTrack(), { code: 53309 });
  assert.deepEqual(await call?.descendAbility(), { code: 53309 });
});

test("the wrapper tells of media by user and type and knows no user info", async () => {
  const { caller, log } = await alice((im, options) => {
    const rtcClient = im.install(rtcInstaller, {});
    const callPlusClient = im.install(plusInstaller, { rtcClient });
    return im.install(wrapperInstaller, { callPlusClient, ...options });
  });
  assert.equal(caller.registerUserInfo, undefined);
  const calling = caller.call({ targetId: "bob", mediaType: 2, listener: listener(log) });
  await settle();
  answer("call", { code: 10000, session: session() });
  await calling;
  await settle();
  assert.deepEqual(log, [["onTrackReady", "alice", 1], ["onTrackReady", "alice", 2]]);
});

test("profiles become wishes to the browser", () => {
  assert.deepEqual(cameraOptions(), { deviceId: undefined, width: 640, height: 480, frameRate: 15 });
  assert.deepEqual(cameraOptions({ cameraId: "x", frameRate: "FPS_30", resolution: "W1920_H1080" }), {
    deviceId: "x",
    width: 1920,
    height: 1080,
    frameRate: 30,
  });
  assert.deepEqual(microphoneOptions({ micphoneId: "m", sampleRate: 48 }), { deviceId: "m", sampleRate: 48000 });
  assert.equal(microphoneOptions({ sampleRate: 44100 }).sampleRate, 44100);
});

test("quality is reported in the units of the document", () => {
  const reporter = new StateReporter();
  const stats = (/** @type {number} */ bytes, /** @type {number} */ lost, /** @type {number} */ timestamp) =>
    new Map(/** @type {[string, any][]} */ ([
      ["t", { id: "t", type: "transport", selectedCandidatePairId: "p" }],
      ["p", { id: "p", type: "candidate-pair", timestamp, bytesSent: bytes, bytesReceived: 2 * bytes, currentRoundTripTime: 0.012, availableOutgoingBitrate: 300_000, localCandidateId: "l", remoteCandidateId: "r" }],
      ["l", { id: "l", type: "local-candidate", address: "10.0.0.1", port: 5000, protocol: "udp" }],
      ["r", { id: "r", type: "remote-candidate", address: "10.0.0.2", port: 7881 }],
      ["in", { id: "in", type: "inbound-rtp", kind: "audio", mid: "0", timestamp, bytesReceived: bytes, packetsReceived: bytes / 100, packetsLost: lost, jitter: 0.005, audioLevel: 0.5 }],
      ["in2", { id: "in2", type: "inbound-rtp", kind: "video", mid: "1", timestamp, bytesReceived: bytes, packetsReceived: bytes / 100, packetsLost: 0, jitter: 0.007, frameWidth: 640, frameHeight: 480, framesPerSecond: 15 }],
      ["out", { id: "out", type: "outbound-rtp", kind: "audio", mid: "2", timestamp, bytesSent: bytes, packetsSent: 10 }],
      ["ri", { id: "ri", type: "remote-inbound-rtp", localId: "out", fractionLost: 0.25 }],
    ]));
  const whose = (/** @type {string} */ mid) => ({ trackId: `TR_${mid}`, userId: "bob" });
  reporter.report(stats(0, 0, 1000), whose, 1);
  const report = reporter.report(stats(10_000, 25, 2000), whose, 2);
  assert.equal(report.timestamp, 2);
  assert.deepEqual(report.iceCandidatePair, {
    IP: "10.0.0.1",
    port: 5000,
    networkType: null,
    remoteIP: "10.0.0.2",
    remotePort: 7881,
    protocol: "udp",
    bitrateSend: 80,
    bitrateRecv: 160,
    rtt: 12,
    availableOutgoingBitrate: 300_000,
    availableIncomingBitrate: null,
  });
  const [audio, video] = report.receivers;
  assert.deepEqual([audio.trackId, audio.packetsLostRate, audio.jitter, audio.audioLevel, audio.bitrate], ["TR_0", 0.2, 5, 0.5, 80]);
  assert.equal(video.jitter, 0, "of one user's tracks only one has a value");
  assert.deepEqual([video.frameWidth, video.frameHeight, video.frameRate, video.remoteResource], [640, 480, 15, true]);
  assert.deepEqual([report.senders[0].packetsLostRate, report.senders[0].jitter], [0.25, null]);
});

test("an application gets one engine, whatever it imports, in syntax that bundlers of the last years take", async () => {
  const sdk = new URL("../sdk/", import.meta.url);
  const { imports } = JSON.parse(readFileSync(new URL("importmap.json", sdk), "utf8"));
  const load = (/** @type {string} */ name) => import(new URL(imports[name].replace("/sdk/", ""), sdk).href);
  const engine = await load("@rongcloud/engine");
  for (const name of ["@rongcloud/imlib-next", "@rongcloud/imlib-v2", "@rongcloud/imlib-v4-adapter"]) {
    const { ConversationType } = await load(name);
    assert.equal(ConversationType, engine.ConversationType, name);
  }
  assert.equal(imports["@rongcloud/plugin-call-engine"], undefined, "given up with 5.2.1");

  const files = readdirSync(sdk, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".js"));
  assert.ok(files.length > 20);
  for (const fileName of files) {
    const code = readFileSync(new URL(fileName, sdk), "utf8");
    /** What is newer than the target is rewritten. @param {ts.ScriptTarget} target */
    const written = (target) => ts.transpileModule(code, { fileName, compilerOptions: { target, allowJs: true } }).outputText;
    assert.equal(written(ts.ScriptTarget.ES2022), written(ts.ScriptTarget.ESNext), fileName);
  }
});
