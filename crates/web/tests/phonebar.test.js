import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { settle, sockets, TestSocket } from "./support.js";

/** What stands in for the page. @type {Map<string, string>} */
const storage = new Map();
/** Synchronous requests: what was asked, and what the server answers. @type {{ asked: any[], answer: string }} */
const http = { asked: [], answer: "{}" };

class Request {
  responseText = "";
  /** @param {string} method @param {string} url @param {boolean} later */
  open(method, url, later) {
    http.asked.push({ method, url, later });
  }
  /** @param {string} name @param {string} value */
  setRequestHeader(name, value) {
    http.asked[http.asked.length - 1][name] = value;
  }
  /** @param {string} body */
  send(body) {
    http.asked[http.asked.length - 1].body = JSON.parse(body);
    this.responseText = http.answer;
  }
}

Object.assign(globalThis, {
  location: { origin: "http://host", href: "http://host/" },
  localStorage: {
    getItem: (/** @type {string} */ key) => storage.get(key) ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ value) => storage.set(key, value),
  },
  HTMLAudioElement: class {},
  document: { getElementById: () => null, createElement: () => ({}), body: { append() {} } },
  XMLHttpRequest: Request,
  navigator: {},
});
const { default: phonebar } = await import("../sdk/phonebar.js");

const ACCOUNT = { un: "1001", pwd: "1001", switchnumber: "02566699734", gid: 0 };

beforeEach(() => {
  sockets.length = 0;
  storage.clear();
  http.asked.length = 0;
  Object.assign(globalThis, { WebSocket: TestSocket });
});
afterEach(() => phonebar.logout());

/** @param {string} type @param {Record<string, unknown>} body */
function answer(type, body) {
  const socket = sockets[sockets.length - 1];
  assert.equal(socket.last.type, type);
  socket.push({ type: "reply", id: socket.last.id, ...body });
}

/** A registered seat; `log` has what its callbacks heard. */
async function seat() {
  /** @type {any[]} */
  const log = [];
  const note = (/** @type {string} */ name) => (/** @type {any[]} */ ...args) => log.push([name, ...args]);
  const names = ["register", "callEvent", "kickedOffLine", "statusChanged", "repCallStatus"];
  assert.equal(phonebar.init(ACCOUNT, Object.fromEntries(names.map((name) => [name, note(name)]))), true);
  await settle();
  const socket = sockets[sockets.length - 1];
  socket.accept();
  await settle();
  answer("login", { code: 200, info: "", data: "" });
  await settle();
  return { log, socket };
}

test("an account is fetched and stored for the page", async () => {
  const got = new Promise((resolve) => phonebar.getUser("1001", "1001", "025", (...args) => resolve(args)));
  await settle();
  sockets[0].accept();
  await settle();
  const inGroups = [{ id: "2033", eid: "025", name: "售前咨询" }];
  answer("getUser", { code: 200, data: { inGroups, userData: { eid: "025", number: "1001", extensions: ["1002"] } } });
  const [error, data] = /** @type {any[]} */ (await got);
  assert.equal(error, null);
  assert.deepEqual(data.inGroups, inGroups);
  assert.equal(JSON.parse(storage.get("userData") ?? "").eid, "025");
  assert.equal(phonebar.call("1002"), 3);
  assert.equal(phonebar.call("10010"), 2);
});

test("a wrong account gives the server's code, a missing part none of the server's time", async () => {
  const got = new Promise((resolve) => phonebar.getUser("1001", "wrong", "025", resolve));
  await settle();
  sockets[0].accept();
  await settle();
  answer("getUser", { code: 50003, info: "分机号码或密码错误" });
  assert.deepEqual(await got, { code: 50003, info: "分机号码或密码错误" });
  const missing = await new Promise((resolve) => phonebar.getUser("", "x", "025", resolve));
  assert.equal(/** @type {any} */ (missing).code, 50001);
  assert.equal(sockets.length, 1);
});

test("init says at once whether a registration began", async () => {
  for (const missing of ["un", "pwd", "switchnumber", "gid"]) {
    assert.equal(phonebar.init(/** @type {any} */ ({ ...ACCOUNT, [missing]: undefined }), {}), false);
  }
  assert.equal(sockets.length, 0);
  const { log } = await seat();
  assert.deepEqual(log, [["register", { code: 200, info: "", data: "" }]]);
});

test("a seat is online when the server says so, and its state follows", async () => {
  const { log, socket } = await seat();
  assert.equal(phonebar.checkLogin(), 0);
  socket.push({ type: "seat", seq: 1, state: 1, status: 1 });
  assert.deepEqual([phonebar.checkLogin(), phonebar.checkSeatState()], [1, 1]);
  socket.push({ type: "seat", seq: 2, state: 3 });
  assert.equal(phonebar.checkSeatState(), 3);
  assert.deepEqual(log.slice(1), [["statusChanged", { status: 1 }]]);
  phonebar.changeStaus(2);
  assert.equal(socket.last.status, 2);
});

