import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import RtVideo from "../sdk/snk-rt-video-pc.js";
import { settle } from "./support.js";

/** @type {Source[]} */
const sources = [];

class Source {
  static CLOSED = 2;
  readyState = 1;
  /** @type {((event: { data: string }) => void) | null} */
  onmessage = null;
  /** @type {(() => void) | null} */
  onerror = null;
  /** @param {URL} url */
  constructor(url) {
    this.url = url;
    sources.push(this);
  }
  close() {
    this.readyState = Source.CLOSED;
  }
  /** @param {Record<string, unknown>} frame */
  push(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}
Object.assign(globalThis, { EventSource: Source });

/** What was asked by HTTP, and the next answer. @type {{ asked: any[], answer: any, status: number }} */
const http = { asked: [], answer: { code: 0, msg: "ok" }, status: 200 };

beforeEach(() => {
  sources.length = 0;
  Object.assign(http, { asked: [], answer: { code: 0, msg: "ok" }, status: 200 });
  mock.method(globalThis, "fetch", async (/** @type {any} */ url, /** @type {any} */ options) => {
    http.asked.push({ url: String(url), ...(options?.body ? JSON.parse(options.body) : {}) });
    return { ok: http.status === 200, status: http.status, json: async () => http.answer };
  });
});

const ADDRESSES = {
  sseServerUrl: "https://proxy/push-client/",
  videoServiceUrl: "https://proxy/rtv",
  stateServiceUrl: "https://proxy/dispatch/",
};
const WHO = { systemCode: "videoReview", account: "zhujiaqi@sinosafe.com.cn" };

/** @param {Record<string, unknown>} [more] */
function agent(more = {}) {
  /** @type {any[]} */
  const log = [];
  const rtVideo = new RtVideo(/** @type {any} */ ({ ...WHO, ...ADDRESSES, ...more }), {
    next: ({ type, data }) => log.push([type, data]),
    error: ({ code }) => log.push(["error", code]),
    complete: () => log.push(["complete"]),
  });
  return { rtVideo, log, source: sources[0] };
}

const state = (/** @type {string} */ state) => ({ type: "STATE_CHANGE", data: { state } });

test("it connects where the options say, with what they say", () => {
  const { source } = agent({ token: "e946" });
  assert.equal(source.url.origin + source.url.pathname, "https://proxy/push-client/");
  const query = Object.fromEntries(source.url.searchParams);
  assert.deepEqual([query.systemCode, query.account, query.token], ["videoReview", "zhujiaqi@sinosafe.com.cn", "e946"]);
  assert.ok(query.device);
});

test("a profile is enough, and neither profile nor all addresses is an error", async () => {
  const profile = { sseServerUrl: "", videoServiceUrl: "", stateServiceUrl: "", profile: "test" };
  agent(profile);
  assert.ok(sources[0].url.pathname.endsWith("/snk/push/"));
  for (const wrong of [{ ...profile, profile: undefined }, { videoServiceUrl: "" }, { systemCode: "" }, { account: "" }]) {
    const { log } = agent(wrong);
    await settle();
    assert.deepEqual(log, [["error", 1201]]);
  }
  assert.equal(sources.length, 1);
});

test("the state is told at each change and can be asked", () => {
  const { rtVideo, log, source } = agent();
  assert.equal(rtVideo.state(), "disconnected");
  for (const each of ["ready", "wait", "wait", "busy", "ready"]) source.push(state(each));
  assert.deepEqual(log.map(([, data]) => data.state), ["ready", "wait", "busy", "ready"]);
  assert.equal(rtVideo.state(), "ready");
});

test("each command goes to its address with who and what", async () => {
  const { rtVideo } = agent();
  await rtVideo.rest();
  await rtVideo.back();
  await rtVideo.answer("s1");
  await rtVideo.refuse("s1");
  await rtVideo.hangUp("s1");
  const both = { sid: "s1", newer: "ben" };
  await rtVideo.askChangePerson(both);
  await rtVideo.cancelChangePerson(both);
  await rtVideo.acceptChangePerson({ sid: "s1" });
  await rtVideo.refuseChangePerson({ sid: "s1" });
  await rtVideo.askAddPerson(both);
  await rtVideo.cancelAddPerson(both);
  await rtVideo.removeAddPerson(both);
  await rtVideo.acceptAddPerson({ sid: "s1" });
  await rtVideo.refuseAddPerson({ sid: "s1" });
  await rtVideo.quitAddPerson({ sid: "s1" });
  const verbs = http.asked.map(({ url, sid, newer }) => [url.replace("https://proxy/", ""), sid ?? "", newer ?? ""].join(" ").trim());
  assert.deepEqual(verbs, [
    "dispatch/rest",
    "dispatch/back",
    "rtv/answer s1",
    "rtv/refuse s1",
    "rtv/hangUp s1",
    "rtv/askChangePerson s1 ben",
    "rtv/cancelChangePerson s1 ben",
    "rtv/acceptChangePerson s1",
    "rtv/refuseChangePerson s1",
    "rtv/askAddPerson s1 ben",
    "rtv/cancelAddPerson s1 ben",
    "rtv/removeAddPerson s1 ben",
    "rtv/acceptAddPerson s1",
    "rtv/refuseAddPerson s1",
    "rtv/quitAddPerson s1",
  ]);
  assert.ok(http.asked.every(({ account }) => account === WHO.account));
  assert.equal(new Set(http.asked.map(({ id }) => id)).size, http.asked.length, "one number each");
});

test("a failure is the result and is told as HTTP_BACK; success only when asked for", async () => {
  const { rtVideo, log } = agent();
  assert.deepEqual(await rtVideo.hangUp("s1"), { code: 0, msg: "ok" });
  assert.deepEqual(log, []);
  http.answer = { code: 300003, msg: "操作失败,坐席忙线" };
  assert.deepEqual(await rtVideo.askAddPerson({ sid: "s1", newer: "ben" }), http.answer);
  assert.deepEqual(log, [["HTTP_BACK", { sid: "s1", msgType: 300003, msg: "操作失败,坐席忙线" }]]);
  http.status = 500;
  assert.equal((await rtVideo.rest()).code, 200001);
  const { rtVideo: other, log: told } = agent({ httpBackOnSuccess: true });
  Object.assign(http, { status: 200, answer: { code: 0, msg: "ok" } });
  await other.rest();
  assert.deepEqual(told, [["HTTP_BACK", { sid: undefined, msgType: 0, msg: "ok" }]]);
});

test("a command that is not answered in time says so", async () => {
  const { rtVideo, log } = agent();
  mock.method(globalThis, "fetch", async () => {
    throw new DOMException("late", "TimeoutError");
  });
  assert.equal((await rtVideo.answer("s1")).code, 200002);
  assert.equal(log[0][1].msgType, 200002);
});

test("events reach the application as they are, several at once included", () => {
  const { log, source } = agent();
  const asked = { type: "EXCHANGE_CALL", data: { sid: "s1", msgType: 20100, msg: "切换坐席请求" } };
  const tape = { type: "VIDEOTAPE", data: { sid: "s1", msgType: 50203, url: "https://host/r.webm" } };
  source.push({ type: "connected" });
  source.push({ type: "frames", frames: [asked, tape] });
  assert.deepEqual(log, [[asked.type, asked.data], [tape.type, tape.data]]);
  assert.equal(RtVideo.Consts.VideoEventType.EXCHANGE_CALL, "EXCHANGE_CALL");
  assert.equal(RtVideo.Consts.VideoEventType.EXE_ERROR, RtVideo.Consts.VideoEventType.EXE_EVENT);
});

test("what comes with an answer is told like what comes by itself", async () => {
  const { rtVideo, log } = agent();
  const resources = { type: "EXCHANGE_CALL", data: { sid: "s1", msgType: 50201 } };
  http.answer = { code: 0, msg: "ok", events: [resources] };
  assert.deepEqual(await rtVideo.acceptChangePerson({ sid: "s1" }), { code: 0, msg: "ok" });
  assert.deepEqual(log, [[resources.type, resources.data]]);
});

test("snapshots are for calls that are on", async () => {
  const { rtVideo, log } = agent();
  assert.equal((await rtVideo.snapshot()).code, 500001);
  assert.equal(log[0][0], "HTTP_BACK");
});

test("a server that refuses is an error, one that is away is waited for", async () => {
  const { rtVideo, log, source } = agent();
  source.push(state("ready"));
  source.onerror?.();
  await settle();
  assert.deepEqual(log.at(-1), ["STATE_CHANGE", { state: "disconnected" }]);
  assert.equal(rtVideo.state(), "disconnected");
  http.status = 401;
  source.readyState = Source.CLOSED;
  source.onerror?.();
  await settle();
  assert.deepEqual(log.at(-1), ["error", 1101]);
});

test("closing completes", () => {
  const { rtVideo, log, source } = agent();
  rtVideo.close();
  assert.deepEqual(log, [["complete"]]);
  assert.equal(source.readyState, Source.CLOSED);
});
