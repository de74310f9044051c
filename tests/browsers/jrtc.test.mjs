// JRTC: three people in a call named by a serial number.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { logged, receives, run, startHouse, userToken } from "./calls.mjs";
import { until } from "./server.mjs";
import { hums } from "./tones.mjs";

const TENANT = "jrtc-test";
let house;

before(async () => {
  house = await startHouse();
  await house.admin("PUT", `/v1/tenants/${TENANT}`, { openRegistration: true });
});
after(() => house?.stop());

/** Somebody who is logged in, with the document's interface as callbacks; with `hz` the microphone hums. */
async function person(user, { hz } = {}) {
  const page = await house.open();
  if (hz) await hums(page, hz);
  await page.evaluate(() => (window.log = []));
  await run(page, `
import { JRTCClient, JRTCCall, JRTCCallCallback, JRTCRoomParticipant, JRTCVideoSize } from "jrtc";
const log = (...words) => window.log.push(words.join(" "));
const callback: JRTCCallCallback = {
  onJoin: (result, reasonCode) => log("onJoin", result, reasonCode),
  onLeave: (serialId, reasonCode) => log("onLeave", serialId, reasonCode),
  onInviteResult: (operatorId, result, reason) => log("onInviteResult", operatorId, result),
  onCancelInviteResult: (operatorId, result, reason) => log("onCancelInviteResult", operatorId, result),
  onAcceptInviteResult: (operatorId, result, reason) => log("onAcceptInviteResult", operatorId, result),
  onRejectInviteResult: (operatorId, result, reason) => log("onRejectInviteResult", operatorId, result),
  onInviteReceived: (param) => log("onInviteReceived", param.callerUserId, param.extraInfo),
  onInviteCanceled: (param) => log("onInviteCanceled", param.extraInfo),
  onInviteAccepted: (param) => log("onInviteAccepted", param.calleeUserId),
  onInviteRejected: (param) => log("onInviteRejected", param.calleeUserId, param.extraInfo),
  onParticipantJoin: (participant: JRTCRoomParticipant) => log("onParticipantJoin", participant.userId),
  onParticipantLeft: (participant, reason) => log("onParticipantLeft", participant.userId, reason),
  onParticipantUpdate: (participant, changeParam) => log("onParticipantUpdate", participant.userId, Object.keys(changeParam).filter((name) => changeParam[name]), participant.volumeStatus, participant.netStatus),
  onKickUserResult: (result) => log("onKickUserResult", result),
  onCallPropertyChanged: (propChangeParam) => log("onCallPropertyChanged", Object.keys(propChangeParam).filter((name) => propChangeParam[name])),
  onMessageSendResult: (operatorId, result, error) => log("onMessageSendResult", operatorId, result, error),
  onMessageReceived: (content, contentType, messageType, fromUserId) => log("onMessageReceived", content, contentType, messageType, fromUserId),
};
const client = new JRTCClient({ onLogin: (result, reason) => log("onLogin", result, reason) });
client.login("${user}", "${await userToken(house, TENANT, user)}");
Object.assign(window, { JRTCVideoSize, call: new JRTCCall(client, callback) });
window.call.enableUploadAudioStream(true);
`);
  assert.equal(await logged(page, "onLogin"), "onLogin true 0");
  return page;
}

test("members join, are invited, write, share the screen, are kicked and leave", async () => {
  const [alice, bob, carol] = await Promise.all(["alice", "bob", "carol"].map((user) => person(user)));
  assert.equal(await alice.evaluate(() => window.call.join("S1")), true);
  assert.equal(await logged(alice, "onJoin"), "onJoin true 0");
  const operator = await alice.evaluate(() => window.call.invite("bob", { extraInfo: "come" }));
  assert.equal(await logged(alice, "onInviteResult"), `onInviteResult ${operator} true`);
  assert.equal(await logged(bob, "onInviteReceived"), "onInviteReceived alice come");
  await bob.evaluate(() => window.call.acceptInvite(true));
  await logged(alice, "onInviteAccepted bob");
  await logged(bob, "onJoin true 0");
  await logged(alice, "onParticipantJoin bob");
  for (const page of [alice, bob]) await receives(page, { video: true });

  await alice.evaluate(() => window.call.invite("carol"));
  await logged(carol, "onInviteReceived");
  await carol.evaluate(() => window.call.rejectInvite());
  assert.equal(await logged(alice, "onInviteRejected"), "onInviteRejected carol reject");
  assert.equal(await carol.evaluate(() => window.call.join("S1")), true);
  await logged(carol, "onJoin true 0");
  assert.deepEqual(await carol.evaluate(() => window.call.getParticipants().map(({ userId }) => userId).sort()), ["alice", "bob"]);

  await alice.evaluate(() => [window.call.sendMessage("text", "to all"), window.call.sendMessage("text", "to bob", "bob")]);
  await logged(bob, "onMessageReceived to all text 2 alice");
  await logged(bob, "onMessageReceived to bob text 1 alice");
  await logged(carol, "onMessageReceived to all text 2 alice");

  assert.equal(await bob.evaluate(() => window.call.enableScreenShare(true)), true);
  await logged(alice, "onCallPropertyChanged screenShare");
  assert.equal(await alice.evaluate(() => window.call.getShareUserId()), "bob");

  await bob.evaluate(() => window.call.enableUploadVideoStream(false));
  await logged(alice, "onParticipantUpdate bob video");

  await alice.evaluate(() => window.call.kickUser("bob"));
  assert.equal(await logged(alice, "onKickUserResult"), "onKickUserResult true");
  assert.equal(await logged(bob, "onLeave"), "onLeave S1 2019");
  await carol.evaluate(() => window.call.leave());
  assert.equal(await logged(carol, "onLeave"), "onLeave S1 0");
  await logged(alice, "onParticipantLeft carol");
  await Promise.all([alice.close(), bob.close(), carol.close()]);
});

