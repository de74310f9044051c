/**
 * What the address says: which room, who, and whether to join at once.
 *
 * Pure, so that tests can ask it.
 */

/**
 * @typedef {object} Params
 * @property {string} room empty: not said
 * @property {string} name
 * @property {string} identity
 * @property {string} token
 * @property {boolean} join at once, without the lobby
 */

/**
 * @param {string} href
 * @returns {Params}
 */
export function readParams(href) {
  const query = new URL(href).searchParams;
  const token = query.get("token") ?? "";
  const claims = tokenClaims(token);
  const name = query.get("name") ?? claims.name;
  return {
    room: (claims.room || query.get("room") || "").trim(),
    name: name.trim(),
    identity: (claims.identity || query.get("identity") || "").trim(),
    token,
    join: ["1", "true"].includes(query.get("join") ?? ""),
  };
}

/**
 * What a token says, unverified: only to fill in the form. The server decides.
 *
 * @param {string} token
 */
export function tokenClaims(token) {
  const nothing = { room: "", identity: "", name: "" };
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return {
      room: String(claims.video?.room ?? ""),
      identity: String(claims.sub ?? ""),
      name: String(claims.name ?? claims.sub ?? ""),
    };
  } catch {
    return nothing;
  }
}

/**
 * The link that brings others into a room: no name, no token.
 *
 * @param {string} href
 * @param {string} room
 */
export function shareLink(href, room) {
  const url = new URL(href);
  url.search = new URLSearchParams({ room }).toString();
  url.hash = "";
  return url.href;
}

/**
 * Who somebody is in a room who gave only a name: readable, and different in each window, so that
 * two people of one name do not replace each other.
 *
 * @param {string} name
 * @param {string} suffix random
 */
export function identityFor(name, suffix) {
  const plain = name.normalize("NFKC").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-");
  return `${plain.replace(/^-+|-+$/g, "").slice(0, 48) || "guest"}-${suffix}`;
}

const QUALITIES = ["amber", "bright", "calm", "clear", "early", "gentle", "golden", "green", "quiet", "silver", "still", "sunny"];
const PLACES = ["bay", "bridge", "brook", "field", "forest", "garden", "harbor", "hill", "island", "meadow", "river", "valley"];

/**
 * A room's name that can be said on the telephone, and is hard enough to meet by chance.
 *
 * @param {() => number} [random]
 */
export function suggestRoom(random = Math.random) {
  const pick = (/** @type {string[]} */ list) => list[Math.floor(random() * list.length)];
  return `${pick(QUALITIES)}-${pick(PLACES)}-${1000 + Math.floor(random() * 9000)}`;
}
