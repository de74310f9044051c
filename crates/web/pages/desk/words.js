/**
 * Words for errors, ends and states.
 */

import { isCrosspointError } from "../../sdk/crosspoint.js";
import { clock } from "../common/clock.js";
import { said, t } from "./i18n.js";

/** @import { DeskState } from "./state.js" */
/** @import { CallView, Person, SeatState } from "../../sdk/calls/types.js" */

/** @param {Person | undefined} person */
export function nameOf(person) {
  return person?.name || person?.user || t("nobody");
}

/** What went wrong, and what to do. @param {unknown} error */
export function problem(error) {
  if (!isCrosspointError(error)) return t("errorOther", { why: error instanceof Error ? error.message : String(error) });
  return said(`error_${error.type}`, "errorOther", { why: error.message });
}

/** @param {SeatState | null} seat */
export function seatWords(seat) {
  return said(`seat_${seat ?? "offline"}`, "seat_offline");
}

/** How the last call ended. @param {NonNullable<DeskState["ended"]>} ended */
export function endWords({ reason, own, answered, durationMs }) {
  const why = own && reason === "hang_up" ? t("endedByYou") : said(`reason_${reason}`, "reasonOther", { reason });
  return answered ? t("endedAfter", { why, time: clock(durationMs / 1000) }) : why;
}

/** How far a call is. @param {DeskState} state */
export function progressWords({ call, progress }) {
  if (!call) return "";
  if (call.state === "active") return "";
  if (progress?.stage === "alerting") return t(call.kind === "queue" ? "agentRings" : "otherRings");
  if (progress?.stage === "routing") {
    return progress.position === null ? t("inQueue") : t("placeInQueue", { position: progress.position });
  }
  return call.state === "connecting" ? t("connecting") : t("calling");
}

/** State of a call on the wall. @param {CallView} call */
export function callWords(call) {
  if (call.participants.some((each) => each.held)) return t("onHold");
  if (call.kind === "queue" && call.state === "creating") return t("state_waiting");
  return said(`state_${call.state}`, "state_creating");
}
