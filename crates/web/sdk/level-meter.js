/**
 * Loudness of a local microphone, for a meter on the page.
 */

export class LevelMeter {
  #context;
  #source;
  #analyser;
  #samples;

  /** @param {MediaStreamTrack} track */
  constructor(track) {
    this.#context = new AudioContext();
    this.#source = this.#context.createMediaStreamSource(new MediaStream([track]));
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#source.connect(this.#analyser);
    // Without a gesture the context sleeps, and the meter shows silence until there was one.
    this.#context.resume().catch(() => {});
  }

  /** Loudness now, 0 (silence) to 1 (as loud as can be), in steps that the ear takes as even. */
  get level() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return loudness(this.#samples);
  }

  /** Ends it; the track goes on. */
  close() {
    this.#source.disconnect();
    this.#context.close().catch(() => {});
  }
}

/** What counts as silence, in decibels below full scale. */
const FLOOR_DB = -60;

/**
 * @param {Float32Array} samples -1 to 1
 * @returns {number} 0 to 1
 */
export function loudness(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const decibels = 10 * Math.log10(sum / (samples.length || 1) || 1e-12);
  return Math.min(1, Math.max(0, 1 - decibels / FLOOR_DB));
}
