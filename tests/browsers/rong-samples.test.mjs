// RongCloud CallLib: the document's samples as they are printed, but for keys, tokens and a log beside
// what they do. `user`, which they use and do not declare, is a global of the page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { INSECURE, classic, logged, receives, run, startHouse, userToken } from "./calls.mjs";
import { until } from "./server.mjs";

const TENANT = "rong-samples";
let house;

before(async () => {
  house = await startHouse();
  await house.admin("PUT", `/v1/tenants/${TENANT}`, { openRegistration: true });
  await house.admin("PUT", `/v1/tenants/${TENANT}/groups/team`, { name: "Team", kind: "group", members: ["alice_1", "bob_2", "carol_3"] });
});
after(() => house?.stop());

/** What the samples say of a session's events, all of them. */
const LISTENER = `
onRinging: (sender: ISenderInfo, session: RCCallSession) => {
const { userId } = sender;
log("onRinging", userId);
},
onAccept: (sender: ISenderInfo, session: RCCallSession) => {
const { userId } = sender;
log("onAccept", userId);
},
onHungup: (sender: ISenderInfo, reason: RCCallEndReason, session: RCCallSession) => {
const { userId } = sender;
log("onHungup", userId, reason);
},
onTrackReady: (track: RCTrack, session?: RCCallSession) => {
log("onTrackReady", track.getUserId(), track.isLocalTrack() ? "local" : "remote", track.isAudioTrack() ? "audio" : "", track.isVideoTrack() ? "video" : "");
user.userId = track.getUserId();
// 播放音频。如果为远端音频,建议直接播放。如为本端音频,建议不播放,以减少回音。
if (track.isAudioTrack() && !track.isLocalTrack()) {
track.play();
}
// 视频在对应的容器里播放
if (track.isVideoTrack()) {
const video = document.getElementById(
"video" + user.userId
) as HTMLVideoElement;
track.play(video);
}
},
onMemberModify: (sender: ISenderInfo, invitedUsers: IInvitedUsers[], session: RCCallSession) => {
log("onMemberModify", sender.userId, invitedUsers.map(({ userId }) => userId));
},
onMediaModify: (sender: ISenderInfo, mediaType: RCCallMediaType, session: RCCallSession) => {
log("onMediaModify", sender.userId, mediaType);
},
onAudioMuteChange: (muteUser: IMuteUser, session: RCCallSession) => {
log("onAudioMuteChange", muteUser.userId, muteUser.muted);
},
onVideoMuteChange: (muteUser: IMuteUser, session: RCCallSession) => {
log("onVideoMuteChange", muteUser.userId, muteUser.muted);
},
`;

/** The parameters of the call plugin. */
const CALLBACKS = `
rtcClient,
onSession(session: RCCallSession, extra?: string){
log("onSession", extra);
window.session = session;
session.registerSessionListener({${LISTENER}});
},
onSessionClose(session: RCCallSession, summaryInfo?: IEndSummary){
log("onSessionClose", summaryInfo.endReason);
window.summary = summaryInfo;
},
onOfflineRecord(record: IOfflineRecord){
log("onOfflineRecord", record.callerId);
}
`;

/** IMLib 5.x, as packages. */
const FIVE = (token) => `
import * as RongIMLib from "@rongcloud/imlib-next";
import { installer as rtcInstaller, RCRTCClient } from "@rongcloud/plugin-rtc";
import { installer as callInstaller, RCCallClient, RCCallErrorCode, RCFrameRate, RCResolution } from "@rongcloud/plugin-call";
RongIMLib.init({
appkey: '${TENANT}',
});
const rtcClient: RCRTCClient = RongIMLib.installPlugin(rtcInstaller, { /* 配置项 */ })
const caller: RCCallClient = RongIMLib.installPlugin(callInstaller, {${CALLBACKS}});
RongIMLib.connect('${token}').then((user) => {
log("connected", user.data.userId);
});
Object.assign(window, { caller, RCCallErrorCode, RCFrameRate, RCResolution });
`;

