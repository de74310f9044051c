// What the SDK and the room-control API do together, seen from inside Chromium.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KEEP_PEERS, hears, stats } from "./people.mjs";
import { token, until } from "./server.mjs";
import { chromium, server, setStage } from "./stage.mjs";

setStage();

/** A page with a joined `window.room`; remote videos are attached to elements in `#others`. */
async function person(room, identity, publish = { camera: true, microphone: true }) {
  const page = await chromium.open(`${server.url}/sdk/crosspoint.js`, KEEP_PEERS);
  await page.evaluate(
    async ({ jwt, publish }) => {
      const { Room } = await import("/sdk/crosspoint.js");
      document.body.replaceChildren();
      window.room = new Room();
      window.log = [];
      const show = ({ participant, track }) => {
        if (track.kind !== "video") return;
        const video = track.attach();
        video.dataset.identity = participant.identity;
        video.dataset.source = track.source;
        video.muted = true;
        video.autoplay = true;
        document.body.append(video);
        video.play();
      };
      room.on("trackSubscribed", show);
      room.on("trackUnsubscribed", ({ participant, track }) => {
        window.log.push(`unsubscribed ${participant.identity} ${track.source}`);
        for (const video of document.querySelectorAll("video")) {
          if (video.dataset.identity === participant.identity && video.dataset.source === track.source) video.remove();
        }
      });
      room.on("stateChanged", ({ state, reason }) => window.log.push(`${state} ${reason}`));
      room.on("moved", ({ room: info }) => window.log.push(`moved ${info.name}`));
      room.on("localTrackMuted", ({ track, byServer }) => window.log.push(`muted ${track.source} by ${byServer ? "server" : "owner"} live ${track.isLive}`));
      room.on("message", ({ from, topic, text }) => window.log.push(`message ${from} ${topic} ${text}`));
      if (publish.media) {
        for (const [source, constraints, options] of publish.media) {
          const stream = source === "screen_share"
            ? await navigator.mediaDevices.getDisplayMedia(constraints)
            : await navigator.mediaDevices.getUserMedia(constraints);
          await room.localParticipant.publish(stream.getTracks()[0], { source, ...options });
        }
      }
      await room.join(location.origin, jwt);
      if (publish.microphone) await room.localParticipant.setMicrophoneEnabled(true);
      if (publish.camera) await room.localParticipant.setCameraEnabled(true);
    },
    { jwt: await token(room, identity), publish },
  );
  return page;
}

const frames = (page, identity, source = "camera") =>
  page.evaluate(
    ({ identity, source }) =>
      document
        .querySelector(`video[data-identity="${identity}"][data-source="${source}"]`)
        ?.getVideoPlaybackQuality().totalVideoFrames ?? null,
    { identity, source },
  );

/** Waits for `count` more frames of somebody. */
async function flows(page, identity, source = "camera", count = 20) {
  const from = await until(
    async () => (await frames(page, identity, source)) ?? undefined,
    `a picture of ${identity}`,
  );
  await until(
    async () => (await frames(page, identity, source)) >= from + count,
    `${count} frames of ${identity}`,
  );
}

/** Fails if frames of somebody still come after a moment of grace for what is on the way. */
async function stops(page, identity) {
  let last = -1;
  await until(async () => {
    const now = await frames(page, identity);
    const still = now === null || now === last;
    last = now;
    if (still) return true;
    await new Promise((resolve) => setTimeout(resolve, 700));
    return false;
  }, `the picture of ${identity} to stop`);
}

const logged = (page, pattern) =>
  until(
    () => page.evaluate((source) => window.log.find((line) => new RegExp(source).test(line)), pattern.source),
    `${pattern} in the page's log`,
  );

const CAMERA = { video: { width: 640, height: 480 } };

