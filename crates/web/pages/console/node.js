/**
 * The node's load, from its Prometheus metrics.
 */

import { byId } from "../common/dom.js";
import { onLanguage } from "../common/i18n.js";
import { Chart, milliseconds, percent, rate } from "./chart.js";
import { isText, t } from "./i18n.js";

/** @import { Api } from "../common/api.js" */

/** @typedef {Map<string, number>} Samples by name with labels */

const count = (/** @type {number} */ value) => Math.round(value).toLocaleString();
const perSecond = (/** @type {number} */ value) => `${count(value)}/s`;
const megabytes = (/** @type {number} */ value) => `${(value / 1e6).toFixed(0)} MB`;

export class NodeView {
  #charts = {
    cpu: new Chart({ format: percent, floor: 1 }),
    memory: new Chart({ format: megabytes, floor: 1e8 }),
    rooms: new Chart({ format: count, floor: 10 }),
    sessions: new Chart({ format: count, floor: 10 }),
    packetsIn: new Chart({ format: perSecond, floor: 100 }),
    packetsOut: new Chart({ format: perSecond, floor: 100 }),
    bitsOut: new Chart({ format: rate, floor: 1000 }),
    forwarding: new Chart({ format: milliseconds, floor: 2, tone: "warn" }),
    dropped: new Chart({ format: perSecond, floor: 10, tone: "warn" }),
  };
  /** @type {{ at: number, samples: Samples } | null} */
  #before = null;
  #api;

  /** @param {Api} api */
  constructor(api) {
    this.#api = api;
    byId("gauges").append(...Object.values(this.#charts).map((chart) => chart.element));
    onLanguage(() => {
      for (const [key, chart] of Object.entries(this.#charts)) {
        if (isText(key)) chart.name = t(key);
      }
    });
  }

  async refresh() {
    const samples = parse(await this.#api.text("metrics"));
    const now = { at: performance.now() / 1000, samples };
    const before = this.#before;
    this.#before = now;
    const value = (/** @type {string} */ name) => samples.get(name) ?? null;
    this.#charts.memory.push(value("process_resident_memory_bytes"));
    this.#charts.rooms.push(value("crosspoint_rooms"));
    this.#charts.sessions.push(value("crosspoint_worker_sessions"));
    if (!before) return;
    const grown = (/** @type {string} */ name) => {
      const seconds = now.at - before.at;
      return Math.max(0, (samples.get(name) ?? 0) - (before.samples.get(name) ?? 0)) / seconds;
    };
    this.#charts.cpu.push(grown("process_cpu_seconds_total"));
    this.#charts.packetsIn.push(grown("crosspoint_rtp_received_total"));
    this.#charts.packetsOut.push(grown("crosspoint_rtp_sent_total"));
    this.#charts.bitsOut.push((grown("crosspoint_udp_sent_bytes_total") * 8) / 1000);
    this.#charts.dropped.push(
      grown("crosspoint_egress_overflow_total") + grown("crosspoint_udp_send_dropped_total"),
    );
    this.#charts.forwarding.push(quantile(before.samples, samples, 0.99));
  }
}

/** @param {string} text @returns {Samples} */
function parse(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const at = line.lastIndexOf(" ");
    samples.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return samples;
}

/**
 * A quantile of the forwarding delay since the look before, in ms; null when nothing was forwarded.
 *
 * @param {Samples} before
 * @param {Samples} now
 * @param {number} share
 */
function quantile(before, now, share) {
  const prefix = 'crosspoint_forwarding_delay_seconds_bucket{le="';
  const buckets = [...now]
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, total]) => ({
      bound: Number(name.slice(prefix.length, -2).replace("+Inf", "Infinity")),
      count: total - (before.get(name) ?? 0),
    }))
    .sort((a, b) => a.bound - b.bound);
  const all = buckets.at(-1)?.count ?? 0;
  if (all <= 0) return null;
  let below = 0;
  let from = 0;
  for (const { bound, count: upTo } of buckets) {
    if (upTo >= share * all) {
      const to = Number.isFinite(bound) ? bound : from * 2;
      const within = upTo > below ? (share * all - below) / (upTo - below) : 1;
      return (from + (to - from) * within) * 1000;
    }
    [below, from] = [upTo, bound];
  }
  return null;
}
