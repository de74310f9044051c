// Calls of Chromium, recorded in each mode: what ffmpeg makes of the files, and whether Chromium and
// Firefox play them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { startChromium } from "./chromium.mjs";
import { startFirefox } from "./firefox.mjs";
import { startServer, token, until } from "./server.mjs";

const run = promisify(execFile);
const LONG = { maxBuffer: 64 << 20 };

let server, chromium, firefox, folder;

before(async () => {
  server = await startServer();
  [chromium, firefox] = await Promise.all([startChromium(), startFirefox()]);
  folder = mkdtempSync(join(tmpdir(), "crosspoint-recording-"));
});
after(async () => {
  await chromium?.stop();
  await firefox?.stop();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** A page that has joined and publishes its fake camera and microphone, or a beep and flash. */
async function person(room, identity, source = "devices", codec = undefined) {
  const page = await chromium.open(`${server.url}/sdk/crosspoint.js`);
  await page.evaluate(
    async ({ jwt, source, codec }) => {
      const { Room } = await import("/sdk/crosspoint.js");
      window.room = new Room();
      if (source === "beeps") {
        // White and 1 kHz for 200 ms at each full second, of one clock.
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [320, 240];
        const paint = canvas.getContext("2d");
        const audio = new AudioContext();
        const tone = audio.createOscillator();
        tone.frequency.value = 1000;
        const gain = audio.createGain();
        gain.gain.value = 0;
        const out = audio.createMediaStreamDestination();
        tone.connect(gain).connect(out);
        tone.start();
        let scheduled = Math.ceil(audio.currentTime) + 1;
        const draw = () => {
          const now = audio.currentTime;
          while (scheduled < now + 2) {
            gain.gain.setValueAtTime(0.8, scheduled);
            gain.gain.setValueAtTime(0, scheduled + 0.2);
            scheduled += 1;
          }
          paint.fillStyle = now % 1 < 0.2 ? "white" : "black";
          paint.fillRect(0, 0, canvas.width, canvas.height);
          // Something must change for a frame to be sent.
          paint.fillStyle = `hsl(${(now * 360) % 360} 50% 50%)`;
          paint.fillRect(0, 0, 8, 8);
        };
        setInterval(draw, 10);
        await audio.resume();
        const [picture] = canvas.captureStream(30).getVideoTracks();
        await room.localParticipant.publish(picture, { source: "camera", codec });
        await room.localParticipant.publish(out.stream.getAudioTracks()[0], { source: "microphone", dtx: false });
      }
      await room.join(location.origin, jwt);
      if (source === "devices") {
        await room.localParticipant.setMicrophoneEnabled(true);
        await room.localParticipant.setCameraEnabled(true);
      }
    },
    { jwt: await token(room, identity), source, codec },
  );
  return page;
}

/** Records `room` for so many seconds once its tracks are written; the finished recording. */
async function record(room, request, seconds, during = async () => {}) {
  const { id } = await server.api("POST", `/v1/rooms/${room}/recordings`, request);
  const tracks = (await server.api("GET", `/v1/rooms/${room}/participants`)).participants
    .flatMap((participant) => participant.tracks).length;
  await until(
    async () => (await server.api("GET", `/v1/recordings/${id}`)).files.length === tracks,
    "all tracks to be written",
  );
  const from = Date.now();
  await during();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const real = Date.now() - from;
  await server.api("POST", `/v1/recordings/${id}/stop`, {});
  await server.api("POST", `/v1/recordings/${id}/stop`, {});
  const recording = await until(async () => {
    const found = await server.api("GET", `/v1/recordings/${id}`);
    return ["ready", "aborted"].includes(found.state) && found;
  }, "the recording to be ready", 180);
  return { ...recording, real };
}

async function download(recording, file) {
  const jwt = await token("", "admin", { roomJoin: false, roomRecord: true });
  const url = `${server.url}/v1/recordings/${recording.id}/files/${file.name}?access_token=${jwt}`;
  const response = await fetch(url);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), file.contentType);
  const path = join(folder, `${recording.id}-${file.name}`);
  const bytes = Buffer.from(await response.arrayBuffer());
  assert.equal(bytes.length, file.bytes);
  writeFileSync(path, bytes);
  return { path, url };
}