describe("codecs", () => {
  for (const [codec, mime] of [["VP8", "video/VP8"], ["VP9", "video/VP9"], ["H264", "video/H264"], ["AV1", "video/AV1"]]) {
    it(`forwards ${codec}`, async () => {
      const room = `codec-${codec}`;
      const ann = await person(room, "ann", { media: [["camera", CAMERA, { codec, simulcast: false }]] });
      const bob = await person(room, "bob", {});
      await flows(bob, "ann", "camera", 40);
      const { codecs } = await stats(bob);
      assert.deepEqual(codecs, [mime]);
      // Somebody who comes late has a picture in less than a second.
      const cat = await person(room, "cat", {});
      const late = await until(
        () => cat.evaluate(() => room.timings.joinToFirstFrameMs),
        "a first picture",
      );
      assert.ok(late < 1000, `first picture after ${late} ms`);
      for (const page of [ann, bob, cat]) await page.close();
    });
  }

  it("forwards sound alone", async () => {
    const ann = await person("audio-only", "ann", { microphone: true });
    const bob = await person("audio-only", "bob", { microphone: true });
    await hears(bob);
    await hears(ann);
    assert.equal((await stats(bob)).videoPackets, 0);
    // Statistics name the codec within.
    const sent = await ann.evaluate(() => {
      const senders = peers[0].getSenders().filter((sender) => sender.track);
      return senders.map((sender) => sender.getParameters().codecs[0].mimeType);
    });
    assert.deepEqual(sent, ["audio/red"], "each packet takes the sound before it along");
    for (const page of [ann, bob]) await page.close();
  });

  it("forwards a shared screen beside the camera", async () => {
    const ann = await person("screen", "ann");
    const bob = await person("screen", "bob", {});
    await flows(bob, "ann");
    await ann.evaluate(async () => void (await room.localParticipant.setScreenShareEnabled(true)));
    await flows(bob, "ann", "screen_share", 5);
    await flows(bob, "ann", "camera");
    await ann.evaluate(async () => void (await room.localParticipant.setScreenShareEnabled(false)));
    await logged(bob, /unsubscribed ann screen_share/);
    for (const page of [ann, bob]) await page.close();
  });
});

describe("WHEP", () => {
  it("plays a room in a browser without the SDK", async () => {
    const ann = await person("stage-whep", "ann");
    const viewer = await chromium.open(`${server.url}/sdk/crosspoint.js`, KEEP_PEERS);
    const session = await viewer.evaluate(
      async ({ url, jwt }) => {
        document.body.replaceChildren();
        const peer = new RTCPeerConnection();
        peer.addTransceiver("audio", { direction: "recvonly" });
        peer.addTransceiver("video", { direction: "recvonly" });
        peer.ontrack = ({ track, streams }) => {
          if (track.kind !== "video") return;
          const video = Object.assign(document.createElement("video"), { autoplay: true });
          video.dataset.identity = "ann";
          video.dataset.source = "camera";
          video.srcObject = streams[0];
          document.body.append(video);
        };
        await peer.setLocalDescription();
        const response = await fetch(url, {
          method: "POST",
          headers: { authorization: `Bearer ${jwt}`, "content-type": "application/sdp" },
          body: peer.localDescription.sdp,
        });
        await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
        return new URL(response.headers.get("location"), url).href;
      },
      { url: `${server.url}/whep/stage-whep`, jwt: await token("stage-whep", "viewer") },
    );
    await flows(viewer, "ann");
    await hears(viewer);
    const jwt = await token("stage-whep", "viewer");
    const ended = await fetch(session, { method: "DELETE", headers: { authorization: `Bearer ${jwt}` } });
    assert.equal(ended.status, 200);
    for (const page of [ann, viewer]) await page.close();
  });
});