/** IMLib 4.x. */
const FOUR = (token) => `
import { IMClient, init } from "@rongcloud/imlib-v4-adapter";
import { installer as rtcInstaller, RCRTCClient } from "@rongcloud/plugin-rtc";
import { installer as callInstaller, RCCallClient, RCCallErrorCode } from "@rongcloud/plugin-call";
const imClient: IMClient = init({
appkey: '${TENANT}'
});
const rtcClient: RCRTCClient = imClient.install(rtcInstaller)
const caller: RCCallClient = imClient.install(callInstaller, {${CALLBACKS}});
imClient.connect({ token: '${token}' })
.then((user) => {
log("connected", user.id);
})
.catch((error) => {
log("链接失败: ", error.code, error.msg);
});
Object.assign(window, { caller, RCCallErrorCode });
`;

/** IMLib 2.x. */
const TWO = (token) => `
import { RongIMClient, IMClient } from "@rongcloud/imlib-v2";
import { installer as rtcInstaller, RCRTCClient } from "@rongcloud/plugin-rtc";
import { installer as callInstaller, RCCallClient, RCCallErrorCode } from "@rongcloud/plugin-call";
RongIMClient.init('${TENANT}');
const imClient: IMClient = RongIMClient.getInstance();
const rtcClient: RCRTCClient = imClient.install(rtcInstaller)
const caller: RCCallClient = imClient.install(callInstaller, {${CALLBACKS}});
RongIMClient.connect('${token}', {
onSuccess: (userId) => {
log("connected", userId);
},
onTokenIncorrect: function() {
log('连接失败, 失败原因: token 无效');
},
onError: function(errorCode) {
log('连接失败, 失败原因: ', errorCode);
}
});
Object.assign(window, { caller, RCCallErrorCode });
`;

/** A page with what a sample expects of it. */
async function page(host) {
  const page = await house.open(host);
  await page.evaluate(() => {
    Object.assign(window, { log: [], user: {} });
    for (const id of ["alice_1", "bob_2", "carol_3"]) {
      const video = document.createElement("video");
      video.id = `video${id}`;
      video.muted = true;
      document.body.append(video);
    }
  });
  return page;
}

/** Samples call `log`; the tests read the lines. */
const LOG = `const log = (...words) => window.log.push(words.join(" "));\n`;

async function person(user, sample = FIVE, host) {
  const opened = await page(host);
  await run(opened, LOG + sample(await userToken(house, TENANT, user)));
  assert.equal(await logged(opened, "connected"), `connected ${user}`);
  return opened;
}

/** The sample of a call, as a method of something that has a `targetId`. */
const CALL = ({ verb = "call", mediaType = 2, more = "" }, target) => `${LOG}
const { caller, RCCallErrorCode, RCFrameRate, RCResolution } = window;
const mediaType = ${mediaType};
const userIds = ["bob_2"];
async function place() {
const { code, session } = await caller.${verb}({
targetId: this.targetId,
mediaType,
listener: {${LISTENER}},
${more}
});
if (code === RCCallErrorCode.SUCCESS) {
window.session = session;
}
return code;
}
window.code = await place.call({ targetId: "${target}" });
`;

const ACCEPT = (profile = "") => `
const { session, RCCallErrorCode } = window;
const { RCFrameRate, RCResolution } = window;
const { code } = await session.accept(${profile});
if (code === RCCallErrorCode.SUCCESS) {
window.log.push("accepted");
}
`;
const HUNGUP = `
const { session, RCCallErrorCode } = window;
const { code } = await session.hungup();
if (code === RCCallErrorCode.SUCCESS) {
window.log.push("hung up");
}
`;

/** One calls the other, who answers; both see and hear. */
async function talk(from, to, target, { call = {}, accept, callee = target } = {}) {
  await run(from, CALL(call, target));
  assert.equal(await from.evaluate(() => window.code), 10000);
  await logged(to, "onSession");
  await run(to, ACCEPT(accept));
  await logged(to, "accepted");
  await logged(from, `onAccept ${callee}`);
  await Promise.all([from, to].map((each) => receives(each, { video: true })));
}
const close = (...pages) => Promise.all(pages.map((each) => each.close()));

