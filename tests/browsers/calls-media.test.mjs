// What calls promise about media, measured in browsers: hold, transfer, whisper, listening, keys.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, caller, logged, receives, startHouse } from "./calls.mjs";
import { stats } from "./people.mjs";
import { until } from "./server.mjs";
import { hasTone, hearsTone, hums, lacksTone } from "./tones.mjs";

const TENANT = "centre";
/** What everybody's microphone hums, in Hz. */
const TONES = { alice: 600, bob: 750, carol: 900, sam: 1500, guest: 1200 };
let house;

before(async () => {
  house = await startHouse();
  await house.admin("PUT", `/v1/tenants/${TENANT}`, { openRegistration: true, rejectPolicy: "overflow" });
  await house.admin("PUT", `/v1/tenants/${TENANT}/groups/service`, { name: "Service", kind: "skill", members: [] });
  for (const user of ["alice", "bob", "carol", "sam"]) {
    await house.admin("PUT", `/v1/tenants/${TENANT}/users/${user}`, {
      name: user,
      skillGroups: ["service"],
      supervisor: user === "sam",
    });
  }
});
after(() => house?.stop());

/** Somebody whose microphone hums, and whose page notes what its sockets are sent. */
const person = (user, login) =>
  caller(house, TENANT, user, {
    ...login,
    setUp: async (page) => {
      await hums(page, TONES[user]);
      await page.evaluate(() => {
        window.frames = [];
        window.WebSocket = class extends WebSocket {
          constructor(...args) {
            super(...args);
            this.addEventListener("message", ({ data }) => window.frames.push(String(data)));
          }
        };
      });
    },
  });

/** An agent and a customer who see and hear each other. */
async function talking() {
  const agent = await person("alice", { seat: true });
  const guest = await person("guest");
  await guest.evaluate(async () => {
    window.call = (await window.calls.createCall({ type: "queue", group: "service" })).id;
  });
  await logged(agent, "inviteReceived");
  await agent.evaluate(() => window.calls.accept(window.invite));
  await Promise.all([agent, guest].map((page) => receives(page, { video: true })));
  return { agent, guest };
}
const close = (...pages) => Promise.all(pages.map((page) => page.close()));
const negotiations = (page) => page.evaluate(() => [window.offers, window.negotiations, window.peers.length]);

test("hold and its end negotiate nothing", async () => {
  const { agent, guest } = await talking();
  await Promise.all([hearsTone(agent, TONES.guest), hearsTone(guest, TONES.alice)]);
  const before = await Promise.all([agent, guest].map(negotiations));
  await ask(agent, "hold");
  await Promise.all([lacksTone(agent, TONES.guest), lacksTone(guest, TONES.alice)]);
  const still = await Promise.all([agent, guest].map(stats));
  await lacksTone(guest, TONES.alice);
  const later = await Promise.all([agent, guest].map(stats));
  assert.ok(later[1].videoFrames - still[1].videoFrames < 8, "who is held sees nothing");
  await ask(agent, "unhold");
  await Promise.all([hearsTone(agent, TONES.guest), hearsTone(guest, TONES.alice)]);
  await Promise.all([agent, guest].map((page) => receives(page, { video: true })));
  assert.deepEqual(await Promise.all([agent, guest].map(negotiations)), before);
  await ask(guest, "hangUp");
  await close(agent, guest);
});

test("keys arrive one by one and in order", async () => {
  const { agent, guest } = await talking();
  for (const key of "110#*ABCD9") await ask(guest, "dtmf", key);
  await logged(agent, "dtmfReceived 9");
  const keys = await agent.evaluate(() => window.log.filter((line) => line.startsWith("dtmfReceived")).map((line) => line.slice(-1)));
  assert.equal(keys.join(""), "110#*ABCD9");
  await ask(guest, "hangUp");
  await close(agent, guest);
});

/** Begins to measure how long a page has neither pictures nor one of these tones; ended by `gaps`. */
const watch = (page, tones) =>
  page.evaluate((tones) => {
    const ear = (window.ear ??= new AudioContext());
    const gaps = (window.gaps = { sound: 0, pictures: 0, on: true });
    const last = { sound: performance.now(), pictures: performance.now() };
    const note = (what) => {
      const now = performance.now();
      if (gaps.on) gaps[what] = Math.max(gaps[what], now - last[what]);
      last[what] = now;
    };
    for (const { track } of window.peers[0].getReceivers()) {
      const media = document.createElement(track.kind);
      media.muted = true;
      media.srcObject = new MediaStream([track]);
      media.play().catch(() => {});
      if (track.kind === "video") {
        const look = () => (note("pictures"), media.requestVideoFrameCallback(look));
        media.requestVideoFrameCallback(look);
        continue;
      }
      const analyser = new AnalyserNode(ear, { fftSize: 2048, smoothingTimeConstant: 0 });
      ear.createMediaStreamSource(media.srcObject).connect(analyser);
      const bins = new Float32Array(1024);
      setInterval(() => {
        analyser.getFloatFrequencyData(bins);
        if (tones.some((hz) => bins[Math.round((hz * 2048) / ear.sampleRate)] > -40)) note("sound");
      }, 20);
    }
  }, tones);
