/**
 * IRCRTCStateReport: what CallLib tells of the quality once a second, from `getStats`.
 */

/**
 * @typedef {object} IRCCandidatePairStat
 * @property {string} IP
 * @property {number} port
 * @property {string | null} networkType
 * @property {string} remoteIP
 * @property {number} remotePort
 * @property {string} protocol
 * @property {number} bitrateSend kbit/s
 * @property {number} bitrateRecv kbit/s
 * @property {number | null} rtt ms
 * @property {number | null} availableOutgoingBitrate bit/s
 * @property {number | null} availableIncomingBitrate bit/s; 0 while nothing is received
 */

/**
 * @typedef {object} IRCTrackStat
 * @property {string} [id]
 * @property {string} trackId
 * @property {"audio" | "video"} kind
 * @property {number | null} packetsLostRate 0 to 1
 * @property {boolean} remoteResource
 * @property {number | null} [audioLevel]
 * @property {number | null} [frameHeight]
 * @property {number | null} [frameWidth]
 * @property {number | null} [frameRate]
 * @property {number} bitrate kbit/s
 * @property {number | null} jitter ms; of one user's tracks only one has a value, others have 0
 */

/**
 * @typedef {object} IRCRTCStateReport
 * @property {number} timestamp ms since 1970
 * @property {IRCCandidatePairStat} iceCandidatePair
 * @property {IRCTrackStat[]} senders
 * @property {IRCTrackStat[]} receivers
 */

/** @typedef {{ bytes: number, packets: number, lost: number, timestamp: number }} Counters */

/** Makes reports; remembers the counters before, since rates are differences. */
export class StateReporter {
  /** @type {Map<string, Counters>} */
  #before = new Map();

  /**
   * @param {RTCStatsReport | Map<string, any>} stats
   * @param {(mid: string, local: boolean) => { trackId: string, userId: string } | null} whose
   * @param {number} now ms since 1970
   * @returns {IRCRTCStateReport}
   */
  report(stats, whose, now) {
    /** @type {Map<string, Counters>} */
    const counters = new Map();
    /** @type {IRCRTCStateReport} */
    const report = { timestamp: now, iceCandidatePair: noPair(), senders: [], receivers: [] };
    /** Users whose jitter was told. @type {Set<string>} */
    const jitterTold = new Set();
    const lossAtPeer = new Map();
    stats.forEach((entry) => {
      if (entry.type === "remote-inbound-rtp") lossAtPeer.set(entry.localId, entry.fractionLost ?? null);
    });
    stats.forEach((/** @type {any} */ entry) => {
      if (entry.type === "transport") this.#pair(report, stats, entry, counters);
      if (entry.type !== "outbound-rtp" && entry.type !== "inbound-rtp") return;
      const local = entry.type === "outbound-rtp";
      const owner = whose(entry.mid ?? "", local);
      if (!owner) return;
      const rates = this.#rates(entry, local, counters);
      const common = {
        id: entry.id,
        trackId: owner.trackId,
        kind: entry.kind,
        remoteResource: !local,
        bitrate: rates.kbps,
        ...(entry.kind === "audio"
          ? { audioLevel: entry.audioLevel ?? null }
          : {
              frameHeight: entry.frameHeight ?? null,
              frameWidth: entry.frameWidth ?? null,
              frameRate: entry.framesPerSecond ?? null,
            }),
      };
      if (local) {
        const packetsLostRate = lossAtPeer.get(entry.id) ?? null;
        report.senders.push({ ...common, packetsLostRate, jitter: null });
      } else {
        const jitter = jitterTold.has(owner.userId) ? 0 : Math.round((entry.jitter ?? 0) * 1000);
        jitterTold.add(owner.userId);
        report.receivers.push({ ...common, packetsLostRate: rates.lossRate, jitter });
      }
    });
    if (report.receivers.length === 0) report.iceCandidatePair.availableIncomingBitrate = 0;
    this.#before = counters;
    return report;
  }

  /**
   * @param {any} entry
   * @param {boolean} local
   * @param {Map<string, Counters>} counters
   */
  #rates(entry, local, counters) {
    const now = {
      bytes: (local ? entry.bytesSent : entry.bytesReceived) ?? 0,
      packets: (local ? entry.packetsSent : entry.packetsReceived) ?? 0,
      lost: entry.packetsLost ?? 0,
      timestamp: entry.timestamp,
    };
    counters.set(entry.id, now);
    const before = this.#before.get(entry.id);
    if (!before || now.timestamp <= before.timestamp) return { kbps: 0, lossRate: null };
    const received = Math.max(0, now.packets - before.packets);
    const lost = Math.max(0, now.lost - before.lost);
    return {
      kbps: Math.round(Math.max(0, now.bytes - before.bytes) * 8 / (now.timestamp - before.timestamp)),
      lossRate: received + lost > 0 ? lost / (received + lost) : null,
    };
  }

  /**
   * @param {IRCRTCStateReport} report
   * @param {RTCStatsReport | Map<string, any>} stats
   * @param {any} transport
   * @param {Map<string, Counters>} counters
   */
  #pair(report, stats, transport, counters) {
    const pair = stats.get(transport.selectedCandidatePairId);
    if (!pair) return;
    const local = stats.get(pair.localCandidateId);
    const remote = stats.get(pair.remoteCandidateId);
    const sent = this.#rates({ ...pair, id: `${pair.id} sent` }, true, counters);
    const received = this.#rates({ ...pair, id: `${pair.id} received` }, false, counters);
    const rtt = pair.currentRoundTripTime;
    report.iceCandidatePair = {
      IP: local?.address ?? local?.ip ?? "",
      port: local?.port ?? 0,
      networkType: local?.networkType ?? null,
      remoteIP: remote?.address ?? remote?.ip ?? "",
      remotePort: remote?.port ?? 0,
      protocol: local?.protocol ?? "",
      bitrateSend: sent.kbps,
      bitrateRecv: received.kbps,
      rtt: rtt === undefined ? null : Math.round(rtt * 1000),
      availableOutgoingBitrate: pair.availableOutgoingBitrate ?? null,
      availableIncomingBitrate: pair.availableIncomingBitrate ?? null,
    };
  }
}

/** @returns {IRCCandidatePairStat} */
function noPair() {
  return {
    IP: "",
    port: 0,
    networkType: null,
    remoteIP: "",
    remotePort: 0,
    protocol: "",
    bitrateSend: 0,
    bitrateRecv: 0,
    rtt: null,
    availableOutgoingBitrate: null,
    availableIncomingBitrate: null,
  };
}
