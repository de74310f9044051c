// What applications do with a call's media beyond talking: their own pictures, encryption, audiences,
// rooms that see each other; and what a network that goes away, or a page without a secure origin, comes to.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, caller, logged, receives, startHouse } from "./calls.mjs";
import { stats } from "./people.mjs";
import { until } from "./server.mjs";
import { hasTone, hearsTone, hums } from "./tones.mjs";

const TENANT = "rooms";
let house;

before(async () => {
  house = await startHouse();
  await house.admin("PUT", `/v1/tenants/${TENANT}`, { openRegistration: true });
});
after(() => house?.stop());

const person = (user, setUp) => caller(house, TENANT, user, { setUp });
const close = (...pages) => Promise.all(pages.map((page) => page.close()));

/** One calls the other, who answers. */
async function talk(from, to, user, media = "video") {
  await from.evaluate(async ([user, media]) => {
    window.call = (await window.calls.createCall({ type: "user", user }, { media })).id;
  }, [user, media]);
  await logged(to, "inviteReceived");
  await to.evaluate(() => window.calls.accept(window.invite));
  await logged(from, "inviteAccepted");
}

/** Frames that a page has decoded of somebody. */
const frames = (page, user) =>
  page.evaluate(async (user) => {
    const slots = (await window.calls.mediaOf(window.call)?.room.stats())?.receiving ?? [];
    return slots.filter((slot) => slot.kind === "video" && slot.identity === user).reduce((sum, slot) => sum + slot.framesDecoded, 0);
  }, user);
async function sees(page, user) {
  const first = await frames(page, user);
  await until(async () => (await frames(page, user)) > first + 10, `the picture of ${user}`, 45);
}

test("what a page draws, or a camera behind a filter, is published like a camera, and any sound like a microphone", async () => {
  const [alice, bob] = await Promise.all(["alice", "bob"].map((user) => person(user)));
  await talk(alice, bob, "bob", "audio");
  await receives(bob);
  await alice.evaluate(async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
    const context = canvas.getContext("2d");
    const camera = document.createElement("video");
    camera.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
    await camera.play();
    const draw = () => {
      context.filter = "brightness(0)"; // of the camera nothing is left
      context.drawImage(camera, 0, 0, 320, 240);
      context.filter = "none";
      context.fillStyle = "rgb(220 30 30)";
      context.fillRect(0, 0, 160, 240);
    };
    setInterval(draw, 50);
    const own = window.calls.mediaOf(window.call).room.localParticipant;
    await own.publish(canvas.captureStream(20).getVideoTracks()[0], { source: "camera" });
    const audio = new AudioContext();
    const out = audio.createMediaStreamDestination();
    const tone = new OscillatorNode(audio, { frequency: 1700 });
    tone.connect(out);
    tone.start();
    await own.publish(out.stream.getAudioTracks()[0], { source: "screen_share_audio" });
  });
  await sees(bob, "alice");
  await hearsTone(bob, 1700);
  const colours = () =>
    bob.evaluate(async () => {
      const track = window.calls.mediaOf(window.call).room.participants.get("alice").track("camera");
      const video = track.attach();
      video.muted = true;
      await video.play();
      const canvas = Object.assign(document.createElement("canvas"), { width: 32, height: 24 });
      const context = canvas.getContext("2d");
      context.drawImage(video, 0, 0, 32, 24);
      return [8, 24].map((x) => [...context.getImageData(x, 12, 1, 1).data.slice(0, 3)]);
    });
  await until(async () => {
    const [left, right] = await colours();
    return left[0] > 160 && left[1] < 90 && left[2] < 90 && Math.max(...right) < 60;
  }, "what was drawn");
  await ask(alice, "hangUp");
  await close(alice, bob);
});

/** End-to-end encryption by AES-GCM, of all but what the server has to read. */
const encrypts = (secret) => async (page) => {
  await page.evaluate(async (secret) => {
    const code = `
      const clear = { key: 10, delta: 3 };
      onrtctransform = async ({ transformer }) => {
        const { sends, secret } = transformer.options;
        const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(secret));
        const key = await crypto.subtle.importKey("raw", digest, "AES-GCM", false, ["encrypt", "decrypt"]);
        const transform = async (frame, controller) => {
          const data = new Uint8Array(frame.data);
          const head = data.slice(0, clear[frame.type] ?? 1);
          const iv = sends ? crypto.getRandomValues(new Uint8Array(12)) : data.slice(-12);
          const body = sends ? data.slice(head.length) : data.slice(head.length, -12);
          const cipher = { name: "AES-GCM", iv, additionalData: head };
          try {
            const out = new Uint8Array(await crypto.subtle[sends ? "encrypt" : "decrypt"](cipher, key, body));
            const whole = [...head, ...out, ...(sends ? iv : [])];
            frame.data = new Uint8Array(whole).buffer;
            controller.enqueue(frame);
          } catch {} // not for us
        };
        transformer.readable.pipeThrough(new TransformStream({ transform })).pipeTo(transformer.writable);
      };`;
    const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    window.options = {
      encodedTransform: (end) => new RTCRtpScriptTransform(worker, { sends: end instanceof RTCRtpSender, secret }),
    };
  }, secret);
};