const gaps = (page) =>
  page.evaluate(() => {
    window.gaps.on = false;
    return window.gaps;
  });

test("a customer who is handed over is without media for less than a second, and negotiates nothing", async (t) => {
  const { agent, guest } = await talking();
  const bob = await person("bob", { seat: true });
  await hearsTone(guest, TONES.alice);
  const before = await negotiations(guest);
  await ask(agent, "transferAsk", "bob");
  await logged(bob, "transferUpdate requested");
  await watch(guest, [TONES.alice, TONES.bob]);
  await ask(bob, "transferAccept", "$call");
  await Promise.all([hearsTone(guest, TONES.bob), hearsTone(bob, TONES.guest)]);
  await receives(guest, { video: true });
  await lacksTone(guest, TONES.alice);
  const { sound, pictures } = await gaps(guest);
  t.diagnostic(`without sound for ${sound.toFixed(0)} ms, without pictures for ${pictures.toFixed(0)} ms`);
  assert.ok(sound < 1_000, `${sound} ms without sound`);
  assert.ok(pictures < 1_000, `${pictures} ms without pictures`);
  assert.deepEqual(await negotiations(guest), before);
  await ask(guest, "hangUp");
  await close(agent, bob, guest);
});

/** What a page was sent, but for what comes all the time: who speaks, and how the network does. */
const sent = (page) =>
  page.evaluate(() => {
    const steady = new Set(["activeSpeakers", "pong", "reply", "subscriptionChanged", "encodingsWanted"]);
    const all = window.frames.splice(0);
    return { types: all.map((text) => JSON.parse(text).type).filter((type) => !steady.has(type)), text: all.join("\n") };
  });

test("who listens is not noticed, who whispers is heard by the agent alone, who barges in by all", async () => {
  const { agent, guest } = await talking();
  const sam = await person("sam");
  await sam.evaluate(async () => {
    const [call] = await window.calls.queryCalls();
    window.call = call.id;
  });
  await Promise.all([hearsTone(agent, TONES.guest), hearsTone(guest, TONES.alice)]);
  const shape = (page) =>
    page.evaluate(async () => {
      const room = window.calls.mediaOf(window.call).room;
      const call = await window.calls.queryCall();
      return {
        people: [...room.participants.keys()],
        count: room.info.numParticipants,
        members: call.call.participants.map(({ person }) => person.user),
        negotiations: [window.offers, window.negotiations],
      };
    });
  const before = await Promise.all([agent, guest].map(shape));
  await Promise.all([agent, guest].map(sent));

  await ask(sam, "monStart", "$call");
  await logged(sam, "monitorUpdate listening");
  await Promise.all([hearsTone(sam, TONES.alice), hearsTone(sam, TONES.guest), receives(sam, { video: true })]);
  for (const page of [agent, guest]) {
    assert.equal(await hasTone(page, TONES.sam), false, "who listens is not heard");
    const { types, text } = await sent(page);
    assert.deepEqual(types, [], "nothing is told");
    assert.ok(!text.includes("sam"), text);
  }
  assert.deepEqual(await Promise.all([agent, guest].map(shape)), before);

  await ask(sam, "monWhisper", "$call", true);
  await hearsTone(agent, TONES.sam);
  assert.equal(await hasTone(guest, TONES.sam), false, "the customer hears no whisper");
  assert.ok(!(await sent(guest)).text.includes("sam"), "nor hears of it");
  await ask(sam, "monWhisper", "$call", false);
  await lacksTone(agent, TONES.sam);

  await ask(sam, "monBarge", "$call");
  await Promise.all([hearsTone(agent, TONES.sam), hearsTone(guest, TONES.sam)]);
  await logged(guest, "participantJoined");
  await ask(sam, "monExitBarge", "$call");
  await Promise.all([lacksTone(agent, TONES.sam), lacksTone(guest, TONES.sam)]);
  await Promise.all([hearsTone(agent, TONES.guest), hearsTone(guest, TONES.alice)]);
  await ask(guest, "hangUp");
  await close(agent, guest, sam);
});
