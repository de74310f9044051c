/**
 * Where the page's tokens come from: from the address or the form, or, in development mode, from the
 * server for the asking.
 */

import { CrosspointError } from "../../sdk/crosspoint.js";

/**
 * A development token. Rejects with `token_needed` when the server does not give any.
 *
 * @param {{ room: string, identity: string, name: string }} who
 * @returns {Promise<string>}
 */
export async function developmentToken(who) {
  let response;
  try {
    response = await fetch(new URL("v1/dev/token", document.baseURI), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(who),
    });
  } catch (cause) {
    throw new CrosspointError("server_unreachable", "the server cannot be reached", { cause });
  }
  if (response.ok) return (await response.json()).token;
  const { status } = response;
  if (status >= 500) throw new CrosspointError("server_unreachable", "the server failed", { status });
  throw new CrosspointError("token_needed", "this server gives no development tokens", { status });
}
