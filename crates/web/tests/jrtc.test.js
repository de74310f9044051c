import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { JRTCCall, JRTCCallState, JRTCClient, JRTCReasonCode, volumeOf } from "../sdk/jrtc.js";
import { settle, sockets, TestSocket } from "./support.js";

beforeEach(() => {
  sockets.length = 0;
  Object.assign(globalThis, { WebSocket: TestSocket });
});

/** @param {string} type @param {Record<string, unknown>} body */
function answer(type, body) {
  const socket = sockets[sockets.length - 1];
  assert.equal(socket.last.type, type);
  socket.push({ type: "reply", id: socket.last.id, ...body });
}

/** Alice, logged in; `log` has what her callbacks heard. */
async function alice() {
  /** @type {any[]} */
  const log = [];
  const note = (/** @type {string} */ name) => (/** @type {any[]} */ ...args) => log.push([name, ...args]);
  const client = new JRTCClient({ onLogin: note("onLogin"), onLogout: note("onLogout") }, { serverUrl: "http://host" });
  const names = [
    "onJoin", "onLeave", "onInviteResult", "onCancelInviteResult", "onAcceptInviteResult", "onRejectInviteResult",
    "onInviteReceived", "onInviteCanceled", "onInviteAccepted", "onInviteRejected", "onParticipantJoin",
    "onParticipantLeft", "onParticipantUpdate", "onKickUserResult", "onCallPropertyChanged", "onMessageSendResult",
    "onMessageReceived", "onDeliveryAbort",
  ];
  const call = new JRTCCall(client, Object.fromEntries(names.map((name) => [name, note(name)])));
  assert.equal(client.login("alice", "TOKEN"), true);
  await settle();
  sockets[0].accept();
  await settle();
  answer("login", { result: true, reasonCode: 0 });
  await settle();
  assert.deepEqual(log, [["onLogin", true, 0]]);
  log.length = 0;
  return { client, call, log, socket: sockets[0] };
}

const bob = { userId: "bob", displayName: "BOB", role: "member", audio: true, video: false, streamId: "bob", netStatus: "NORMAL", volumeStatus: "NONE", extraStreams: [] };
const props = { shareUserId: "", shareStreamId: null, suspended: false, tip: "", recordState: "READY" };
const described = { callId: "c1", serialId: "S1", participants: [bob], props };

async function joined() {
  const house = await alice();
  assert.equal(house.call.join("S1"), true);
  answer("join", { result: true, reasonCode: 0, call: described });
  await settle();
  assert.deepEqual(house.log, [["onJoin", true, 0]]);
  house.log.length = 0;
  return house;
}

test("joining tells the outcome and gives the members", async () => {
  const { call } = await joined();
  assert.equal(call.state, JRTCCallState.JOINED);
  assert.deepEqual([call.getCallId(), call.getSerialId()], ["c1", "S1"]);
  assert.deepEqual(call.getParticipants().map(({ userId }) => userId), ["bob"]);
  assert.equal(call.join("S2"), false, "one call at a time, and no callback");
});

test("a join that fails leaves one idle", async () => {
  const { call, log } = await alice();
  call.join("S1");
  answer("join", { result: false, reasonCode: 1206, reason: "busy" });
  await settle();
  assert.deepEqual(log, [["onJoin", false, 1206]]);
  assert.equal(call.state, JRTCCallState.IDLE);
});

test("operations have ids that rise, and -1 begins nothing", async () => {
  const { call } = await alice();
  assert.deepEqual([call.invite("bob"), call.cancelInvite(), call.sendMessage("t", "x")], [-1, -1, -1]);
  sockets.length = 0;
  const { call: other, log, socket } = await joined();
  const ids = [other.invite("carol", { extraInfo: "x" }), other.cancelInvite(), other.sendMessage("text", "hi", "bob")];
  assert.ok(ids[0] >= 0 && ids[1] > ids[0] && ids[2] > ids[1], String(ids));
  for (const { id, type } of socket.sent.slice(-3)) {
    socket.push({ type: "reply", id, result: type !== "cancelInvite", reasonCode: 0, reason: "" });
  }
  await settle();
  assert.deepEqual(log, [
    ["onInviteResult", ids[0], true, ""],
    ["onCancelInviteResult", ids[1], false, ""],
    ["onMessageSendResult", ids[2], true, 0],
  ]);
});