test("IMLib 4.x calls IMLib 2.x", async () => {
  const [alice, bob] = await Promise.all([person("alice_1", FOUR), person("bob_2", TWO)]);
  await talk(alice, bob, "bob_2");
  for (const [each, me, other] of [[alice, "alice_1", "bob_2"], [bob, "bob_2", "alice_1"]]) {
    for (const kind of ["local audio", "local  video", `remote audio`]) await logged(each, `onTrackReady ${kind.startsWith("local") ? me : other} ${kind}`);
    await until(() => each.evaluate((other) => document.getElementById(`video${other}`).videoWidth > 0, other), "the other's picture");
  }
  await run(alice, HUNGUP);
  assert.equal(await logged(alice, "onSessionClose"), "onSessionClose 3");
  assert.equal(await logged(bob, "onHungup"), "onHungup alice_1 13");
  await close(alice, bob);
});

test("scripts in place of packages, by their globals", async () => {
  const bob = await person("bob_2");
  const alice = await page();
  for (const file of ["imlib-next", "plugin-rtc", "plugin-call"]) {
    await alice.page.addScriptTag({ type: "module", url: `${house.server.url}/sdk/rong/${file}.js` });
  }
  await until(() => alice.evaluate(() => "RongIMLib" in window && "RCRTC" in window && "RCCall" in window), "the globals");
  await classic(alice, `
RongIMLib.init({ appkey: '${TENANT}' });
const rtcClient = RongIMLib.installPlugin(RCRTC.installer, { /* 配置项参数 */ });
const caller = RongIMLib.installPlugin(RCCall.installer, { rtcClient, onSession() {}, onSessionClose() {} });
RongIMLib.connect('${await userToken(house, TENANT, "alice_1")}').then((res) => window.log.push("connected " + res.data.userId));
Object.assign(window, { caller, RCCallErrorCode: RCCall.RCCallErrorCode });
`);
  await logged(alice, "connected alice_1");
  await talk(alice, bob, "bob_2");
  await run(bob, HUNGUP);
  assert.equal(await logged(alice, "onHungup"), "onHungup bob_2 13");
  await close(alice, bob);
});