describe("room control", () => {
  it("mutes a track at the server and unmutes it, without negotiation", async () => {
    const ann = await person("mute", "ann");
    const bob = await person("mute", "bob", {});
    await flows(bob, "ann");
    const offers = (await stats(bob)).offers;
    const { tracks } = await server.api("GET", "/v1/rooms/mute/participants/ann");
    const camera = tracks.find((track) => track.source === "camera");
    await server.api("PATCH", `/v1/rooms/mute/tracks/${camera.sid}`, { muted: true });
    await logged(ann, /muted camera by server live false/);
    await stops(bob, "ann");
    await server.api("PATCH", `/v1/rooms/mute/tracks/${camera.sid}`, { muted: false });
    await flows(bob, "ann");
    assert.equal((await stats(bob)).offers, offers);
    for (const page of [ann, bob]) await page.close();
  });

  it("moves a participant to another room, without rejoining", async () => {
    const ann = await person("here", "ann");
    const bob = await person("here", "bob");
    const cat = await person("there", "cat");
    await flows(bob, "ann");
    const offers = (await stats(ann)).offers;
    await server.api("POST", "/v1/rooms/here/participants/ann/move", { to: "there" });
    await logged(ann, /moved there/);
    await flows(cat, "ann");
    await flows(ann, "cat");
    await until(async () => (await frames(bob, "ann")) === null, "ann to be gone from the old room");
    const now = await stats(ann);
    assert.equal(now.offers, offers, "no negotiation");
    await hears(cat);
    for (const page of [ann, bob, cat]) await page.close();
  });

  it("forwards a participant into another room as well", async () => {
    const ann = await person("stage", "ann");
    const bob = await person("stage", "bob", {});
    const cat = await person("hall", "cat", {});
    await flows(bob, "ann");
    const offers = (await stats(cat)).offers;
    await server.api("POST", "/v1/rooms/stage/participants/ann/forward", { to: "hall" });
    await flows(cat, "ann");
    await flows(bob, "ann");
    assert.equal((await stats(cat)).offers, offers, "no negotiation");
    for (const page of [ann, bob, cat]) await page.close();
  });

  it("lets a subscriber stop and take up a track again", async () => {
    const ann = await person("wish", "ann");
    const bob = await person("wish", "bob", {});
    await flows(bob, "ann");
    const wish = (wanted) =>
      bob.evaluate(async (wanted) => {
        await room.subscribe(room.participants.get("ann").track("camera"), { wanted });
      }, wanted);
    await wish(false);
    await stops(bob, "ann");
    await wish(true);
    await flows(bob, "ann");
    for (const page of [ann, bob]) await page.close();
  });

  it("relays application messages by data channel and from the API", async () => {
    const ann = await person("chat", "ann", {});
    const bob = await person("chat", "bob", {});
    await ann.evaluate(async () => void (await room.send("hello", { topic: "chat" })));
    await logged(bob, /message ann chat hello/);
    await bob.evaluate(async () => void (await room.send("psst", { topic: "chat", reliable: false, to: ["ann"] })));
    await logged(ann, /message bob chat psst/);
    await server.api("POST", "/v1/rooms/chat/messages", { topic: "notice", text: "soon" });
    await logged(ann, /message null notice soon/);
    for (const page of [ann, bob]) await page.close();
  });

  it("ends the first stay when the same identity joins again", async () => {
    const first = await person("twice", "ann", {});
    const second = await person("twice", "ann", {});
    await logged(first, /disconnected duplicate_identity/);
    const { length } = await server.api("GET", "/v1/rooms/twice/participants").then((r) => r.participants ?? r);
    assert.equal(length, 1);
    for (const page of [first, second]) await page.close();
  });
});

describe("a lost signalling connection", () => {
  it("leaves media alone and is resumed", async () => {
    const ann = await person("resume", "ann");
    const bob = await person("resume", "bob");
    await flows(bob, "ann");
    await hears(bob);
    // The WebSocket of ann cannot come back for 20 s.
    const before = await stats(bob);
    await ann.page.context().setOffline(true);
    await new Promise((resolve) => setTimeout(resolve, 20_000));
    const after = await stats(bob);
    await logged(ann, /reconnecting/);
    await ann.page.context().setOffline(false);
    // Counted where it arrives: what a busy machine shows or plays late is not a gap of media.
    assert.equal(after.lost, before.lost, "no packet is lost");
    const voice = after.audioPackets - before.audioPackets;
    assert.ok(voice > 20 * 45, `${voice} packets of sound in 20 s`);
    const frames = after.videoFrames - before.videoFrames;
    assert.ok(frames > 20 * 15, `${frames} frames in 20 s`);
    await ann.evaluate(async () => void (await room.send("back", { topic: "chat" })));
    await logged(bob, /message ann chat back/);
    for (const page of [ann, bob]) await page.close();
  });
});
