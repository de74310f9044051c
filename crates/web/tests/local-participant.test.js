import assert from "node:assert/strict";
import { test } from "node:test";
import { LocalParticipant } from "../sdk/local-participant.js";

/** @import { LocalEvent } from "../sdk/local-participant.js" */
/** @import { ParticipantInfo, TrackInfo } from "../sdk/protocol.js" */

test("a track that the server published anew is known by its new id and as muted as before", async () => {
  Object.assign(globalThis, { MediaStream: class {} });
  /** @type {LocalEvent[]} */
  const events = [];
  const own = new LocalParticipant({
    peer: () => null,
    negotiate: async () => {},
    request: async () => assert.fail("there is no session"),
    emit: (event) => events.push(event),
  });
  const media = Object.assign(new EventTarget(), { kind: "audio", enabled: true });
  const [track] = [await own.publish(/** @type {MediaStreamTrack} */ (/** @type {unknown} */ (media)))];
  track.transceiver = /** @type {RTCRtpTransceiver} */ ({ mid: "0" });
  const described = (/** @type {string} */ sid, muted = true) =>
    /** @type {ParticipantInfo} */ ({ identity: "ann", tracks: [/** @type {TrackInfo} */ ({ mid: "0", sid, muted })] });
  own.noteAnswer(described("TR_1").tracks);
  own.noteServerMute("TR_1", true);
  assert.equal(media.enabled, false);

  own.noteInfo(described("TR_2"));
  assert.equal(own.identity, "ann");
  assert.equal(track.sid, "TR_2");
  assert.equal(media.enabled, false);
  own.noteServerMute("TR_2", false);
  assert.equal(media.enabled, true);

  own.noteServerMute("TR_2", true);
  own.noteInfo(described("TR_3", false));
  assert.equal(media.enabled, true);
  assert.equal(events.at(-1)?.type, "muted");
});
