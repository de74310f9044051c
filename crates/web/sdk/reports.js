/**
 * Reports in the structure of RongCloud's `IRCRTCStateReport`: what the server measures each second,
 * completed by what only the browser knows.
 */

/** @import { Kind } from "./protocol.js" */

/**
 * The path between browser and server, from the browser's side.
 *
 * @typedef {object} CandidatePairStat
 * @property {string} IP of this end
 * @property {number} port
 * @property {string | null} networkType e.g. `wifi`
 * @property {string} remoteIP
 * @property {number} remotePort
 * @property {string} protocol `udp` or `tcp`
 * @property {number} bitrateSend kbit/s, everything
 * @property {number} bitrateRecv kbit/s, everything
 * @property {number | null} rtt ms
 * @property {number | null} availableOutgoingBitrate bit/s
 * @property {number | null} availableIncomingBitrate bit/s; 0 while nothing is received
 */

/**
 * A track that is sent or received. The first eleven fields are RongCloud's; the server adds more.
 *
 * @typedef {object} TrackStat
 * @property {string} id the m-line that carries it
 * @property {string} trackId
 * @property {Kind} kind
 * @property {number | null} packetsLostRate 0 to 1
 * @property {boolean} remoteResource whether it is somebody else's
 * @property {number | null} audioLevel 0 to 1
 * @property {number | null} frameHeight
 * @property {number | null} frameWidth
 * @property {number | null} frameRate
 * @property {number} bitrate kbit/s
 * @property {number | null} jitter ms
 * @property {string} [identity] whose it is
 * @property {number | null} [mos] of sound, 1 to 4.4
 * @property {number | null} [layer]
 * @property {number} [packetsLost]
 * @property {number} [nackCount]
 * @property {number} [pliCount]
 * @property {number} [firCount]
 * @property {number} [freezeCount]
 */

/**
 * @typedef {object} StateReport
 * @property {number} timestamp Unix milliseconds
 * @property {CandidatePairStat | null} iceCandidatePair
 * @property {TrackStat[]} senders
 * @property {TrackStat[]} receivers
 * @property {number | null} [mos] the worst of the audio tracks
 */

/** A look this soon after the one before, in milliseconds, may be answered from the browser's cache. */
const LOOK_MS_MIN = 100;

/** Makes reports of `getStats`: rates are those since the report before. */
export class BrowserReports {
  /** Totals of the look before, by the entry's id. @type {Map<string, any>} */
  #before = new Map();
  /** When the browser measured those. */
  #measured = -Infinity;
  /** @type {StateReport | null} */
  #last = null;

  /**
   * @param {RTCStatsReport} stats
   * @returns {StateReport}
   */
  next(stats) {
    /** @type {Map<string, any>} */
    const now = new Map();
    stats.forEach((entry, id) => now.set(id, entry));
    const all = [...now.values()];
    const measured = Math.max(...all.map((entry) => entry.timestamp));
    if (this.#last && measured - this.#measured < LOOK_MS_MIN) return this.#last;
    const rate = (/** @type {any} */ entry, /** @type {string} */ field) => this.#rate(entry, field);
    const outbound = all.filter((entry) => entry.type === "outbound-rtp");
    const mids = [...new Set(outbound.map((entry) => entry.mid ?? ""))];
    const report = {
      timestamp: Math.round(performance.timeOrigin + performance.now()),
      iceCandidatePair: pairOf(all, now, rate),
      senders: mids.map((mid) =>
        senderOf(outbound.filter((entry) => (entry.mid ?? "") === mid), now, rate)),
      receivers: all
        .filter((entry) => entry.type === "inbound-rtp")
        .map((entry) => receiverOf(entry, rate)),
    };
    this.#before = now;
    this.#measured = measured;
    this.#last = report;
    return report;
  }

  /** Growth per second. @param {any} entry @param {string} field */
  #rate(entry, field) {
    const before = this.#before.get(entry.id);
    const seconds = before ? (entry.timestamp - before.timestamp) / 1000 : 0;
    return seconds > 0 ? Math.max(0, (entry[field] ?? 0) - (before[field] ?? 0)) / seconds : 0;
  }
}

/**
 * One report of two: the browser's figures where it has them, the server's for all else. Tracks
 * that the server does not know are left out: nothing flows in them.
 *
 * @param {StateReport} server
 * @param {StateReport} browser
 * @returns {StateReport}
 */
