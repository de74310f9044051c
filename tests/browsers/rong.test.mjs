// RongCloud CallLib: the code samples of its document, in two browsers that call each other.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { logged, receives, run, startHouse, userToken } from "./calls.mjs";
import { until } from "./server.mjs";

const TENANT = "rong-test-key";
let house;

before(async () => {
  house = await startHouse();
  await house.admin("PUT", `/v1/tenants/${TENANT}`, { openRegistration: true });
  await house.admin("PUT", `/v1/tenants/${TENANT}/groups/team`, {
    name: "Team",
    kind: "group",
    members: ["alice_1", "bob_2", "carol_3"],
  });
});
after(() => house?.stop());

/** The document's initialisation and connection, but for the key and the token. */
const INIT = (token) => `
import * as RongIMLib from "@rongcloud/imlib-next";
import { installer as rtcInstaller, RCRTCClient } from "@rongcloud/plugin-rtc";
import { installer as callInstaller, RCCallClient, RCCallSession, RCCallErrorCode, RCCallEndReason } from "@rongcloud/plugin-call";

RongIMLib.init({
appkey: '${TENANT}',
});
const rtcClient: RCRTCClient = RongIMLib.installPlugin(rtcInstaller, { /* 配置项参数 */ });
const caller: RCCallClient = RongIMLib.installPlugin(callInstaller, {
rtcClient,
onSession(session: RCCallSession, extra?: string){
window.log.push("onSession " + (extra ?? ""));
window.session = session;
session.registerSessionListener(window.listener);
},
onSessionClose(session: RCCallSession, summaryInfo?: IEndSummary){
window.log.push("onSessionClose " + summaryInfo.endReason);
},
onOfflineRecord(record: IOfflineRecord){
},
});
RongIMLib.connect('${token}').then((res) => window.log.push("connect " + res.code + " " + res.data?.userId));
Object.assign(window, { caller, RCCallErrorCode });
`;

/** What the samples' listeners do, with a log of it. */
const LISTENER = () => {
  window.log = [];
  window.tracks = [];
  const note = (name) => (...args) => window.log.push(`${name} ${args.slice(0, -1).map((each) => each?.userId ?? each).join(" ")}`);
  window.listener = {
    onRinging: note("onRinging"),
    onAccept: note("onAccept"),
    onHungup: note("onHungup"),
    onTrackReady: (track, session) => {
      window.tracks.push(track);
      window.log.push(`onTrackReady ${track.getUserId()} ${track.isAudioTrack() ? "audio" : "video"} ${track.isLocalTrack() ? "local" : "remote"}`);
      if (track.isAudioTrack() && !track.isLocalTrack()) {
        track.play();
      }
      if (track.isVideoTrack()) {
        const video = document.body.appendChild(document.createElement("video"));
        video.id = "video" + track.getUserId();
        track.play(video);
      }
    },
    onMemberModify: (sender, invitedUsers) => window.log.push(`onMemberModify ${sender.userId} ${invitedUsers.map(({ userId }) => userId)}`),
    onMediaModify: note("onMediaModify"),
    onAudioMuteChange: (muteUser) => window.log.push(`onAudioMuteChange ${muteUser.userId} ${muteUser.muted}`),
    onVideoMuteChange: (muteUser) => window.log.push(`onVideoMuteChange ${muteUser.userId} ${muteUser.muted}`),
    OnRTCStateReport: (report) => (window.report = report),
  };
};

async function person(user) {
  const page = await house.open();
  await page.evaluate(LISTENER);
  await run(page, INIT(await userToken(house, TENANT, user)));
  assert.equal(await logged(page, "connect"), `connect 0 ${user}`);
  return page;
}

/** The document's sample of a call to one. */
const CALL = (target, mediaType) => `
const { code, session } = await window.caller.call({
targetId: '${target}',
mediaType: ${mediaType},
listener: window.listener,
constraints: { video: { frameRate: "FPS_15", resolution: "W640_H480" }, audio: { sampleRate: 48 } },
extra: "hello"
});
window.code = code;
window.session = session;
`;
const ACCEPT = `
const { code } = await window.session.accept();
if (code === window.RCCallErrorCode.SUCCESS) {
window.log.push("accepted");
} else { window.log.push("not accepted " + code); }
`;
const HUNGUP = `
const { code } = await window.session.hungup();
if (code === window.RCCallErrorCode.SUCCESS) {
window.log.push("hung up");
}
`;