test("profiles, push texts, getters, another microphone and the quality of a call", async () => {
  const [alice, bob] = await Promise.all([person("alice_1"), person("bob_2")]);
  await run(alice, `
const callPushConfig = { pushTitle: "A call", pushContent: "alice calls" };
const hungupPushConfig = { pushTitle: "Missed", pushContent: "alice called" };
window.caller.setPushConfig(callPushConfig, hungupPushConfig);
`);
  const camera = `video: {
frameRate: RCFrameRate.FPS_15,
resolution: RCResolution.W320_H240
}`;
  const microphone = `audio: {
micphoneId: 'default',
sampleRate: 48,
}`;
  await talk(alice, bob, "bob_2", {
    call: { more: `constraints: { ${camera}, ${microphone} }, extra: "hello", channelId: "sales"` },
    accept: `{ ${camera}, ${microphone} }`,
  });
  assert.equal(await logged(bob, "onSession"), "onSession hello");
  for (const [each, other] of [[alice, "bob_2"], [bob, "alice_1"]]) {
    await until(() => each.evaluate((other) => document.getElementById(`video${other}`).videoHeight === 240, other), "the height that was asked for");
  }
  const facts = (each) =>
    each.evaluate(() => {
      const { session } = window;
      return {
        ids: [session.getSessionId(), session.getRTCSessionId()],
        rest: [session.getState(), session.getTargetId(), session.getConversationType(), session.getChannelId()],
        users: session.getRemoteUsers().map(({ userId, state, isRemote }) => [userId, state, isRemote]),
      };
    });
  const [ours, theirs] = [await facts(alice), await facts(bob)];
  assert.deepEqual(ours.ids, theirs.ids, "both are in one call and one room, which the server has named");
  assert.ok(ours.ids.every((id) => id.length > 8));
  assert.deepEqual(ours.rest, [1, "bob_2", 1, "sales"]);
  assert.deepEqual(ours.users, [["bob_2", 2, true]]);
  assert.deepEqual(theirs.users, [["alice_1", 2, true]]);

  await run(alice, `
function addDevicesChangeListener(session: RCCallSession){
navigator.mediaDevices.ondevicechange = null;
// 添加设备变动的监听
navigator.mediaDevices.ondevicechange = () => {
// 取到变动后的设备
navigator.mediaDevices.enumerateDevices().then((devices) => {
// 这里用默认的音频输入设备举例
window.changed = session.changeAudioDevice();
});
};
}
addDevicesChangeListener(window.session)
`);
  await alice.evaluate(() => navigator.mediaDevices.dispatchEvent(new Event("devicechange")));
  assert.deepEqual(await until(() => alice.evaluate(() => window.changed), "the change"), { code: 10000 });
  const devices = await alice.evaluate(async () => (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "audioinput").map(({ deviceId }) => deviceId));
  assert.deepEqual(await alice.evaluate((micphoneId) => window.session.changeAudioDevice({ micphoneId, sampleRate: 48 }), devices.at(-1)), { code: 10000 });
  await receives(bob, { video: true });

  await run(alice, `
import { IRCRTCStateReport, IRCCandidatePairStat, IRCTrackStat } from '@rongcloud/plugin-rtc'
${LOG}
window.reports = [];
window.session.registerSessionListener({${LISTENER}
OnRTCStateReport: (report: IRCRTCStateReport, session: RCCallSession) => {
const timestamp: number = report.timestamp
const iceCandidatePair: IRCCandidatePairStat = report.iceCandidatePair
const senders: IRCTrackStat[] = report.senders
const receivers: IRCTrackStat[] = report.receivers
window.reports.push({ timestamp, iceCandidatePair, senders, receivers });
}
});
`);
  const reports = await until(() => alice.evaluate(() => window.reports.length >= 4 && window.reports), "reports");
  const last = reports.at(-1);
  const steps = reports.slice(1).map(({ timestamp }, i) => timestamp - reports[i].timestamp);
  assert.ok(steps.every((step) => step > 500), `once a second: ${steps}`);
  assert.ok(last.iceCandidatePair.remotePort > 0 && last.iceCandidatePair.bitrateRecv > 0, JSON.stringify(last));
  assert.deepEqual(last.receivers.map(({ kind }) => kind).sort(), ["audio", "video"]);
  assert.ok(last.receivers.every(({ remoteResource, trackId }) => remoteResource && trackId));
  assert.ok(last.senders.every(({ remoteResource }) => !remoteResource));
  assert.equal(last.receivers.find(({ kind }) => kind === "video").frameHeight, 240);

  await run(bob, HUNGUP);
  assert.equal(await logged(alice, "onSessionClose"), "onSessionClose 13");
  const { beginTimestamp, endTimestamp, duration, channelId } = await alice.evaluate(() => window.summary);
  assert.equal(duration, endTimestamp - beginTimestamp);
  assert.ok(duration > 1_000 && channelId === "sales");
  await close(alice, bob);
});

