// JRTC: three people in a call named by a serial number.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { logged, receives, run, startHouse, userToken } from "./calls.mjs";

const TENANT = "jrtc-test";
let house;

before(async () => {
  house = await startHouse();
  await house.admin("PUT", `/v1/tenants/${TENANT}`, { openRegistration: true });
});
after(() => house?.stop());

async function person(user) {
  const page = await house.open();
  await page.evaluate(() => (window.log = []));
  await run(page, `
import { JRTCClient, JRTCCall, JRTCCallCallback, JRTCRoomParticipant } from "jrtc";
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
  onParticipantUpdate: (participant, changeParam) => log("onParticipantUpdate", participant.userId, Object.keys(changeParam).filter((name) => changeParam[name])),
  onKickUserResult: (result) => log("onKickUserResult", result),
  onCallPropertyChanged: (propChangeParam) => log("onCallPropertyChanged", Object.keys(propChangeParam).filter((name) => propChangeParam[name])),
  onMessageSendResult: (operatorId, result, error) => log("onMessageSendResult", operatorId, result, error),
  onMessageReceived: (content, contentType, messageType, fromUserId) => log("onMessageReceived", content, contentType, messageType, fromUserId),
};
const client = new JRTCClient({ onLogin: (result, reason) => log("onLogin", result, reason) });
client.login("${user}", "${await userToken(house, TENANT, user)}");
window.call = new JRTCCall(client, callback);
window.call.enableUploadAudioStream(true);
`);
  assert.equal(await logged(page, "onLogin"), "onLogin true 0");
  return page;
}

test("members join, are invited, write, share the screen, are kicked and leave", async () => {
  const [alice, bob, carol] = await Promise.all(["alice", "bob", "carol"].map(person));
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