test("media that the application encrypts is forwarded, and is nothing to who lacks the key", async () => {
  const [alice, bob, eve] = await Promise.all([
    person("alice", encrypts("a shared secret")),
    person("bob", encrypts("a shared secret")),
    person("eve", encrypts("a guess")),
  ]);
  for (const page of [alice, bob, eve]) {
    await page.evaluate(async () => {
      window.call = (await window.calls.joinRoom("sealed")).id;
    });
  }
  await Promise.all([alice, bob].map((page) => receives(page, { video: true })));
  await until(async () => (await stats(eve)).videoPackets > 200, "packets that mean nothing", 45);
  const { videoFrames, audioEnergy } = await stats(eve);
  assert.deepEqual([videoFrames, audioEnergy], [0, 0]);
  for (const page of [eve, bob, alice]) await ask(page, "leaveRoom");
  await close(alice, bob, eve);
});

test("an audience sees and is not seen, until it is on the stage", async () => {
  const host = await person("host", (page) => hums(page, 600));
  const fan = await person("fan", (page) => hums(page, 900));
  const join = (page, role) =>
    page.evaluate(async (role) => {
      window.call = (await window.calls.joinRoom("show", { role })).id;
    }, role);
  await join(host, "host");
  await join(fan, "audience");
  await hearsTone(fan, 600);
  await sees(fan, "host");
  assert.equal(await hasTone(host, 900), false, "an audience is not heard");
  assert.equal(await frames(host, "fan"), 0);
  await ask(fan, "leaveRoom");
  await join(fan, "member");
  await hearsTone(host, 900);
  await sees(host, "fan");
  for (const page of [fan, host]) await ask(page, "leaveRoom");
  await close(host, fan);
});

test("two rooms that are linked see and hear each other until the link ends", async () => {
  const [ann, cid] = await Promise.all([
    person("ann", (page) => hums(page, 600)),
    person("cid", (page) => hums(page, 900)),
  ]);
  for (const page of [ann, cid]) {
    await page.evaluate(async () => {
      window.call = (await window.calls.joinRoom(`stage of ${Math.random()}`, { role: "host" })).id;
    });
  }
  for (const page of [ann, cid]) await until(() => page.evaluate(() => window.calls.mediaOf(window.call).room.state === "connected"), "media");
  const peer = await cid.evaluate(() => window.call);
  const link = await ask(ann, "linkRoom", peer);
  await Promise.all([hearsTone(ann, 900), hearsTone(cid, 600), sees(ann, "cid"), sees(cid, "ann")]);
  await ask(ann, "unlinkRoom", link);
  await until(async () => (await ann.evaluate(() => window.calls.mediaOf(window.call).room.participants.size)) === 0, "the end of the link");
  for (const page of [ann, cid]) await ask(page, "leaveRoom");
  await close(ann, cid);
});

test("a call outlives a network that goes away, and what happened meanwhile is told once and in order", async () => {
  const [alice, bob] = await Promise.all(["alice", "bob"].map((user) => person(user)));
  await talk(alice, bob, "bob");
  await Promise.all([alice, bob].map((page) => receives(page, { video: true })));
  const context = alice.page.context();
  await alice.evaluate(() => window.calls.on("interrupted", () => window.log.push("interrupted")));
  await context.setOffline(true);
  await logged(alice, "interrupted");
  for (const key of "123") await ask(bob, "dtmf", key);
  await ask(bob, "sendMessage", "are you there?");
  await receives(bob, { video: true }); // media has another way
  await context.setOffline(false);
  await logged(alice, "message are you there?", 60);
  const told = await alice.evaluate(() => window.log.filter((line) => /^(dtmfReceived|message)/.test(line)));
  assert.deepEqual(told, ["dtmfReceived 1", "dtmfReceived 2", "dtmfReceived 3", "message are you there?"]);
  await ask(alice, "sendMessage", "again");
  await logged(bob, "message again");
  await ask(bob, "hangUp");
  await logged(alice, "callEnded");
  await close(alice, bob);
});
