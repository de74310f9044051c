// Who hears whom, measured: each person's microphone hums a tone of its own, and an analyser looks for
// the tones of others in what a page receives.

import { until } from "./server.mjs";

/** A tone louder than this is heard, in dB of full scale; what is silent is tens of dB below. */
const HEARD_DB = -40;

/** The page's microphone hums from now on. */
export function hums(page, hz) {
  return page.evaluate((hz) => {
    const devices = navigator.mediaDevices;
    const open = devices.getUserMedia.bind(devices);
    const context = new AudioContext();
    devices.getUserMedia = async ({ audio, video }) => {
      const camera = video ? (await open({ video })).getVideoTracks() : [];
      if (!audio) return new MediaStream(camera);
      const out = context.createMediaStreamDestination();
      const tone = new OscillatorNode(context, { frequency: hz });
      tone.connect(new GainNode(context, { gain: 0.8 })).connect(out);
      tone.start();
      return new MediaStream([...out.stream.getAudioTracks(), ...camera]);
    };
  }, hz);
}

/**
 * How loud a tone is in what a page receives, in dB: the median of looks, since a gap that a busy machine
 * makes in another tone is a click, which has something of every tone.
 */
export function loudness(page, hz, listenMs = 300) {
  return page.evaluate(async ({ hz, listenMs }) => {
    const ear = (window.ear ??= new AudioContext());
    const heard = (window.heardTracks ??= new Map());
    for (const peer of window.peers) {
      for (const { track } of peer.getReceivers()) {
        if (track.kind !== "audio" || track.readyState !== "live" || heard.has(track)) continue;
        const stream = new MediaStream([track]);
        // What no element plays is not decoded.
        const element = new Audio();
        element.muted = true;
        element.srcObject = stream;
        element.play().catch(() => {});
        const analyser = new AnalyserNode(ear, { fftSize: 2048, smoothingTimeConstant: 0 });
        ear.createMediaStreamSource(stream).connect(analyser);
        heard.set(track, { analyser, element });
      }
    }
    const end = performance.now() + listenMs;
    const looks = [];
    const bins = new Float32Array(1024);
    do {
      let loudest = -Infinity;
      for (const { analyser } of heard.values()) {
        analyser.getFloatFrequencyData(bins);
        const bin = Math.round((hz * analyser.fftSize) / ear.sampleRate);
        loudest = Math.max(loudest, bins[bin - 1], bins[bin], bins[bin + 1]);
      }
      looks.push(loudest);
      await new Promise((resolve) => setTimeout(resolve, 20));
    } while (performance.now() < end);
    return looks.sort((a, b) => a - b)[looks.length >> 1];
  }, { hz, listenMs });
}

/** Waits until a page receives a tone. */
export function hearsTone(page, hz) {
  return until(async () => (await loudness(page, hz)) > HEARD_DB, `a tone of ${hz} Hz`, 45);
}

/** Waits until a page receives a tone no more. */
export function lacksTone(page, hz) {
  return until(async () => (await loudness(page, hz, 500)) < HEARD_DB, `the end of a tone of ${hz} Hz`, 45);
}

/** Whether a page receives a tone within a second. */
export async function hasTone(page, hz) {
  return (await loudness(page, hz, 1_000)) > HEARD_DB;
}