test("too long a message fails here, in the same words", async () => {
  const { call, log } = await joined();
  const id = call.sendMessage("text", "长".repeat(1366));
  await settle();
  assert.deepEqual(log, [["onMessageSendResult", id, false, JRTCReasonCode.TOO_LARGE]]);
});

test("one kick at a time, answered in order", async () => {
  const { call, log } = await joined();
  assert.equal(call.kickUser("bob"), true);
  assert.equal(call.kickUser("carol"), false);
  answer("kickUser", { result: true });
  await settle();
  assert.deepEqual(log, [["onKickUserResult", true]]);
  assert.equal(call.kickUser("carol"), true);
});

test("the callbacks get the document's arguments", async () => {
  const { call, log, socket } = await joined();
  const param = { callerUserId: "bob" };
  const changeParam = { audio: true };
  const carol = { ...bob, userId: "carol" };
  const frames = [
    { type: "onInviteCanceled", param },
    { type: "onInviteAccepted", param },
    { type: "onInviteRejected", param },
    { type: "onParticipantJoin", participant: carol },
    { type: "onParticipantUpdate", participant: carol, changeParam },
    { type: "onParticipantLeft", participant: carol, reason: 2007 },
    { type: "onCallPropertyChanged", propChangeParam: { screenShare: true }, props: { ...props, shareUserId: "bob" } },
    { type: "onMessageReceived", content: "hi", contentType: "text", messageType: 2, fromUserId: "bob" },
    { type: "onDeliveryAbort", isShutDown: true, deliveryUserId: "recorder:r1", reason: "disk full" },
    { type: "onLeave", serialId: "S1", reasonCode: 2027 },
  ];
  frames.forEach((frame, seq) => socket.push({ seq: seq + 1, ...frame }));
  assert.deepEqual(log, [
    ["onInviteCanceled", param],
    ["onInviteAccepted", param],
    ["onInviteRejected", param],
    ["onParticipantJoin", carol],
    ["onParticipantUpdate", carol, changeParam],
    ["onParticipantLeft", carol, 2007],
    ["onCallPropertyChanged", { screenShare: true }],
    ["onMessageReceived", "hi", "text", 2, "bob"],
    ["onDeliveryAbort", true, "recorder:r1", "disk full"],
    ["onLeave", "S1", 2027],
  ]);
  assert.equal(call.state, JRTCCallState.IDLE);
});

test("leaving is told once, by the server's word", async () => {
  const { call, log, socket } = await joined();
  assert.equal(call.leave(), true);
  assert.equal(call.leave(), false);
  answer("leave", { result: true });
  socket.push({ type: "onLeave", seq: 1, serialId: "S1", reasonCode: 0 });
  socket.push({ type: "onLeave", seq: 2, serialId: "S1", reasonCode: 0 });
  assert.deepEqual(log, [["onLeave", "S1", 0]]);
});

test("an invitation rings and is answered; absent callbacks are skipped", async () => {
  const { call, client, log, socket } = await alice();
  new JRTCCall(client); // hears everything, says nothing
  socket.push({ type: "onInviteReceived", seq: 1, callId: "c1", param: { callerUserId: "bob" } });
  assert.equal(socket.sent.filter(({ type }) => type === "ringing").length, 2);
  const id = call.acceptInvite(true);
  answer("acceptInvite", { result: true, reason: "", reasonCode: 0, call: described });
  await settle();
  assert.deepEqual(log, [
    ["onInviteReceived", { callerUserId: "bob" }],
    ["onAcceptInviteResult", id, true, ""],
    ["onJoin", true, 0],
  ]);
  const other = call.rejectInvite();
  answer("rejectInvite", { result: false, reason: "no such invitation", reasonCode: 1203 });
  await settle();
  assert.deepEqual(log.at(-1), ["onRejectInviteResult", other, false, "no such invitation"]);
});

test("who is turned out has left and is logged out", async () => {
  const { call, client, log, socket } = await joined();
  socket.push({ type: "onLogout", seq: 1, reasonCode: 1106 });
  assert.deepEqual(log, [["onLeave", "S1", 1106], ["onLogout", 1106]]);
  assert.deepEqual([call.state, client.isOnline], [JRTCCallState.IDLE, false]);
});

test("volumes fall into the document's buckets", () => {
  const names = [0, 30, 31, 41, 51, 71, 81].map(volumeOf);
  assert.deepEqual(names, ["NONE", "NONE", "VERY_LOW", "LOW", "MID", "HIGH", "VERY_HIGH"]);
});
