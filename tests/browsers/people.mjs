// What a person sees and hears on a page, measured.

import { until } from "./server.mjs";

/** Runs before a page's own scripts: keeps its peer connections where tests can ask them. */
export const KEEP_PEERS = () => {
  window.peers = [];
  window.offers = 0;
  window.negotiations = 0;
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...args) {
      super(...args);
      window.peers.push(this);
      this.addEventListener("signalingstatechange", () => (window.negotiations += 1));
    }
    createOffer(...args) {
      window.offers += 1;
      return super.createOffer(...args);
    }
  };
};

/**
 * Pictures of others on a Meet page: `{bob: {width, height, frames, luma}}`. `luma` is a coarse
 * thumbnail, so that two looks tell whether the picture moves.
 */
export function pictures(page) {
  return page.evaluate(async () => {
    const seen = {};
    // Firefox counts no frames in getVideoPlaybackQuality of a MediaStream.
    const decoded = {};
    const room = globalThis.crosspoint?.room ?? globalThis.room;
    for (const slot of (await room?.stats())?.receiving ?? []) {
      if (slot.kind === "video" && slot.identity) decoded[slot.identity] = slot.framesDecoded;
    }
    for (const video of document.querySelectorAll("video[data-identity]:not([data-self])")) {
      const canvas = document.createElement("canvas");
      canvas.width = 16;
      canvas.height = 12;
      const context = canvas.getContext("2d");
      let luma = [];
      if (video.videoWidth > 0) {
        context.drawImage(video, 0, 0, 16, 12);
        const { data } = context.getImageData(0, 0, 16, 12);
        for (let i = 0; i < data.length; i += 4) luma.push(data[i] + data[i + 1] + data[i + 2]);
      }
      seen[video.dataset.identity] = {
        width: video.videoWidth,
        height: video.videoHeight,
        frames: decoded[video.dataset.identity] ?? 0,
        at: performance.now(),
        luma,
      };
    }
    return seen;
  });
}

/** Waits until `page` shows a moving picture of each of `others`; returns frames per second. */
export async function sees(page, others, seconds = 45) {
  const first = await until(
    async () => {
      const now = await pictures(page);
      return others.every((name) => now[name]?.frames > 0 && now[name].width > 0) && now;
    },
    `pictures of ${others}`,
    seconds,
  );
  const rates = {};
  await until(
    async () => {
      const now = await pictures(page);
      return others.every((name) => {
        const before = first[name];
        const after = now[name];
        if (!after || after.at - before.at < 3000) return false;
        rates[name] = ((after.frames - before.frames) * 1000) / (after.at - before.at);
        // What the camera shows comes round: a look may find the first picture again.
        return after.luma.some((value, i) => Math.abs(value - before.luma[i]) > 30);
      });
    },
    `three seconds of ${others}, moving`,
  );
  return rates;
}

/** Totals of a page's peer connections that tests compare, by getStats. */
export function stats(page) {
  return page.evaluate(async () => {
    const sum = { audioEnergy: 0, audioPackets: 0, videoFrames: 0, videoPackets: 0, lost: 0, concealed: 0, samples: 0, nacks: 0 };
    sum.codecs = [];
    sum.offers = window.offers ?? 0;
    for (const peer of window.peers ?? []) {
      const report = await peer.getStats();
      for (const entry of report.values()) {
        if (entry.type === "transport") sum.srtpCipher = entry.srtpCipher;
        if (entry.type !== "inbound-rtp") continue;
        sum.lost += entry.packetsLost ?? 0;
        if (entry.kind === "audio") {
          sum.audioEnergy += entry.totalAudioEnergy ?? 0;
          sum.audioPackets += entry.packetsReceived ?? 0;
          sum.concealed += entry.concealedSamples ?? 0;
          sum.samples += entry.totalSamplesReceived ?? 0;
        } else {
          sum.videoFrames += entry.framesDecoded ?? 0;
          sum.videoPackets += entry.packetsReceived ?? 0;
          sum.nacks += entry.nackCount ?? 0;
          if (entry.framesDecoded > 0) sum.codecs.push(report.get(entry.codecId)?.mimeType);
        }
      }
    }
    return sum;
  });
}

/** Waits until sound arrives at `page` and is not silence. */
export async function hears(page, seconds = 30) {
  const before = await stats(page);
  await until(
    async () => {
      const now = await stats(page);
      return now.audioPackets > before.audioPackets + 25 && now.audioEnergy > before.audioEnergy;
    },
    "sound",
    seconds,
  );
}