/** Somebody in a call. */
async function member(user, serialId, options) {
  const page = await person(user, options);
  assert.equal(await page.evaluate((serialId) => window.call.join(serialId), serialId), true);
  assert.equal(await logged(page, "onJoin"), "onJoin true 0");
  return page;
}

/** What is decoded on a page of somebody's tracks, by source: frames so far and the picture's height. */
const pictures = (page, user) =>
  page.evaluate(async (user) => {
    const { room } = window.call;
    const { receiving } = await room.stats();
    const seen = {};
    for (const track of room.participants.get(user)?.tracks.values() ?? []) {
      const slot = receiving.find(({ track: sid }) => sid === track.sid);
      if (slot && track.kind === "video") seen[track.source] = { frames: slot.framesDecoded, height: slot.height };
    }
    return seen;
  }, user);

/** Waits until ten more pictures of a source have come. */
async function shows(page, user, source) {
  const first = (await pictures(page, user))[source]?.frames ?? 0;
  await until(async () => (await pictures(page, user))[source]?.frames > first + 10, `${source} of ${user}`, 45);
}

test("three members see each other, each in the size that they ask for", async () => {
  const [alice, bob, carol] = await Promise.all(["alice", "bob", "carol"].map((user) => member(user, "S2")));
  for (const [page, others] of [[alice, ["bob", "carol"]], [bob, ["alice", "carol"]], [carol, ["alice", "bob"]]]) {
    for (const other of others) await shows(page, other, "camera");
  }
  const height = async (page) => (await pictures(page, "bob")).camera.height;
  const request = (page, size) =>
    page.evaluate((size) => {
      const bob = window.call.getParticipants().find(({ userId }) => userId === "bob");
      return window.call.requestVideo(bob, window.JRTCVideoSize[size]);
    }, size);
  const full = await until(async () => (await height(carol)) >= 360 && height(carol), "a large picture", 45);
  assert.equal(await request(alice, "MIN"), true);
  await until(async () => (await height(alice)) <= full / 2, "a small picture", 45);
  await shows(alice, "bob", "camera");
  assert.equal(await height(carol), full, "others get what they got");
  assert.equal(await request(alice, "MAX"), true);
  await until(async () => (await height(alice)) === full, "the large picture again", 45);
  await Promise.all([alice, bob, carol].map((page) => page.close()));
});

test("one screen is shared beside the camera, paused with a word, and known to those who come late", async () => {
  const [alice, bob] = await Promise.all(["alice", "bob"].map((user) => member(user, "S3")));
  const share = (page) => page.evaluate(() => [window.call.getShareUserId(), window.call.getShareStreamId(), window.call.isSuspendScreenShare()]);
  assert.deepEqual(await share(alice), ["", undefined, false]);
  await bob.evaluate(() => window.call.enableScreenShare(true));
  await logged(alice, "onCallPropertyChanged screenShare");
  await Promise.all([shows(alice, "bob", "camera"), shows(alice, "bob", "screen_share")]);
  const [owner, stream] = await share(alice);
  assert.equal(owner, "bob");
  assert.ok(stream);
  const late = await member("carol", "S3");
  assert.deepEqual(await share(late), ["bob", stream, false]);
  await shows(late, "bob", "screen_share");
  // One owner at a time.
  await alice.evaluate(() => window.call.enableScreenShare(true));
  assert.equal(await bob.evaluate(() => window.call.suspendScreenShare(true, "back in a minute")), true);
  for (const page of [alice, late]) await until(async () => (await share(page))[2], "the pause");
  assert.deepEqual(await share(alice), ["bob", stream, true]);
  const still = (await pictures(alice, "bob")).screen_share?.frames ?? 0;
  await shows(alice, "bob", "camera");
  assert.ok(((await pictures(alice, "bob")).screen_share?.frames ?? 0) - still < 8, "a paused screen shows nothing new");
  await bob.evaluate(() => window.call.suspendScreenShare(false, ""));
  await until(async () => !(await share(alice))[2], "the end of the pause");
  await shows(alice, "bob", "screen_share");
  await bob.evaluate(() => window.call.enableScreenShare(false));
  for (const page of [alice, late]) await until(async () => (await share(page))[0] === "", "the end of the screen");
  assert.deepEqual(await share(alice), ["", undefined, false]);
  await Promise.all([alice, bob, late].map((page) => page.close()));
});

test("members are told how loud others are, and that somebody's network is gone", async () => {
  const alice = await member("alice", "S4");
  const bob = await member("bob", "S4", { hz: 600 });
  const carol = await member("carol", "S4");
  // A loud tone is far above silence; which bucket it is in is the codec's and the level's matter.
  for (const page of [alice, carol]) {
    const line = await logged(page, "onParticipantUpdate bob volumeStatus");
    assert.match(line, /volumeStatus (VERY_LOW|LOW|MID|HIGH|VERY_HIGH) NORMAL$/);
  }
  await bob.evaluate(() => window.call.enableUploadAudioStream(false));
  await logged(alice, "onParticipantUpdate bob audio");
  await logged(alice, "onParticipantUpdate bob volumeStatus NONE");
  // The page dies without a word.
  await bob.page.goto("chrome://crash").catch(() => {});
  await until(
    async () => (await alice.evaluate(() => window.log)).some((line) => /^onParticipantUpdate bob netStatus \w+ DISCONNECTED$/.test(line)),
    "the lost network",
    45,
  );
  await Promise.all([alice, bob, carol].map((page) => page.close()));
});