test("a video call rings, is answered, seen and heard on both sides, muted, downgraded and hung up", async () => {
  const alice = await person("alice_1");
  const bob = await person("bob_2");
  await run(alice, CALL("bob_2", 2));
  assert.equal(await alice.evaluate(() => window.code), 10000);
  assert.equal(await logged(bob, "onSession "), "onSession hello");
  await logged(alice, "onRinging bob_2");
  await run(bob, ACCEPT);
  await logged(bob, "accepted");
  await logged(alice, "onAccept bob_2");
  for (const [page, other] of [[alice, "bob_2"], [bob, "alice_1"]]) {
    await logged(page, `onTrackReady ${other} audio remote`);
    await logged(page, `onTrackReady ${other} video remote`);
    await receives(page, { video: true });
  }
  assert.deepEqual(await alice.evaluate(() => [window.session.getState(), window.session.getUserState("bob_2"), window.session.getTargetId(), window.session.getConversationType()]), [1, 2, "bob_2", 1]);
  const report = await until(() => alice.evaluate(() => window.report?.receivers.length >= 2 && window.report), "a quality report");
  assert.ok(report.iceCandidatePair.remotePort > 0 && report.senders.length >= 2, JSON.stringify(report));

  assert.equal(await bob.evaluate(async () => (await window.session.disableAudioTrack()).code), 10000);
  await logged(alice, "onAudioMuteChange bob_2 true");
  assert.equal(await bob.evaluate(async () => (await window.session.disableVideoTrack()).code), 10000);
  await logged(alice, "onVideoMuteChange bob_2 true");
  assert.equal(await bob.evaluate(async () => (await window.session.enableVideoTrack()).code), 10000);
  await logged(alice, "onVideoMuteChange bob_2 false");
  assert.equal(await bob.evaluate(async () => (await window.session.changeAudioDevice()).code), 10000);
  assert.equal(await alice.evaluate(async () => (await window.session.invite(["carol_3"])).code), 53311);
  assert.equal(await alice.evaluate(async () => (await window.session.descendAbility()).code), 10000);
  await logged(bob, "onMediaModify alice_1 1");

  await run(bob, HUNGUP);
  assert.equal(await logged(bob, "onSessionClose"), "onSessionClose 3");
  assert.equal(await logged(alice, "onHungup"), "onHungup bob_2 13");
  assert.equal(await logged(alice, "onSessionClose"), "onSessionClose 13");
  await Promise.all([alice.close(), bob.close()]);
});

test("a group call takes in a third member who is heard by all", async () => {
  const [alice, bob, carol] = await Promise.all(["alice_1", "bob_2", "carol_3"].map(person));
  await run(alice, `
const { code, session } = await window.caller.callInGroup({ targetId: "team", userIds: ["bob_2"], mediaType: 1, listener: window.listener });
window.code = code;
window.session = session;
`);
  assert.equal(await alice.evaluate(() => window.code), 10000);
  await logged(bob, "onSession");
  await run(bob, ACCEPT);
  await logged(alice, "onAccept bob_2");
  assert.equal(await alice.evaluate(async () => (await window.session.invite(["carol_3"])).code), 10000);
  await logged(bob, "onMemberModify alice_1 carol_3");
  await logged(carol, "onSession");
  await run(carol, ACCEPT);
  for (const page of [alice, bob]) await logged(page, "onTrackReady carol_3 audio remote");
  for (const page of [alice, bob, carol]) await receives(page);
  await run(carol, HUNGUP);
  for (const page of [alice, bob]) assert.equal(await logged(page, "onHungup"), "onHungup carol_3 13");
  await Promise.all([alice.close(), bob.close(), carol.close()]);
});

test("a caller without a camera gets 53302 and nobody is rung", async () => {
  const alice = await person("alice_1");
  await alice.evaluate(() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = (wish) =>
      wish.video ? Promise.reject(new DOMException("denied", "NotAllowedError")) : open(wish);
  });
  await run(alice, CALL("bob_2", 2));
  assert.deepEqual(await alice.evaluate(() => [window.code, window.session]), [53302, undefined]);
  await alice.close();
});