test("a call that cannot be made is told in the response", async () => {
  const { log, socket } = await seat();
  assert.equal(phonebar.call("18300000136"), 2);
  assert.deepEqual([socket.last.number, socket.last.encrypted], ["18300000136", false]);
  answer("call", { r: 508, info: "非工作时间" });
  await settle();
  assert.deepEqual(log.at(-1), ["callEvent", "calloutResponse", { a: 508, n: "18300000136", r: 508, info: "非工作时间" }]);
});

test("an encrypted number is read by the server while the caller waits", async () => {
  storage.set("userData", JSON.stringify({ token: "TOKEN" }));
  const { socket } = await seat();
  http.answer = JSON.stringify({ line: 2 });
  assert.equal(phonebar.call("NpW6W066Z4Or6rG930XrmA", "encrypt"), 2);
  const [asked] = http.asked;
  assert.deepEqual([asked.url, asked.later, asked.authorization, asked.body.number], ["http://host/v1/calls/emic/dial", false, "Bearer TOKEN", "NpW6W066Z4Or6rG930XrmA"]);
  assert.deepEqual([socket.last.type, socket.last.encrypted], ["call", true]);
  const before = socket.sent.length;
  http.answer = JSON.stringify({ line: "hello" });
  assert.equal(phonebar.call("opwmRvGhOcGMXRZSp_moOQ", "encrypt"), "hello");
  assert.equal(socket.sent.length, before, "no call was placed");
});

test("tones go one at a time", async () => {
  const { socket } = await seat();
  const before = socket.sent.length;
  phonebar.sendDTMF("110#");
  phonebar.sendDTMF("x");
  assert.equal(socket.sent.length, before);
  for (const tone of "110#") phonebar.sendDTMF(tone);
  assert.deepEqual(socket.sent.slice(before).map(({ tone }) => tone), ["1", "1", "0", "#"]);
});

test("a transfer ends in one of the document's two words", async () => {
  const { socket } = await seat();
  /** @type {any[]} */
  const log = [];
  phonebar.transferPBXCall(2069, 1023, "c1", (result, data) => log.push(result.type, data));
  assert.deepEqual([socket.last.gid, socket.last.transNumber], [2069, 1023]);
  answer("transferPBXCall", { result: { type: "transferCallFaield", data: { code: 503 } } });
  await settle();
  phonebar.transferPBXCall("2069", "1023", "c1", (result) => log.push(result.type));
  answer("transferPBXCall", { code: 200 });
  await settle();
  socket.push({ type: "transfer", seq: 1, ccNumber: "c1", result: { type: "transferCallSuccess", data: {} } });
  assert.deepEqual(log, ["transferCallFaield", { code: 503 }, "transferCallSuccess"]);
});

test("supervision answers 0 or 1, and 1 without a microphone", async () => {
  const { socket } = await seat();
  const results = /** @type {number[]} */ ([]);
  const done = phonebar.joinFromMonitor("c1", (result) => results.push(result));
  answer("joinFromMonitor", { result: 1 });
  await done;
  const other = phonebar.terminateCall("c1", (result) => results.push(result));
  answer("terminateCall", { result: 0 });
  await other;
  await phonebar.startCallMonitor("c1", (result) => results.push(result));
  assert.deepEqual(results, [1, 0, 1]);
  socket.push({ type: "monitor", seq: 1, status: 1, ccNumber: "c1" });
  assert.deepEqual(phonebar.checkMonitorState(), { status: 1, ccNumber: "c1" });
});

test("lists need an account first", async () => {
  const { socket } = await seat();
  const param = { un: "1001", pwd: "1001", eid: "025" };
  assert.deepEqual(await phonebar.webApiHandler("getGroups", param), { status: 50001 });
  storage.set("userData", "{}");
  const groups = phonebar.webApiHandler("getGroups", param);
  answer("getGroups", { status: 200, returnData: [] });
  assert.equal((await groups).status, 200);
  const members = phonebar.webApiHandler("searchEpMembers", { ...param, searchGid: 2069, length: 10 });
  assert.deepEqual([socket.last.searchGid, socket.last.length], [2069, 10]);
  answer("searchEpMembers", { status: 200, returnData: { recordsTotal: 0, data: [] } });
  assert.equal((await members).returnData.recordsTotal, 0);
});

test("who is turned out is offline", async () => {
  const { log, socket } = await seat();
  socket.push({ type: "seat", seq: 1, state: 1, status: 1 });
  socket.push({ type: "kickedOffLine", seq: 2, data: { r: 895, info: "其他用户登录您的账号" } });
  assert.deepEqual([phonebar.checkLogin(), phonebar.checkSeatState()], [0, 0]);
  assert.deepEqual(log.at(-1), ["kickedOffLine", { r: 895, info: "其他用户登录您的账号" }]);
});

test("calls of the group are told to who supervises it", async () => {
  const { log, socket } = await seat();
  const data = { caller: "1002", ccNumber: "c1", callTime: 5, endTime: "" };
  socket.push({ type: "repCallStatus", seq: 1, data });
  assert.deepEqual(log.at(-1), ["repCallStatus", data]);
});