/** ffmpeg decodes all of it without a word; its duration in milliseconds. */
async function decode(path) {
  // Frames come when they come: nothing is to be rounded to a frame rate.
  const asItIs = ["-fps_mode", "passthrough", "-enc_time_base:v", "-1", "-f", "null", "-"];
  const { stderr } = await run("ffmpeg", ["-nostdin", "-v", "error", "-xerror", "-i", path, ...asItIs], LONG);
  assert.equal(stderr, "");
  const { stdout } = await run("ffprobe", ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path]);
  return Number(stdout) * 1000;
}

/** What Chromium and Firefox say of playing it. */
const plays = (url) => Promise.all([chromium, firefox].map((browser) => playsIn(browser, url)));

async function playsIn(browser, url) {
  const page = await browser.open(`${server.url}/sdk/crosspoint.js`);
  const found = await page.evaluate(async (url) => {
    const video = document.createElement("video");
    video.muted = true;
    video.src = url;
    const failed = new Promise((_, reject) => (video.onerror = () => reject(new Error(video.error?.message))));
    await Promise.race([video.play(), failed]);
    await Promise.race([
      failed,
      new Promise((resolve) => (video.ontimeupdate = () => video.currentTime > 1 && resolve())),
    ]);
    // Seeking needs the cues, and ranges.
    video.currentTime = video.duration / 2;
    await Promise.race([failed, new Promise((resolve) => (video.onseeked = resolve))]);
    return { duration: video.duration, width: video.videoWidth };
  }, url);
  await page.close();
  return { browser: browser.name, ...found };
}