test("the older versions of IMLib connect, too", async () => {
  const token = await userToken(house, TENANT, "alice_1");
  const four = await house.open();
  await four.evaluate(() => (window.log = []));
  await run(four, `
import { IMClient, init } from "@rongcloud/imlib-v4-adapter";
import { installer as rtcInstaller } from "@rongcloud/plugin-rtc";
import { installer as callInstaller } from "@rongcloud/plugin-call";
const imClient: IMClient = init({
appkey: '${TENANT}'
});
const rtcClient = imClient.install(rtcInstaller);
const caller = imClient.install(callInstaller, { rtcClient, onSession(session) {} });
imClient.connect({ token: '${token}' })
.then((user) => {
window.log.push("链接成功, 链接用户 id 为: " + user.id);
})
.catch((error) => {
window.log.push("链接失败: " + error.code + error.msg);
});
`);
  assert.equal(await logged(four, "链接"), "链接成功, 链接用户 id 为: alice_1");
  const two = await house.open();
  await two.evaluate(() => (window.log = []));
  await run(two, `
import { RongIMClient, IMClient } from "@rongcloud/imlib-v2";
RongIMClient.init('${TENANT}');
const imClient: IMClient = RongIMClient.getInstance();
RongIMClient.connect('wrong', {
onSuccess: (userId) => {
window.log.push('连接成功, 用户 ID 为' + userId);
},
onTokenIncorrect: function() {
window.log.push('连接失败, 失败原因: token 无效');
},
onError: function(errorCode) {
window.log.push('连接失败, 失败原因: ' + errorCode);
}
});
`);
  assert.equal(await logged(two, "连接"), "连接失败, 失败原因: token 无效");
  await Promise.all([four.close(), two.close()]);
});

test("the wrapper of CallPlus plays by user and element", async () => {
  const wrapper = (token) => `
import * as RongIMLib from "@rongcloud/imlib-next";
import { installer as rtcInstaller } from "@rongcloud/plugin-rtc";
import { installer as callPlusInstaller, RCCallPlusClient, RCCallPlusMediaType } from '@rongcloud/plugin-call-plus';
import { installer as wrapperInstaller, RCCallClient, RCCallMediaType } from '@rongcloud/plugin-callplus/wrapper';
RongIMLib.init({ appkey: '${TENANT}' });
const rtcClient = RongIMLib.installPlugin(rtcInstaller, {});
const callPlusClient = RongIMLib.installPlugin(callPlusInstaller, { rtcClient });
const listener = {
onRinging() {}, onAccept() {}, onHungup() {},
onTrackReady(userId: string, mediaType: RCCallMediaType, session?: RCCallSession) {
const playMediaType = mediaType === RCCallMediaType.AUDIO
? RCCallPlusMediaType.AUDIO
: RCCallPlusMediaType.VIDEO;
callPlusClient.playMedia(userId, playMediaType);
window.log.push("onTrackReady " + userId + " " + mediaType);
}
};
const caller = RongIMLib.installPlugin(wrapperInstaller, {
callPlusClient,
onSession: (session: RCCallSession) => { window.session = session; session.registerSessionListener(listener); window.log.push("onSession"); },
onSessionClose: (session: RCCallSession, summaryInfo?: IEndSummary) => {},
});
callPlusClient.setVideoView([
{
userId: window.me,
videoElement: document.getElementById('local_video_element_id')
},
{
userId: window.other,
videoElement: document.getElementById('remote_video_element_id')
},
]);
Object.assign(window, { caller, listener });
RongIMLib.connect('${token}').then((res) => window.log.push("connect " + res.code));
`;
  const open = async (me, other) => {
    const page = await house.open();
    await page.evaluate(([me, other]) => {
      Object.assign(window, { me, other, log: [] });
      document.body.innerHTML = '<video id="local_video_element_id"></video><video id="remote_video_element_id" muted></video>';
    }, [me, other]);
    await run(page, wrapper(await userToken(house, TENANT, me)));
    await logged(page, "connect 0");
    return page;
  };
  const alice = await open("alice_1", "bob_2");
  const bob = await open("bob_2", "alice_1");
  await run(alice, CALL("bob_2", 2));
  await logged(bob, "onSession");
  await bob.evaluate(async () => (await window.session.accept()).code);
  for (const page of [alice, bob]) {
    await until(
      () => page.evaluate(() => document.getElementById("remote_video_element_id").videoWidth > 0),
      "a picture in the bound element",
    );
    await receives(page, { video: true });
  }
  await Promise.all([alice.close(), bob.close()]);
});