test("a newcomer of a group call is seen by all and sees all", async () => {
  const people = await Promise.all(["alice_1", "bob_2", "carol_3"].map((user) => person(user)));
  const [alice, bob, carol] = people;
  await talk(alice, bob, "team", { call: { verb: "callInGroup", more: "userIds," }, callee: "bob_2" });
  await run(alice, `
const { session, RCCallErrorCode } = window;
const userIds = ["carol_3"];
const { code } = await session.invite(userIds);
if (code === RCCallErrorCode.SUCCESS) {
window.log.push("invited");
}
`);
  await logged(alice, "invited");
  await logged(bob, "onMemberModify alice_1 carol_3");
  await logged(carol, "onSession");
  await run(carol, ACCEPT());
  for (const each of [alice, bob]) {
    await until(() => each.evaluate(() => document.getElementById("videocarol_3").videoWidth > 0), "the newcomer's picture");
  }
  for (const other of ["alice_1", "bob_2"]) {
    await until(() => carol.evaluate((other) => document.getElementById(`video${other}`).videoWidth > 0, other), `the picture of ${other}`);
  }
  await Promise.all(people.map((each) => receives(each, { video: true })));
  for (const each of [alice, bob]) await run(each, HUNGUP);
  await logged(carol, "onSessionClose");
  await close(...people);
});

test("a new call on another device ends this one with 21, which the peer sees as 31", async () => {
  const [alice, bob, carol] = await Promise.all(["alice_1", "bob_2", "carol_3"].map((user) => person(user)));
  await talk(alice, bob, "bob_2");
  const other = await person("alice_1");
  await talk(other, carol, "carol_3");
  assert.equal(await logged(alice, "onSessionClose"), "onSessionClose 21");
  assert.equal(await logged(bob, "onHungup"), "onHungup alice_1 31");
  await run(other, HUNGUP);
  await logged(carol, "onSessionClose");
  await close(alice, bob, carol, other);
});

test("a page that is neither https nor localhost has no devices, and says so by the document's codes", async () => {
  const [alice, bob] = await Promise.all([person("alice_1", FIVE, INSECURE), person("bob_2")]);
  assert.equal(await alice.evaluate(() => window.isSecureContext), false);
  for (const [mediaType, code] of [[1, 53301], [2, 53303]]) {
    await run(alice, CALL({ mediaType }, "bob_2"));
    assert.equal(await alice.evaluate(() => window.code), code);
  }
  // Nor can it answer.
  await run(bob, CALL({}, "alice_1"));
  await logged(alice, "onSession");
  assert.deepEqual(await alice.evaluate(() => window.session.accept()), { code: 53303 });
  assert.equal(await logged(bob, "onHungup"), "onHungup alice_1 18");
  assert.equal(await bob.evaluate(() => window.log.some((line) => line.startsWith("onSession "))), false, "nobody was rung");
  await close(alice, bob);
});

test("a browser that lacks H.264 sees and is seen", async () => {
  const alice = await person("alice_1");
  const bob = await page();
  await bob.evaluate(() => {
    const { getCapabilities } = RTCRtpReceiver;
    const { setCodecPreferences } = RTCRtpTransceiver.prototype;
    const rest = getCapabilities.call(RTCRtpReceiver, "video").codecs.filter(({ mimeType }) => mimeType !== "video/H264");
    RTCRtpTransceiver.prototype.setCodecPreferences = function (codecs) {
      return setCodecPreferences.call(this, this.receiver.track.kind === "video" ? rest : codecs);
    };
  });
  await run(bob, LOG + FIVE(await userToken(house, TENANT, "bob_2")));
  await logged(bob, "connected");
  await talk(alice, bob, "bob_2");
  const offered = await bob.evaluate(() => window.peers[0].localDescription.sdp);
  assert.ok(!offered.includes("H264") && offered.includes("VP8"));
  await run(alice, HUNGUP);
  await logged(bob, "onSessionClose");
  await close(alice, bob);
});

test("when the service is closed, calls that go on end with 104", async () => {
  const [alice, bob] = await Promise.all([person("alice_1"), person("bob_2")]);
  await talk(alice, bob, "bob_2");
  await house.admin("PUT", `/v1/tenants/${TENANT}`, { openRegistration: true, suspended: true });
  for (const each of [alice, bob]) assert.equal(await logged(each, "onSessionClose"), "onSessionClose 104");
  await house.admin("PUT", `/v1/tenants/${TENANT}`, { openRegistration: true });
  const again = await person("alice_1");
  await close(alice, bob, again);
});
