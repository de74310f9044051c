// snk-rt-video-pc: the page of its document for each agent, and a customer with the native client.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { classic, logged, receives, run, startHouse, userToken } from "./calls.mjs";
import { until } from "./server.mjs";

const TENANT = "videoReview";
const ANNA = "zhujiaqi@sinosafe.com.cn";
const BEN = "agent2@sinosafe.com.cn";
let house;

before(async () => {
  house = await startHouse();
  await house.admin("PUT", `/v1/tenants/${TENANT}`, { openRegistration: true, rejectPolicy: "overflow" });
  await house.admin("PUT", `/v1/tenants/${TENANT}/groups/review`, { name: "Review", kind: "skill", members: [] });
  for (const user of [ANNA, BEN]) {
    await house.admin("PUT", `/v1/tenants/${TENANT}/users/${user}`, { name: user, skillGroups: ["review"] });
  }
});
after(() => house?.stop());

/** The document's import; what it names is the global of the other way to load it, too. */
const IMPORT = `
import snkRtVideoPc from 'https://cdn.skypack.dev/snk-rt-video-pc';
window.isOneAndTheSame = snkRtVideoPc === RtVideo;
`;

/** The document's sample but for the account, the addresses and the token; each event also goes to a log. */
const sample = ({ account, options }) => `
function onLoad() {
      var rtVideo = new RtVideo({ systemCode: '${TENANT}', account: '${account}',
        ${options}
      }, {
        next: function (event) { // 处理业务
          var Consts = RtVideo.Consts;
          if (event.type === Consts.VideoEventType.INCOMING_CALL) { // 用户来电会话ID
            sid = event.data.sid;
          } else if (event.type === Consts.VideoEventType.STATE_CHANGE) {  // 状态变化
            document.querySelector('#state').innerHTML = event.data.state;
          } else if (event.type === Consts.VideoEventType.EXCHANGE_CALL) { // 切换坐席请求
            document.querySelector('#state1').innerHTML = '切换坐席请求';
            sid = event.data.sid;
          }
          note(event);
        },
        error: function (e) { // 处理错误消息
          window.log.push("error " + e.code);
        },
        complete: function () {
          window.log.push("complete");
        }
      });
      window.rtVideo = rtVideo;
    }
`;

/** An agent's page. `options`: where the server is and who we are, as the sample's first argument has it. */
async function agent(account, options) {
  const page = await house.open();
  await page.evaluate(() => {
    document.body.innerHTML = '<div id="state"></div><div id="state1"></div>';
    window.log = [];
    window.shots = [];
    window.note = ({ type, data }) => {
      if (data.base64) window.shots.push(data);
      if (type === "RECOVERY_CALL") window.recovered = data.sid;
      if (type === "ADD_CALL") window.added = data.sid;
      window.log.push(`${type} ${data.msgType ?? data.state ?? data.code ?? data.type}`);
    };
  });
  await run(page, IMPORT);
  assert.equal(await page.evaluate(() => window.isOneAndTheSame), true);
  const token = await userToken(house, TENANT, account);
  await classic(page, sample({ account, options: options ?? `profile: 'test', token: '${token}',` }));
  await page.evaluate(() => onLoad());
  return page;
}

/** An agent who is ready. */
async function ready(account) {
  const page = await agent(account);
  await logged(page, "STATE_CHANGE ready");
  return page;
}

/** A customer who calls the agents' group. */
async function customer() {
  const page = await house.open();
  await page.evaluate(() => (window.log = []));
  await page.evaluate(async ([url, token]) => {
    const { Calls } = await import(`${url}/sdk/calls.js`);
    const calls = new Calls({ url, token });
    calls.on("event", ({ type }) => window.log.push(type));
    await calls.login();
    const call = await calls.createCall({ type: "queue", group: "review" });
    Object.assign(window, { calls, call });
  }, [house.server.url, await userToken(house, TENANT, "customer")]);
  return page;
}

const does = (page, name, ...args) => page.evaluate(([name, args]) => window.rtVideo[name](...args), [name, args]);
const inState = async (page, state) => {
  await until(async () => (await does(page, "state")) === state, `the state ${state}`);
  assert.equal(await page.evaluate(() => document.querySelector("#state").innerHTML), state);
};
const code = async (page, name, ...args) => (await does(page, name, ...args)).code;
const close = (...pages) => Promise.all(pages.map((page) => page.close()));
/** An agent who talks with a customer, and the number of their call. */
async function talking() {
  const anna = await ready(ANNA);
  const guest = await customer();
  await logged(anna, "INCOMING_CALL 50200");
  const sid = await anna.evaluate(() => window.sid);
  assert.equal(await code(anna, "answer", sid), 0);
  await receives(guest, { video: true });
  return { anna, guest, sid };
}
/** One agent asks another to take the call over, who hears of it; and the same to come in as a third. */
const asksToChange = (asking, asked, sid, newer) => asks(asking, asked, "askChangePerson", { sid, newer }, "EXCHANGE_CALL 20100");
const asksToAdd = (asking, asked, sid, newer) => asks(asking, asked, "askAddPerson", { sid, newer }, "ADD_CALL 20200");
async function asks(asking, asked, verb, whom, news) {
  assert.equal(await code(asking, verb, whom), 0);
  await logged(asked, news);
}
/** Who was asked to come in does. */
async function comesIn(asked, asking, sid) {
  assert.equal(await code(asked, "acceptAddPerson", { sid }), 0);
  await logged(asking, "ADD_CALL 20201");
}
/** Forgets what was logged, so that what comes next is found. */
const forget = (...pages) => Promise.all(pages.map((page) => page.evaluate(() => void (window.log.length = 0))));

