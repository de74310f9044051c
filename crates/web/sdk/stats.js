/**
 * A short form of `getStats`: what a diagnosis page or a test wants, by Crosspoint's names.
 */

/** @import { Kind } from "./protocol.js" */

/**
 * @typedef {object} SendingStats
 * @property {string} mid
 * @property {string} rid empty for the only encoding
 * @property {Kind} kind
 * @property {string} codec e.g. `video/VP8`
 * @property {number} bytes
 * @property {number} packets
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {number} framesPerSecond
 * @property {string} limitedBy `none`, `cpu`, `bandwidth` or `other`
 */

/**
 * @typedef {object} ReceivingStats
 * @property {string} mid the slot
 * @property {string} track id of the track that feeds it; empty: none
 * @property {string} identity whose it is
 * @property {Kind} kind
 * @property {string} codec e.g. `video/VP8`
 * @property {number} bytes
 * @property {number} packets
 * @property {number} packetsLost
 * @property {number} jitterMs
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {number} framesDecoded
 * @property {number} framesPerSecond
 * @property {number} freezes
 * @property {number} concealedSamples
 */

/**
 * @typedef {object} Stats
 * @property {number} roundTripMs
 * @property {number} availableSendBitrate bits per second; 0 when unknown
 * @property {string} srtpCipher e.g. `AEAD_AES_256_GCM`
 * @property {string} dtlsVersion
 * @property {string} protocol `udp` or `tcp`
 * @property {SendingStats[]} sending
 * @property {ReceivingStats[]} receiving
 */

/**
 * @param {RTCStatsReport} report
 * @param {(mid: string) => { track: string, identity: string } | null} feed
 * @returns {Stats}
 */
export function summarise(report, feed) {
  /** @type {Stats} */
  const stats = {
    roundTripMs: 0,
    availableSendBitrate: 0,
    srtpCipher: "",
    dtlsVersion: "",
    protocol: "",
    sending: [],
    receiving: [],
  };
  const codec = (/** @type {string} */ id) => report.get(id)?.mimeType ?? "";
  report.forEach((entry) => {
    if (entry.type === "transport") noteTransport(stats, entry, report);
    else if (entry.type === "outbound-rtp") {
      stats.sending.push({
        mid: entry.mid ?? "",
        rid: entry.rid ?? "",
        kind: entry.kind,
        codec: codec(entry.codecId),
        bytes: entry.bytesSent ?? 0,
        packets: entry.packetsSent ?? 0,
        width: entry.frameWidth ?? 0,
        height: entry.frameHeight ?? 0,
        framesPerSecond: entry.framesPerSecond ?? 0,
        limitedBy: entry.qualityLimitationReason ?? "none",
      });
    } else if (entry.type === "inbound-rtp") {
      const { track = "", identity = "" } = feed(entry.mid ?? "") ?? {};
      stats.receiving.push({
        mid: entry.mid ?? "",
        track,
        identity,
        kind: entry.kind,
        codec: codec(entry.codecId),
        bytes: entry.bytesReceived ?? 0,
        packets: entry.packetsReceived ?? 0,
        packetsLost: entry.packetsLost ?? 0,
        jitterMs: (entry.jitter ?? 0) * 1000,
        width: entry.frameWidth ?? 0,
        height: entry.frameHeight ?? 0,
        framesDecoded: entry.framesDecoded ?? 0,
        framesPerSecond: entry.framesPerSecond ?? 0,
        freezes: entry.freezeCount ?? 0,
        concealedSamples: entry.concealedSamples ?? 0,
      });
    }
  });
  return stats;
}

/**
 * @param {Stats} stats
 * @param {any} transport
 * @param {RTCStatsReport} report
 */
function noteTransport(stats, transport, report) {
  stats.srtpCipher = transport.srtpCipher ?? "";
  stats.dtlsVersion = transport.tlsVersion ?? "";
  const pair = report.get(transport.selectedCandidatePairId);
  stats.roundTripMs = (pair?.currentRoundTripTime ?? 0) * 1000;
  stats.availableSendBitrate = pair?.availableOutgoingBitrate ?? 0;
  stats.protocol = report.get(pair?.localCandidateId)?.protocol ?? "";
}
