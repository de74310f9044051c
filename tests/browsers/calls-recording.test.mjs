// Recordings of calls, as browsers ask for them and are told of them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, caller, classic, logged, receives, run, startHouse, userToken } from "./calls.mjs";
import { gone, press, says, sees, shot, startDesk } from "./desk.mjs";
import { until } from "./server.mjs";

const JRTC = "recorded-meetings";
const SNK = "recorded-reviews";
const AGENT = "zhujiaqi@sinosafe.com.cn";
let house;

before(async () => {
  house = await startHouse();
  await house.admin("PUT", `/v1/tenants/${JRTC}`, { openRegistration: true });
  await house.admin("PUT", `/v1/tenants/${SNK}`, { openRegistration: true, recordPolicy: "always" });
  await house.admin("PUT", `/v1/tenants/${SNK}/groups/review`, { name: "Review", kind: "skill", members: [] });
  await house.admin("PUT", `/v1/tenants/${SNK}/users/${AGENT}`, { name: "Zhu", skillGroups: ["review"] });
});
after(() => house?.stop());

/** The recording at an address that somebody was told: its state and files, by a token that may. */
async function recording(address) {
  const path = address.match(/^\/v1\/recordings\/[^/]+/)[0];
  return house.server.api("GET", path);
}

test("members start a recording, all know that it runs, and it ends with the call's files", async () => {
  const member = async (user) => {
    const page = await house.open();
    await page.evaluate(() => (window.log = []));
    await run(page, `
import { JRTCClient, JRTCCall } from "jrtc";
const client = new JRTCClient({ onLogin: () => window.call.join("S9") });
window.call = new JRTCCall(client, {
  onJoin: (result) => window.log.push("onJoin " + result),
  onCallPropertyChanged: (changed) => window.log.push("changed " + Object.keys(changed).filter((name) => changed[name])),
  onDeliveryAbort: (isShutDown) => window.log.push("onDeliveryAbort " + isShutDown),
});
window.call.enableUploadAudioStream(true);
client.login("${user}", "${await userToken(house, JRTC, user)}");
`);
    await logged(page, "onJoin true");
    return page;
  };
  const [alice, bob] = [await member("alice"), await member("bob")];
  await Promise.all([alice, bob].map((page) => receives(page, { video: true })));
  const state = (page) => page.evaluate(() => window.call.getRemoteRecordState());
  assert.deepEqual([await state(alice), await state(bob)], ["READY", "READY"]);
  assert.equal(await alice.evaluate(() => window.call.enableRemoteRecord(true, { mode: "each" })), true);
  for (const page of [alice, bob]) {
    await logged(page, "changed recordState");
    await until(async () => (await state(page)) === "RUNNING", "the recording to run");
  }
  const room = await alice.evaluate(() => window.call.room.name);
  const found = async () => (await house.server.api("GET", `/v1/recordings?room=${room}`)).recordings[0];
  await until(async () => (await found())?.tracks.filter(({ packets }) => packets > 50).length === 4, "four tracks on disk", 45);
  assert.equal(await alice.evaluate(() => window.call.enableRemoteRecord(false)), true);
  await until(async () => (await state(bob)) === "READY", "the end of the recording", 45);
  const done = await until(async () => (await found()).state === "ready" && found(), "the files", 45);
  assert.deepEqual([...done.participants].sort(), ["alice", "bob"]);
  assert.equal(done.files.length, 4);
  await receives(bob, { video: true });
  assert.ok(!(await bob.evaluate(() => window.log)).some((line) => line.startsWith("onDeliveryAbort")));
  await Promise.all([alice.close(), bob.close()]);
});

test("every call of an agent is recorded, and the agent is told the address after it", async () => {
  const agent = await house.open();
  await agent.evaluate(() => (window.log = []));
  await run(agent, `import "snk-rt-video-pc";`);
  await classic(agent, `
var rtVideo = new RtVideo({ systemCode: '${SNK}', profile: 'test', account: '${AGENT}', token: '${await userToken(house, SNK, AGENT)}' }, {
  next: function (event) {
    if (event.type === RtVideo.Consts.VideoEventType.INCOMING_CALL) window.sid = event.data.sid;
    if (event.type === RtVideo.Consts.VideoEventType.VIDEOTAPE) window.tape = event.data;
    window.log.push(event.type + " " + (event.data.msgType || event.data.state));
  },
});
`);
  await logged(agent, "STATE_CHANGE ready");
  const guest = await caller(house, SNK, "customer");
  await guest.evaluate(async () => {
    window.call = (await window.calls.createCall({ type: "queue", group: "review" })).id;
  });
  await logged(agent, "INCOMING_CALL 50200");
  await agent.evaluate(() => window.rtVideo.answer(window.sid));
  await Promise.all([agent, guest].map((page) => receives(page, { video: true })));
  await ask(guest, "hangUp");
  await logged(agent, "VIDEOTAPE 50203", 60);
  const { sid, url, duration } = await agent.evaluate(() => window.tape);
  assert.equal(sid, await agent.evaluate(() => window.sid));
  assert.ok(duration > 0, String(duration));
  const { state, participants } = await recording(url);
  assert.equal(state, "ready");
  assert.deepEqual([...participants].sort(), [AGENT, "customer"].sort());
  await Promise.all([agent.close(), guest.close()]);
});

test("Desk records on demand, shows that it does, and leads to what was recorded", async () => {
  const desk = await startDesk();
  try {
    const alice = await desk.as("alice");
    const customer = await desk.as("customer1");
    await press(customer, "Video call to service");
    await says(alice, /customer1 is calling/);
    await press(alice, "Answer with video");
    await Promise.all([sees(customer, "alice"), sees(alice, "customer1")]);
    await press(alice, "Record");
    for (const who of [alice, customer]) await says(who, /Recording/);
    await shot(alice, "recording");
    await sees(customer, "alice");
    await press(alice, "Stop recording");
    await says(alice, /The recording is ready/, 60);
    await shot(alice, "recorded");
    const [console_] = await Promise.all([
      alice.page.context().waitForEvent("page"),
      alice.page.getByRole("link", { name: "Open it" }).click(),
    ]);
    await until(async () => /call-/.test(await console_.evaluate(() => document.getElementById("recordings")?.innerText ?? "")), "the recording on the Console");
    await press(customer, "Hang up");
    await gone(alice, customer);
  } finally {
    await desk.stop();
  }
});