test("an agent rests, answers a customer, takes pictures of both sides and hangs up", async () => {
  const anna = await ready(ANNA);
  assert.equal(await code(anna, "back"), 500001, "back is for those who rest");
  assert.equal(await code(anna, "rest"), 0);
  await inState(anna, "leave");
  assert.equal(await code(anna, "rest"), 500001);
  const guest = await customer();
  assert.equal(await anna.evaluate(() => typeof sid), "undefined", "who rests is not rung");
  assert.equal(await code(anna, "back"), 0);
  await logged(anna, "INCOMING_CALL 50200");
  await inState(anna, "wait");
  const sid = await anna.evaluate(() => window.sid);
  assert.equal(await code(anna, "rest"), 500001, "nor while it rings");
  assert.deepEqual(await does(anna, "hangUp", sid), { code: 500001, msg: "操作失败" });
  assert.equal(await code(anna, "snapshot", "player"), 500001, "there is no picture yet");
  assert.equal(await code(anna, "answer", sid), 0);
  await inState(anna, "busy");
  await Promise.all([anna, guest].map((page) => receives(page, { video: true })));
  assert.equal(await code(anna, "refuse", sid), 500001);

  for (const type of ["player", "pusher"]) {
    assert.equal(await code(anna, "snapshot", type), 0);
    const shot = await anna.evaluate(async () => {
      const { type, base64, width, height } = window.shots.at(-1);
      const picture = new Image();
      picture.src = base64;
      await picture.decode();
      return { type, base64: base64.slice(0, 23), sizes: [width, height], decoded: [picture.naturalWidth, picture.naturalHeight] };
    });
    assert.equal(shot.type, type);
    assert.equal(shot.base64, "data:image/jpeg;base64,");
    assert.deepEqual(shot.sizes, shot.decoded);
    assert.ok(shot.sizes[0] > 100, String(shot.sizes));
  }
  // A customer's photo, by its address.
  const photo = `${house.server.url}/pages/icon.svg`;
  await guest.evaluate((url) => window.calls.ask("snapshot", { call: "current", source: "user", url }), photo);
  await logged(anna, "SNAPSHOT 50204");

  assert.equal(await code(anna, "hangUp", sid), 0);
  await logged(guest, "callEnded");
  await inState(anna, "ready");
  assert.equal(await code(anna, "hangUp", sid), 100025);
  await logged(anna, "HTTP_BACK 100025");
  await close(anna, guest);
});

