// Reports of both sides in one structure.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BrowserReports, mergeReports } from "../sdk/reports.js";

/** What `getStats` says at `seconds`, with totals that grow steadily. */
function stats(seconds) {
  const timestamp = seconds * 1000;
  const entries = [
    { id: "T", type: "transport", selectedCandidatePairId: "P" },
    {
      id: "P", type: "candidate-pair", localCandidateId: "L", remoteCandidateId: "R",
      bytesSent: 125_000 * seconds, bytesReceived: 25_000 * seconds, currentRoundTripTime: 0.0123,
      availableOutgoingBitrate: 900_000,
    },
    { id: "L", type: "local-candidate", address: "10.0.0.2", port: 5000, protocol: "udp", networkType: "wifi" },
    { id: "R", type: "remote-candidate", address: "192.0.2.1", port: 7882 },
    { id: "O1", type: "outbound-rtp", kind: "video", mid: "1", rid: "q", bytesSent: 12_500 * seconds, frameHeight: 180, frameWidth: 320, framesPerSecond: 15, remoteId: "I1" },
    { id: "O2", type: "outbound-rtp", kind: "video", mid: "1", rid: "f", bytesSent: 112_500 * seconds, frameHeight: 720, frameWidth: 1280, framesPerSecond: 30 },
    { id: "I1", type: "remote-inbound-rtp", fractionLost: 0.02, jitter: 0.004 },
    { id: "IN", type: "inbound-rtp", kind: "audio", mid: "4", bytesReceived: 5000 * seconds, packetsReceived: 45 * seconds, packetsLost: 5 * seconds, jitter: 0.003, audioLevel: 0.5 },
  ].map((entry) => ({ timestamp, ...entry }));
  return new Map(entries.map((entry) => [entry.id, entry]));
}

describe("the browser's report", () => {
  it("has rates since the one before, and a track for each m-line", () => {
    const reports = new BrowserReports();
    assert.equal(reports.next(stats(10)).iceCandidatePair.bitrateSend, 0);
    const { iceCandidatePair: pair, senders, receivers } = reports.next(stats(12));
    assert.deepEqual([pair.bitrateSend, pair.bitrateRecv, pair.rtt], [1000, 200, 12.3]);
    assert.deepEqual([pair.IP, pair.port, pair.networkType, pair.protocol], ["10.0.0.2", 5000, "wifi", "udp"]);
    assert.equal(senders.length, 1);
    assert.deepEqual([senders[0].bitrate, senders[0].frameHeight, senders[0].frameRate], [1000, 720, 30]);
    assert.deepEqual([senders[0].packetsLostRate, senders[0].jitter], [0.02, 4]);
    assert.equal(receivers[0].packetsLostRate, 0.1);
    assert.equal(receivers[0].bitrate, 40);
  });

  it("is the same again when the browser has not measured anew", () => {
    const reports = new BrowserReports();
    reports.next(stats(10));
    const report = reports.next(stats(12));
    assert.equal(reports.next(stats(12)), report);
  });

  it("is empty before there is a connection", () => {
    const report = new BrowserReports().next(new Map());
    assert.equal(report.iceCandidatePair, null);
    assert.deepEqual([report.senders, report.receivers], [[], []]);
  });
});

describe("a merged report", () => {
  it("takes what the browser knows and keeps what only the server does", () => {
    const reports = new BrowserReports();
    reports.next(stats(1));
    const browser = reports.next(stats(2));
    const server = {
      timestamp: 1,
      mos: 4.2,
      iceCandidatePair: { IP: "198.51.100.9", port: 9, networkType: null, rtt: 13, availableIncomingBitrate: 2_000_000 },
      senders: [{ id: "1", trackId: "TR_a", kind: "video", bitrate: 980, layer: 2, frameHeight: null }],
      receivers: [{ id: "4", trackId: "TR_b", kind: "audio", identity: "bob", mos: 4.2, bitrate: 39 }],
    };
    const merged = mergeReports(server, browser);
    assert.equal(merged.iceCandidatePair.IP, "10.0.0.2");
    assert.equal(merged.iceCandidatePair.networkType, "wifi");
    assert.equal(merged.iceCandidatePair.availableIncomingBitrate, 2_000_000);
    assert.deepEqual([merged.senders[0].trackId, merged.senders[0].frameHeight, merged.senders[0].layer], ["TR_a", 720, 2]);
    assert.deepEqual([merged.receivers[0].identity, merged.receivers[0].bitrate], ["bob", 40]);
    assert.equal(merged.mos, 4.2);
  });
});
