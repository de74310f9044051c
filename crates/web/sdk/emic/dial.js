/**
 * Where a number leads, known at once: `call` returns it before anything is sent.
 *
 * A plain number is looked up among the enterprise's extensions, which `getUser` has brought. An
 * encrypted one can be read by the server alone, since the key stays there; it is asked while the
 * caller waits, by the one kind of request that can be waited for without a promise.
 */

/** Lines. */
const EXTERNAL = 2;
const INTERNAL = 3;

/**
 * @param {string} number
 * @param {boolean} encrypted
 * @param {{ server: string, userData: Record<string, any> | null }} context
 * @returns {number | string} 2 or 3; a text: what came out of a number that did not decrypt
 */
export function dialledLine(number, encrypted, { server, userData }) {
  if (encrypted) return askServer(server, number, userData);
  return userData?.extensions?.includes(number) ? INTERNAL : EXTERNAL;
}

/**
 * @param {string} server
 * @param {string} number
 * @param {Record<string, any> | null} userData
 */
function askServer(server, number, userData) {
  const request = new XMLHttpRequest();
  try {
    request.open("POST", `${server}/v1/calls/emic/dial`, false);
    request.setRequestHeader("authorization", `Bearer ${userData?.token ?? ""}`);
    request.setRequestHeader("content-type", "application/json");
    request.send(JSON.stringify({ number }));
    const { line } = JSON.parse(request.responseText);
    return line === EXTERNAL || line === INTERNAL || typeof line === "string" ? line : "";
  } catch {
    return "";
  }
}
