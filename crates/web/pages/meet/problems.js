/**
 * Which words belong to which error. Pure.
 */

/** @import { TextKey } from "./i18n.js" */

/** @type {Record<string, [title: TextKey, text: TextKey]>} */
const ENDINGS = {
  client_left: ["endedLeft", "endedLeftText"],
  aborted: ["endedLeft", "endedLeftText"],
  kicked: ["endedKicked", "endedKickedText"],
  duplicate_identity: ["endedDuplicate", "endedDuplicateText"],
  room_deleted: ["endedDeleted", "endedDeletedText"],
  empty: ["endedDeleted", "endedDeletedText"],
  server_shutdown: ["endedShutdown", "endedShutdownText"],
  room_full: ["endedFull", "endedFullText"],
  draining: ["endedDraining", "endedDrainingText"],
  network_lost: ["endedNetwork", "endedNetworkText"],
  connection_lost: ["endedNetwork", "endedNetworkText"],
  signal_lost: ["endedNetwork", "endedNetworkText"],
  consent_expired: ["endedNetwork", "endedNetworkText"],
  timeout: ["endedNetwork", "endedNetworkText"],
  server_unreachable: ["endedUnreachable", "endedUnreachableText"],
  media_failed: ["endedMedia", "endedMediaText"],
  connect_timeout: ["endedMedia", "endedMediaText"],
  dtls_failed: ["endedMedia", "endedMediaText"],
  unauthorized: ["endedToken", "endedTokenText"],
  session_expired: ["endedToken", "endedTokenText"],
  forbidden: ["endedForbidden", "endedForbiddenText"],
  not_permitted: ["endedForbidden", "endedForbiddenText"],
  room_not_found: ["endedForbidden", "endedForbiddenText"],
};

/**
 * Title and text for the end of a call.
 *
 * @param {string} reason
 */
export function ending(reason) {
  const [title, text] = ENDINGS[reason] ?? ["endedOther", "endedOtherText"];
  return { title, text };
}
