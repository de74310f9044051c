// Console, as whoever runs the server sees it, and reports beside what browsers measure themselves.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { KEEP_PEERS, sees } from "./people.mjs";
import { token, until } from "./server.mjs";
import { chromium, server, setStage } from "./stage.mjs";

/** Screenshots go here, for people to look at. */
const SHOTS = process.env.SHOTS_DIR;

const shot = async (page, name) => {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot(join(SHOTS, `${name}.png`));
};

const adminToken = () =>
  token("", "console", { roomJoin: false, roomRecord: true, nodeAdmin: true });

describe("Console", () => {
  setStage();

  const meet = async (room, name) => chromium.open(await server.meet(room, name), KEEP_PEERS);
  const open = async (room = "") => {
    const hash = new URLSearchParams({ token: await adminToken(), ...(room ? { room } : {}) });
    return chromium.open(`${server.url}/console#${hash}`);
  };
  const text = (page) => page.evaluate(() => document.body.innerText);

  it("shows a call with live figures and pictures, mutes and removes", async () => {
    const ann = await meet("talk", "ann");
    const bob = await meet("talk", "bob");
    await sees(ann, ["bob"]);
    await sees(bob, ["ann"]);
    const page = await open("talk");
    await until(async () => /ann[\s\S]*bob/.test(await text(page)), "both people");
    await until(
      () => page.evaluate(() => document.querySelectorAll(".pictures img[src^=blob]").length === 2),
      "a picture of each",
    );
    const sizes = await until(
      () => page.evaluate(() => {
        const images = [...document.querySelectorAll(".pictures img")];
        return images.every((image) => image.naturalWidth > 0) &&
          images.map((image) => [image.naturalWidth, image.naturalHeight]);
      }),
      "pictures that browsers can show",
    );
    for (const [width, height] of sizes) assert.ok(width >= 160 && height >= 120, `${width}x${height}`);
    for (const figures of [/kbit\/s|Mbit\/s/, /MOS\s*\n?\s*4\.\d/, /VP8/]) {
      await until(async () => figures.test(await text(page)), String(figures), 60);
    }
    await shot(page, "console-room-light");

    await page.page.getByRole("button", { name: "Mute", exact: true }).first().click();
    await until(async () => /\bmuted\b/.test(await text(page)), "a muted track");
    await page.page.emulateMedia({ colorScheme: "dark" });
    await page.page.getByRole("button", { name: "Switch to Chinese" }).click();
    await until(async () => /已静音/.test(await text(page)), "Chinese");
    await shot(page, "console-room-dark-zh");

    page.page.once("dialog", (dialog) => dialog.accept());
    await page.page.getByRole("button", { name: "移出" }).last().click();
    await until(async () => (await server.api("GET", "/v1/rooms/talk/participants")).participants.length === 1, "one to be gone");
    await until(async () => /离开/.test(await text(page)), "the event");
    assert.deepEqual(page.errors, []);
    await Promise.all([ann, bob, page].map((it) => it.close()));
  });

  it("says why a picture is as it is", async () => {
    const ann = await meet("why", "ann");
    const bob = await meet("why", "bob");
    await sees(ann, ["bob"]);
    const page = await open("why");
    await page.page.getByRole("button", { name: "Why this quality?" }).first().click();
    const dialog = page.page.getByRole("dialog");
    await until(async () => /Layers that there are/.test(await dialog.innerText()), "an explanation");
    const words = await dialog.innerText();
    // A sentence for people comes first, then figures.
    assert.match(words, /Why (ann|bob) sees this quality\s+[A-Z][^\n]{10,}\./);
    assert.match(words, /\d+×\d+[\s\S]*[kM]bit\/s\s+shown/);
    assert.match(words, /Carries about\s+[\d.]+ [kM]bit\/s/);
    await shot(page, "console-explain-light");
    await page.page.emulateMedia({ colorScheme: "dark" });
    await shot(page, "console-explain-dark");
    await page.page.keyboard.press("Escape");
    await until(async () => !(await dialog.isVisible()), "the dialog to close");
    assert.deepEqual(page.errors, []);
    await Promise.all([ann, bob, page].map((it) => it.close()));
  });

  it("records a room, and plays and hands out what was recorded", async () => {
    const ann = await meet("kept", "ann");
    const bob = await meet("kept", "bob");
    await sees(ann, ["bob"]);
    const page = await open("kept");
    await page.page.getByRole("button", { name: "Record", exact: true }).click();
    const stop = page.page.getByRole("button", { name: "Stop recording" });
    await until(async () => stop.isVisible(), "the recording");
    const recording = await until(async () => {
      const [found] = (await server.api("GET", "/v1/recordings?room=kept")).recordings;
      return found?.files.length === 4 && found.durationMs > 3000 && found;
    }, "three seconds of all tracks");
    await stop.click();
    await until(async () => {
      const found = await server.api("GET", `/v1/recordings/${recording.id}`);
      return found.state === "ready";
    }, "the end");

    await page.page.getByRole("button", { name: "Recordings" }).click();
    const card = page.page.getByRole("article").filter({ hasText: "kept" });
    await until(async () => /ready/.test(await card.innerText()), "the card");
    assert.match(await card.innerText(), /ann, bob|bob, ann/);
    const file = recording.files.find((found) => found.contentType.startsWith("video/"));
    await card.getByRole("button", { name: `Play: ${file.name}` }).click();
    const player = () => page.evaluate(() => {
      const video = document.querySelector("#recordings video");
      return { at: video.currentTime, width: video.videoWidth, error: video.error?.message };
    });
    const played = await until(async () => {
      const now = await player();
      assert.equal(now.error, undefined);
      return now.at > 0.5 && now;
    }, "the player");
    assert.ok(played.width >= 320, `${played.width}`);
    await shot(page, "console-recordings-light");
    await page.page.emulateMedia({ colorScheme: "dark" });
    await shot(page, "console-recordings-dark");
    const [download] = await Promise.all([
      page.page.waitForEvent("download"),
      card.getByRole("link", { name: `Download: ${file.name}` }).click(),
    ]);
    assert.equal(download.suggestedFilename(), file.name);
    const bytes = readFileSync(await download.path());
    const { files } = await server.api("GET", `/v1/recordings/${recording.id}`);
    assert.equal(bytes.length, files.find((found) => found.name === file.name).bytes);
    assert.deepEqual(page.errors, []);
    await Promise.all([ann, bob, page].map((it) => it.close()));
  });

  it("works with 200 rooms", async () => {
    for (let i = 0; i < 200; i += 1) {
      await server.api("POST", "/v1/rooms", { name: `room-${String(i).padStart(3, "0")}` });
    }
    const page = await open();
    const rows = () => page.evaluate(() => document.querySelectorAll("#room-list li").length);
    await until(async () => (await rows()) >= 200, "200 rows");
    // A look at all of them must not hold up the page.
    const longest = await page.evaluate(() => new Promise((resolve) => {
      let longest = 0;
      let last = performance.now();
      const end = last + 5000;
      const frame = (now) => {
        longest = Math.max(longest, now - last);
        last = now;
        if (now < end) requestAnimationFrame(frame);
        else resolve(longest);
      };
      requestAnimationFrame(frame);
    }));
    assert.ok(longest < 500, `a frame took ${longest.toFixed(0)} ms`);
    await page.page.getByRole("searchbox").fill("room-07");
    await until(async () => (await rows()) === 10, "ten rooms found");
    await page.page.getByRole("searchbox").fill("");
    await shot(page, "console-200-rooms");
    await page.page.getByRole("button", { name: "Node" }).click();
    await until(async () => /200/.test(await text(page)), "the node's figures");
    await shot(page, "console-node");
    assert.deepEqual(page.errors, []);
    await page.close();
  });

  it("shows what was, with its summary", async () => {
    const ann = await meet("past", "ann");
    const bob = await meet("past", "bob");
    await sees(ann, ["bob"]);
    await until(async () => {
      const { occurrences } = await server.api("GET", "/v1/history?room=past");
      if (occurrences.length === 0) return false;
      return (await server.api("GET", `/v1/history/${occurrences[0].id}`)).points.length >= 3;
    }, "three points of history", 60);
    await server.api("DELETE", "/v1/rooms/past");
    const ended = await until(async () => {
      const { occurrences } = await server.api("GET", "/v1/history?room=past");
      return occurrences.find((found) => found.summary);
    }, "a summary");
    assert.equal(ended.reason, "room_deleted");
    assert.equal(ended.summary.peakParticipants, 2);
    assert.ok(ended.summary.mosMean > 4, JSON.stringify(ended.summary));
    const { points } = await server.api("GET", `/v1/history/${ended.id}`);
    assert.ok(points.length >= 3, `${points.length} points`);
    const page = await open();
    await page.page.getByRole("button", { name: "History" }).click();
    await until(async () => /past[\s\S]*room_deleted/.test(await text(page)), "the room");
    await shot(page, "console-history");
    await Promise.all([ann, bob, page].map((it) => it.close()));
  });

  it("asks for a token when it has none, and says why one is refused", async () => {
    const page = await chromium.open(`${server.url}/console`);
    await until(async () => /Open the console/.test(await text(page)), "the form");
    await page.page.getByLabel(/Token/).fill("nonsense");
    await page.page.getByRole("button", { name: "Open", exact: true }).click();
    await until(async () => /does not accept/.test(await text(page)), "a reason");
    await shot(page, "console-token");
    await page.close();
  });

  it("measures what the browser measures", async () => {
    const ann = await meet("same", "ann");
    const bob = await meet("same", "bob");
    await sees(ann, ["bob"]);
    await sees(bob, ["ann"]);
    // Encoders have found their rate when three seconds in a row are alike.
    await ann.evaluate(() => {
      const { room } = globalThis.crosspoint;
      window.rates = [];
      room.on("report", ({ browser }) => window.rates.push(browser.senders.find(({ kind }) => kind === "video")?.bitrate ?? 0));
      void room.setReports(true);
    });
    await until(async () => {
      const last = (await ann.evaluate(() => window.rates)).slice(-3);
      return last.length === 3 && Math.min(...last) > 0.85 * Math.max(...last);
    }, "a steady rate", 60);
    const sums = await ann.evaluate(() => new Promise((resolve) => {
      const { room } = globalThis.crosspoint;
      const seen = [];
      room.on("report", (event) => {
        seen.push(event);
        if (seen.length === 16) resolve(seen.slice(1));
      });
      void room.setReports(true);
    }));
    // Seconds are long and short on a busy machine: what was measured counts by its length.
    const mean = (pick, by) => {
      let [sum, time] = [0, 0];
      for (let i = 1; i < sums.length; i += 1) {
        const value = pick(sums[i][by]);
        const length = sums[i][by].timestamp - sums[i - 1][by].timestamp;
        if (typeof value !== "number") continue;
        sum += value * length;
        time += length;
      }
      assert.ok(time >= 10_000, `only ${time} ms of ${pick}`);
      return sum / time;
    };
    const track = (list, kind) => list.find((stat) => stat.kind === kind);
    for (const side of ["senders", "receivers"]) {
      for (const kind of ["video", "audio"]) {
        const bitrate = (report) => track(report[side], kind)?.bitrate;
        const [server, browser] = [mean(bitrate, "server"), mean(bitrate, "browser")];
        console.log(`${side} ${kind}: server ${server.toFixed(1)}, browser ${browser.toFixed(1)} kbit/s`);
        assert.ok(Math.abs(server - browser) <= 0.05 * browser, `${side} ${kind}: ${server} and ${browser}`);
        const lost = (report) => track(report[side], kind)?.packetsLostRate ?? 0;
        const apart = Math.abs(mean(lost, "server") - mean(lost, "browser"));
        assert.ok(apart <= 0.05, `loss is ${apart} apart`);
      }
    }
    const rtt = (by) => mean((report) => report.iceCandidatePair.rtt, by);
    console.log(`rtt: server ${rtt("server").toFixed(1)}, browser ${rtt("browser").toFixed(1)} ms`);
    assert.ok(Math.abs(rtt("server") - rtt("browser")) <= 10);
    const { report, server: own } = sums.at(-1);
    assert.equal(own.identity, "ann");
    assert.equal(report.iceCandidatePair.protocol, "udp");
    assert.ok(report.receivers.some((stat) => stat.identity === "bob" && stat.frameWidth === 640));
    await ann.close();
    await bob.close();
  });
});