export function mergeReports(server, browser) {
  const pair = known(browser.iceCandidatePair);
  return {
    ...server,
    timestamp: browser.timestamp,
    iceCandidatePair: /** @type {CandidatePairStat | null} */ (
      server.iceCandidatePair || browser.iceCandidatePair
        ? { ...browser.iceCandidatePair, ...server.iceCandidatePair, ...pair }
        : null
    ),
    senders: mergeTracks(server.senders, browser.senders),
    receivers: mergeTracks(server.receivers, browser.receivers),
  };
}

/** @param {TrackStat[]} server @param {TrackStat[]} browser */
function mergeTracks(server, browser) {
  return server.map((track) => {
    const { trackId: _, ...own } = known(browser.find(({ id }) => id === track.id));
    return /** @type {TrackStat} */ ({ ...track, ...own });
  });
}

/** What is not null. @param {object | null | undefined} stat @returns {Record<string, unknown>} */
function known(stat) {
  return Object.fromEntries(Object.entries(stat ?? {}).filter(([, value]) => value !== null));
}

/**
 * @param {any[]} all
 * @param {Map<string, any>} byId
 * @param {(entry: any, field: string) => number} rate
 * @returns {CandidatePairStat | null}
 */
function pairOf(all, byId, rate) {
  const transport = all.find((entry) => entry.type === "transport");
  // Firefox has no transport entries, but marks the pair.
  const pair =
    byId.get(transport?.selectedCandidatePairId) ??
    all.find((entry) => entry.type === "candidate-pair" && entry.selected);
  if (!pair) return null;
  const local = byId.get(pair.localCandidateId) ?? {};
  const remote = byId.get(pair.remoteCandidateId) ?? {};
  const receives = all.some((entry) => entry.type === "inbound-rtp");
  return {
    IP: local.address ?? "",
    port: local.port ?? 0,
    networkType: local.networkType ?? null,
    remoteIP: remote.address ?? "",
    remotePort: remote.port ?? 0,
    protocol: local.protocol ?? "",
    bitrateSend: kilobits(rate(pair, "bytesSent")),
    bitrateRecv: kilobits(rate(pair, "bytesReceived")),
    rtt: milliseconds(pair.currentRoundTripTime),
    availableOutgoingBitrate: pair.availableOutgoingBitrate ?? null,
    availableIncomingBitrate: pair.availableIncomingBitrate ?? (receives ? null : 0),
  };
}

/**
 * The streams of one m-line as one track.
 *
 * @param {any[]} streams
 * @param {Map<string, any>} byId
 * @param {(entry: any, field: string) => number} rate
 * @returns {TrackStat}
 */
function senderOf(streams, byId, rate) {
  const flowing = streams.filter((stream) => rate(stream, "bytesSent") > 0);
  const best = flowing.reduce(
    (a, b) => ((b.frameHeight ?? 0) > (a.frameHeight ?? 0) ? b : a),
    flowing[0] ?? streams[0],
  );
  const remotes = flowing.map((stream) => byId.get(stream.remoteId)).filter(Boolean);
  const worst = (/** @type {string} */ field) => {
    const values = remotes.map((remote) => remote[field]).filter((value) => value !== undefined);
    return values.length > 0 ? Math.max(...values) : undefined;
  };
  return {
    id: best.mid ?? "",
    trackId: "",
    kind: best.kind,
    packetsLostRate: worst("fractionLost") ?? null,
    remoteResource: false,
    audioLevel: byId.get(best.mediaSourceId)?.audioLevel ?? null,
    frameHeight: best.frameHeight ?? null,
    frameWidth: best.frameWidth ?? null,
    frameRate: best.framesPerSecond ?? null,
    bitrate: kilobits(streams.reduce((sum, stream) => sum + rate(stream, "bytesSent"), 0)),
    jitter: milliseconds(worst("jitter")),
  };
}

/**
 * @param {any} stream
 * @param {(entry: any, field: string) => number} rate
 * @returns {TrackStat}
 */
function receiverOf(stream, rate) {
  const lost = rate(stream, "packetsLost");
  const due = lost + rate(stream, "packetsReceived");
  return {
    id: stream.mid ?? "",
    trackId: "",
    kind: stream.kind,
    packetsLostRate: due > 0 ? lost / due : null,
    remoteResource: true,
    audioLevel: stream.audioLevel ?? null,
    frameHeight: stream.frameHeight ?? null,
    frameWidth: stream.frameWidth ?? null,
    frameRate: stream.framesPerSecond ?? null,
    bitrate: kilobits(rate(stream, "bytesReceived")),
    jitter: milliseconds(stream.jitter),
  };
}

/** @param {number} bytes */
function kilobits(bytes) {
  return Math.round((bytes * 8) / 100) / 10;
}

/** @param {number | undefined} seconds */
function milliseconds(seconds) {
  return seconds === undefined ? null : Math.round(seconds * 10_000) / 10;
}
