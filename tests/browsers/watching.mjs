// A publisher of one camera and a viewer of it, who notes what comes.

import { until, token } from "./server.mjs";
import { through } from "./link.mjs";

/** Enough for three encodings, and bearable on two cores. */
const CAMERA = { width: 960, height: 540, frameRate: 20 };

/**
 * Opens a page with a joined `window.room` that publishes a microphone and a camera.
 *
 * @param {Awaited<ReturnType<typeof import("./chromium.mjs").startChromium>>} chromium
 * @param {Awaited<ReturnType<typeof import("./server.mjs").startServer>>} server
 * @param {{ room: string, identity?: string, link?: { port: number }, publish?: object }} options
 */
export async function openPublisher(chromium, server, { room, identity = "ann", link, publish = {} }) {
  const page = await open(chromium, server, { room, identity, link });
  await page.evaluate(async ({ camera, publish }) => {
    const video = await navigator.mediaDevices.getUserMedia({ video: camera });
    await room.localParticipant.publish(video.getVideoTracks()[0], { source: "camera", ...publish });
    await room.localParticipant.setMicrophoneEnabled(true);
  }, { camera: CAMERA, publish });
  return page;
}

/**
 * Opens a page with a joined `window.room` that shows the only camera in `window.tile` and notes ten
 * times a second what comes.
 *
 * @param {Awaited<ReturnType<typeof import("./chromium.mjs").startChromium>>} chromium
 * @param {Awaited<ReturnType<typeof import("./server.mjs").startServer>>} server
 * @param {{ room: string, identity?: string, link?: { port: number } }} options
 */
export async function openViewer(chromium, server, { room, identity = "bob", link }) {
  const page = await open(chromium, server, { room, identity, link });
  await page.evaluate(() => {
    window.seen = [];
    const note = async () => {
      const now = { at: performance.now(), width: 0, frames: 0, freezes: 0, frozenS: 0, concealed: 0, samples: 0 };
      for (const entry of (await room.rawStats())?.values() ?? []) {
        if (entry.type !== "inbound-rtp") continue;
        if (entry.kind === "video") {
          now.width = Math.max(now.width, entry.frameWidth ?? 0);
          now.frames += entry.framesDecoded ?? 0;
          now.freezes += entry.freezeCount ?? 0;
          now.frozenS += entry.totalFreezesDuration ?? 0;
        } else {
          now.concealed += (entry.concealedSamples ?? 0) - (entry.silentConcealedSamples ?? 0);
          now.samples += entry.totalSamplesReceived ?? 0;
        }
      }
      window.seen.push(now);
      setTimeout(note, 100);
    };
    void note();
  });
  return page;
}

async function open(chromium, server, { room, identity, link }) {
  const page = await chromium.open(`${server.url}/sdk/crosspoint.js`, link && through(link.port));
  await page.evaluate(async (jwt) => {
    const { Room } = await import("/sdk/crosspoint.js");
    document.body.replaceChildren();
    window.room = new Room();
    room.on("trackSubscribed", ({ track }) => {
      if (track.kind !== "video") return;
      window.track = track;
      window.tile = track.attach();
      tile.muted = true;
      tile.style.width = "960px";
      document.body.replaceChildren(tile);
      tile.play().catch(() => {});
    });
    await room.join(location.origin, jwt);
  }, await token(room, identity));
  return page;
}

/** What a viewer noted last. */
export const latest = (page) => page.evaluate(() => window.seen.at(-1));

/**
 * Waits until pictures come in a width that `is` accepts; returns after how many milliseconds.
 *
 * @param {{ evaluate: Function }} page
 * @param {(width: number) => boolean} is
 * @param {string} what
 * @param {number} [seconds]
 */
export async function shows(page, is, what, seconds = 30) {
  const from = Date.now();
  await until(async () => {
    const now = await latest(page);
    return now && now.frames > 0 && is(now.width);
  }, what, seconds);
  return Date.now() - from;
}

/** Waits until somebody's picture flows in its largest size. */
export const settles = (page) => shows(page, (width) => width >= 900, "the large picture", 45);

/**
 * What a viewer saw and heard since `since` (of the page's clock): the longest freeze in ms, and the
 * share of sound that was made up.
 *
 * @param {{ evaluate: Function }} page
 * @param {number} since
 */
export function account(page, since) {
  return page.evaluate((since) => {
    const span = window.seen.filter(({ at }) => at >= since);
    const [first, last] = [span[0], span.at(-1)];
    let longestMs = 0;
    for (let i = 1; i < span.length; i += 1) {
      const count = span[i].freezes - span[i - 1].freezes;
      // Mostly one; of several in a tenth of a second none is long.
      if (count > 0) longestMs = Math.max(longestMs, ((span[i].frozenS - span[i - 1].frozenS) * 1000) / count);
    }
    return {
      seconds: (last.at - first.at) / 1000,
      frames: last.frames - first.frames,
      longestFreezeMs: Math.round(longestMs),
      freezes: last.freezes - first.freezes,
      concealed: (last.concealed - first.concealed) / Math.max(last.samples - first.samples, 1),
      widths: span.map(({ width }) => width).filter((width, i, all) => width !== all[i - 1]),
    };
  }, since);
}

/** A page's clock, in ms. */
export const clock = (page) => page.evaluate(() => performance.now());

/** Waits until the page's own clock has gone on, so that what it shows is known to last. */
export async function lasts(page, ms) {
  const { at } = await latest(page);
  await until(async () => (await latest(page)).at > at + ms, `${ms} ms of the page's time`, 90);
}

/** Why the viewer's picture is as it is, in one word. */
export const reason = (page) => page.evaluate(async () => (await window.track.explain()).reason);

/**
 * Says what the viewer wants of the camera.
 *
 * @param {{ evaluate: Function }} page
 * @param {object} wish
 */
export const wish = (page, wish) => page.evaluate((wish) => room.subscribe(window.track, wish), wish);