describe("recordings of Chromium", () => {
  it("has each track in a file that decodes, plays and lasts as long as the call", async () => {
    const people = [await person("tracks", "ada"), await person("tracks", "bob")];
    const recording = await record("tracks", {}, 6);
    for (const page of people) await page.close();
    assert.equal(recording.state, "ready", JSON.stringify(recording));
    assert.equal(recording.reason, "stopped");
    assert.equal(recording.files.length, 4);
    assert.deepEqual([...recording.participants].sort(), ["ada", "bob"]);
    for (const file of recording.files) {
      const { path, url } = await download(recording, file);
      const duration = await decode(path);
      assert.ok(Math.abs(duration - file.durationMs) <= 100, `${file.name}: ${duration} ${file.durationMs}`);
      // To the end of the recording, and at least all of the time since all were written.
      const end = file.offsetMs + file.durationMs;
      assert.ok(Math.abs(end - recording.durationMs) <= 100, `${file.name}: ${end} ${recording.durationMs}`);
      assert.ok(file.durationMs >= recording.real - 100, `${file.name}: ${file.durationMs} ${recording.real}`);
      for (const played of await plays(url)) {
        const apart = Math.abs(played.duration * 1000 - file.durationMs);
        assert.ok(apart <= 100, `${file.name} in ${played.browser}: ${played.duration}`);
      }
    }
    const part = await fetch((await download(recording, recording.files[0])).url, { headers: { range: "bytes=0-3" } });
    assert.equal(part.status, 206);
    assert.equal(Buffer.from(await part.arrayBuffer()).toString("hex"), "1a45dfa3");
  });

  it("keeps each codec as it came", async () => {
    const codecs = ["VP8", "VP9", "H264", "AV1"];
    const people = await Promise.all(codecs.map((codec) => person("codecs", codec.toLowerCase(), "beeps", codec)));
    const recording = await record("codecs", {}, 4);
    for (const page of people) await page.close();
    assert.equal(recording.state, "ready", JSON.stringify(recording));
    const videos = recording.files.filter((file) => file.contentType.startsWith("video/"));
    assert.deepEqual(videos.map((file) => file.codec).sort(), [...codecs].sort());
    for (const file of videos) {
      const { path, url } = await download(recording, file);
      const duration = await decode(path);
      assert.ok(Math.abs(duration - file.durationMs) <= 100, `${file.codec}: ${duration} ${file.durationMs}`);
      // Firefox knows no Matroska but WebM.
      const played = file.contentType.endsWith("webm") ? await plays(url) : [await playsIn(chromium, url)];
      for (const { browser, width } of played) assert.equal(width, 320, `${file.codec} in ${browser}`);
    }
  });

  it("has lips and voice together", async () => {
    const page = await person("lips", "ada", "beeps");
    const recording = await record("lips", {}, 15);
    await page.close();
    const [flashes, beeps] = [[], []];
    for (const file of recording.files) {
      const { path } = await download(recording, file);
      const video = file.contentType.startsWith("video/");
      const filter = video
        ? ["-vf", "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-"]
        : ["-af", "asetnsamples=240,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.RMS_level:file=-"];
      const { stdout } = await run("ffmpeg", ["-nostdin", "-v", "error", "-i", path, ...filter, "-f", "null", "-"], LONG);
      let at = 0;
      let was = true;
      for (const line of stdout.split("\n")) {
        at = line.match(/pts_time:([\d.]+)/)?.[1] ?? at;
        const value = line.match(/(?:YAVG|RMS_level)=(.*)/)?.[1];
        if (value === undefined) continue;
        const on = Number(value) > (video ? 128 : -30);
        if (on && !was) (video ? flashes : beeps).push(Number(at) * 1000 + file.offsetMs);
        was = on;
      }
    }
    const pairs = flashes
      .map((flash) => beeps.map((beep) => beep - flash).sort((a, b) => Math.abs(a) - Math.abs(b))[0])
      .filter((difference) => Math.abs(difference) < 500);
    assert.ok(pairs.length >= 10, `${flashes} ${beeps}`);
    pairs.sort((a, b) => a - b);
    const median = pairs[pairs.length >> 1];
    console.log(`beeps come ${Math.round(median)} ms after flashes (${pairs.map(Math.round)})`);
    assert.ok(Math.abs(median) <= 40, `${pairs}`);
  });

  it("makes one stereo file of a call", async () => {
    const people = [await person("call", "ada"), await person("call", "bob")];
    const recording = await record("call", { mode: "call" }, 5);
    for (const page of people) await page.close();
    assert.equal(recording.state, "ready", JSON.stringify(recording));
    const file = recording.files.find((file) => file.name === "call.webm");
    const { path, url } = await download(recording, file);
    const duration = await decode(path);
    assert.ok(Math.abs(duration - recording.durationMs) <= 100, `${duration} ${recording.durationMs}`);
    // Both sides are heard: the fake microphone beeps.
    const { stderr } = await run("ffmpeg", ["-nostdin", "-i", path, "-af", "astats=measure_overall=none", "-f", "null", "-"], LONG);
    const levels = [...stderr.matchAll(/RMS peak dB: (\S+)/g)].map((match) => Number(match[1]));
    assert.equal(levels.length, 2);
    assert.ok(levels.every((level) => level > -50), `${levels}`);
    await plays(url);
  });

  for (const format of ["webm", "mp4"]) {
    it(`makes one ${format} of everything`, async () => {
      const room = `mixed-${format}`;
      const people = [await person(room, "ada"), await person(room, "bob")];
      const recording = await record(room, { mode: "mixed", format }, 5);
      for (const page of people) await page.close();
      assert.equal(recording.state, "ready", JSON.stringify(recording));
      assert.equal(recording.progress, 100);
      const file = recording.files.find((file) => file.name === `mixed.${format}`);
      const { path, url } = await download(recording, file);
      const duration = await decode(path);
      assert.ok(Math.abs(duration - recording.durationMs) <= 100, `${duration} ${recording.durationMs}`);
      // Debian's browsers play H264 and AAC, too.
      for (const played of await plays(url)) assert.equal(played.width, 1280, played.browser);
      if (process.env.KEEP) await run("cp", [path, process.env.KEEP]);
    });
  }

  it("lists gaps while a track is muted by the server", async () => {
    const page = await person("mute", "ada");
    const recording = await record("mute", {}, 2, async () => {
      const [{ tracks }] = (await server.api("GET", "/v1/rooms/mute/participants")).participants;
      for (const muted of [true, false]) {
        for (const track of tracks) await server.api("PATCH", `/v1/rooms/mute/tracks/${track.sid}`, { muted });
        await new Promise((resolve) => setTimeout(resolve, 2500));
      }
    });
    await page.close();
    assert.equal(recording.state, "ready");
    for (const track of recording.tracks) {
      const mute = track.gaps.find((gap) => gap.reason === "mute");
      assert.ok(mute.durationMs > 2000 && mute.durationMs < 4500, JSON.stringify(track.gaps));
    }
    for (const file of recording.files) {
      const duration = await decode((await download(recording, file)).path);
      assert.ok(Math.abs(duration - file.durationMs) <= 100, `${file.name}: ${duration}`);
    }
  });

  it("is delivered by the next server when one was killed", async () => {
    const [data, target] = ["data", "target"].map((name) => join(folder, name));
    const env = { CROSSPOINT_DATA_DIR: data, CROSSPOINT_RECORDING_TARGET: target };
    const first = await startServer(env);
    const page = await chromium.open(await first.meet("killed", "ada"));
    await until(async () => {
      const room = await first.api("GET", "/v1/rooms/killed/participants").catch(() => null);
      return room?.participants[0]?.tracks.length === 2;
    }, "ada's tracks");
    const { id } = await first.api("POST", "/v1/rooms/killed/recordings", {});
    const grown = await until(async () => {
      const found = await first.api("GET", `/v1/recordings/${id}`);
      return found.files.length === 2 && found.durationMs > 4000 && found;
    }, "four seconds");
    await first.stop();
    await page.close();

    const second = await startServer(env);
    const recording = await until(async () => {
      const found = await second.api("GET", `/v1/recordings/${id}`);
      return found.state === "ready" && found;
    }, "the delivery");
    const { recordings } = await second.api("GET", "/v1/recordings?room=killed");
    assert.deepEqual(recordings.map((found) => [found.id, found.state]), [[id, "ready"]]);
    await second.stop();
    assert.equal(recording.reason, "crashed");
    assert.ok(recording.durationMs >= grown.durationMs - 1000, `${recording.durationMs} ${grown.durationMs}`);
    for (const file of recording.files) {
      const path = join(target, id, file.name);
      const sum = createHash("sha256").update(readFileSync(path)).digest("hex");
      assert.equal(sum, file.sha256);
      const duration = await decode(path);
      assert.ok(Math.abs(duration - file.durationMs) <= 100, `${file.name}: ${duration} ${file.durationMs}`);
    }
  });

  it("refuses what is no recording, and who may not", async () => {
    const jwt = await token("tracks", "eve");
    const denied = await fetch(`${server.url}/v1/recordings`, { headers: { authorization: `Bearer ${jwt}` } });
    assert.equal(denied.status, 403);
    const admin = await token("", "admin", { roomJoin: false, roomRecord: true });
    const { recordings } = await server.api("GET", "/v1/recordings");
    const { id } = recordings[0];
    for (const path of ["RC_..%2F..%2Fetc00", `${id}/files/..%2F..%2Fcrosspoint.key`, `${id}/files/%2Fetc%2Fpasswd`, `${id}/files/.manifest.json.new`]) {
      const response = await fetch(`${server.url}/v1/recordings/${path}`, { headers: { authorization: `Bearer ${admin}` } });
      assert.equal(response.status, 404, path);
    }
    await assert.rejects(server.api("POST", "/v1/rooms/nowhere/recordings", {}), /404/);
  });
});