test("a call is switched to a colleague, who adds the first agent as third party", async () => {
  const { anna, guest, sid } = await talking();
  const ben = await ready(BEN);
  const offers = await guest.evaluate(() => window.offers);

  assert.equal(await code(anna, "askChangePerson", { sid, newer: ANNA }), 400002);
  await logged(anna, "HTTP_BACK 400002");
  await asksToChange(anna, ben, sid, BEN);
  assert.equal(await ben.evaluate(() => document.querySelector("#state1").innerHTML), "切换坐席请求");
  assert.equal(await code(anna, "askAddPerson", { sid, newer: BEN }), 400003);
  assert.equal(await code(anna, "cancelChangePerson", { sid, newer: BEN }), 0);
  await logged(ben, "EXCHANGE_CALL 20103");
  assert.equal(await code(ben, "acceptChangePerson", { sid }), 400006);
  await inState(ben, "ready");
  await forget(anna, ben);
  await asksToChange(anna, ben, sid, BEN);
  assert.equal(await code(ben, "refuseChangePerson", { sid }), 0);
  await logged(anna, "EXCHANGE_CALL 20102");
  await forget(anna, ben);
  await asksToChange(anna, ben, sid, BEN);
  assert.equal(await code(ben, "acceptChangePerson", { sid }), 0);
  await logged(ben, "EXCHANGE_CALL 50201");
  await logged(anna, "EXCHANGE_CALL 20101");
  await inState(anna, "ready");
  await inState(ben, "busy");
  await Promise.all([ben, guest].map((page) => receives(page, { video: true })));

  // Asked, and taken back; asked, and refused; asked, and accepted.
  await asksToAdd(ben, anna, sid, ANNA);
  assert.equal(await anna.evaluate(() => window.added), sid);
  assert.equal(await code(ben, "cancelAddPerson", { sid, newer: ANNA }), 0);
  await logged(anna, "ADD_CALL 20204");
  await inState(anna, "ready");
  await forget(anna, ben);
  await asksToAdd(ben, anna, sid, ANNA);
  assert.equal(await code(anna, "refuseAddPerson", { sid }), 0);
  await logged(ben, "ADD_CALL 20202");
  await inState(anna, "ready");
  await forget(anna, ben);
  await asksToAdd(ben, anna, sid, ANNA);
  await comesIn(anna, ben, sid);
  await logged(anna, "ADD_CALL 50202");
  const others = (page) => page.evaluate(() => [...window.rtVideo.room.participants.keys()].sort());
  await until(async () => (await others(anna)).length === 2 && (await others(ben)).length === 2, "three people");
  await Promise.all([anna, ben, guest].map((page) => receives(page, { video: true })));
  assert.equal(await code(anna, "quitAddPerson", { sid }), 0);
  await logged(ben, "ADD_CALL 20203");
  await inState(anna, "ready");
  await forget(anna, ben);

  // Once more: this time the main agent takes the third one out.
  await asksToAdd(ben, anna, sid, ANNA);
  await comesIn(anna, ben, sid);
  assert.equal(await code(anna, "removeAddPerson", { sid, newer: BEN }), 500001, "only the main agent may");
  assert.equal(await code(ben, "removeAddPerson", { sid, newer: ANNA }), 0);
  await logged(anna, "ADD_CALL 20203");
  await inState(anna, "ready");
  await receives(guest, { video: true });
  // The new agent's pictures took the place of the old one's: the customer's side was never asked again.
  assert.equal(await guest.evaluate(() => window.offers), offers, "without renegotiation");

  await guest.evaluate(() => window.calls.hangUp(window.call.id));
  await logged(ben, "INCOMING_CALL_HANGUP 30017");
  await inState(ben, "ready");
  await close(anna, ben, guest);
});

test("a call that an agent refuses rings at the next one", async () => {
  const anna = await ready(ANNA);
  const guest = await customer();
  await logged(anna, "INCOMING_CALL 50200");
  const ben = await ready(BEN);
  assert.equal(await code(anna, "refuse", await anna.evaluate(() => window.sid)), 0);
  await logged(ben, "INCOMING_CALL 50200");
  await inState(anna, "ready");
  assert.equal(await code(ben, "answer", await ben.evaluate(() => window.sid)), 0);
  await receives(guest, { video: true });
  await guest.evaluate(() => window.calls.hangUp(window.call.id));
  await logged(ben, "INCOMING_CALL_HANGUP 30017");
  await close(anna, ben, guest);
});

test("a page that reconnects recovers its call", async () => {
  const { anna, guest, sid } = await talking();
  await does(anna, "reconnect");
  await logged(anna, "RECOVERY_CALL 50200");
  assert.equal(await anna.evaluate(() => window.recovered), sid);
  await inState(anna, "busy");
  await Promise.all([anna, guest].map((page) => receives(page, { video: true })));
  assert.equal(await code(anna, "hangUp", sid), 0);
  await logged(guest, "callEnded");
  await close(anna, guest);
});

test("a device that fails is told of, and the call goes on without it", async () => {
  const anna = await ready(ANNA);
  const guest = await customer();
  await logged(anna, "INCOMING_CALL 50200");
  await anna.evaluate(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("denied", "NotAllowedError"));
  });
  assert.equal(await code(anna, "answer", await anna.evaluate(() => window.sid)), 0);
  await logged(anna, "EXE_EVENT 1503");
  await receives(anna, { video: true });
  assert.equal(await anna.evaluate(() => RtVideo.Consts.VideoEventType.EXE_ERROR), "EXE_EVENT");
  await guest.evaluate(() => window.calls.hangUp(window.call.id));
  await logged(anna, "INCOMING_CALL_HANGUP 30017");
  await close(anna, guest);
});

test("three addresses and a token do in place of a profile; nobody comes in without", async () => {
  const at = (path) => `${house.server.url}/snk/${path}/`;
  const urls = `sseServerUrl: '${at("push")}', videoServiceUrl: '${at("rtv")}', stateServiceUrl: '${at("dispatch")}',`;
  const token = await userToken(house, TENANT, ANNA);
  const anna = await agent(ANNA, `${urls} token: '${token}',`);
  await logged(anna, "STATE_CHANGE ready");
  assert.equal(await code(anna, "rest"), 0);
  await inState(anna, "leave");
  const stranger = await agent(ANNA, urls);
  await logged(stranger, "error 1101");
  assert.equal(await does(stranger, "state"), "disconnected");
  const lost = await agent(ANNA, `token: '${token}',`);
  await logged(lost, "error 1201");
  await close(anna, stranger, lost);
});
