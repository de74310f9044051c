/**
 * Who may use Desk: the users that a server in development mode has ready, or somebody with a token
 * or a password.
 */

import { Api, developmentToken, part } from "../common/api.js";

/** @import { DeskRole } from "./state.js" */

/**
 * @typedef {object} ReadyUser
 * @property {string} user
 * @property {string} name
 * @property {string} extension
 * @property {string[]} skillGroups where the user is an agent
 * @property {boolean} supervisor
 */

/**
 * @typedef {object} ReadyTenant
 * @property {string} tenant
 * @property {string} dialect that its users speak: `native`, `rong`, ...
 * @property {ReadyUser[]} users
 */

/** Tenants that a server in development mode furnishes, by the dialect that their users speak. */
const READY = /** @type {const} */ ([
  { tenant: "desk", dialect: "native" },
  { tenant: "jrtc", dialect: "jrtc" },
  { tenant: "rong", dialect: "rong" },
  { tenant: "videoReview", dialect: "snk" },
  { tenant: "02566699734", dialect: "emic" },
]);
const READY_PASSWORD = "crosspoint";
const TOKEN_TTL_S = 3600;

/**
 * Tenants with their users; none unless the server is in development mode. A server that has just
 * started is not complete yet.
 *
 * @returns {Promise<{ tenants: ReadyTenant[], complete: boolean }>}
 */
export async function readyTenants() {
  const token = await developmentToken();
  if (!token) return { tenants: [], complete: true };
  const api = new Api(token);
  const asked = READY.map(async ({ tenant, dialect }) => {
    const answer = await api.get(`v1/tenants/${part(tenant)}/users`).catch(() => ({ users: [] }));
    return { tenant, dialect, users: answer.users };
  });
  const tenants = (await Promise.all(asked)).filter(({ users }) => users.length > 0);
  return { tenants, complete: tenants.length === READY.length };
}

/**
 * The password of a ready user: those of the phonebar have their extension, as its document has it.
 *
 * @param {string} dialect
 * @param {ReadyUser} user
 */
export function readyPassword(dialect, { extension }) {
  return dialect === "emic" ? extension : READY_PASSWORD;
}

/**
 * A token of a ready user.
 *
 * @param {string} tenant
 * @param {string} user
 * @returns {Promise<string>}
 */
export async function readyToken(tenant, user) {
  // Asked for anew: the page may be older than its first token.
  const api = new Api(await developmentToken());
  const { token } = await api.post(`v1/tenants/${part(tenant)}/users/${part(user)}/token`, { ttlSeconds: TOKEN_TTL_S });
  return token;
}

/**
 * The part that a user has in a contact centre.
 *
 * @param {{ skillGroups: string[], supervisor: boolean }} user
 * @returns {DeskRole}
 */
export function roleOf({ skillGroups, supervisor }) {
  if (supervisor) return "supervisor";
  return skillGroups.length > 0 ? "agent" : "customer";
}

/**
 * Who a token is for, unverified: only to show a name. The server decides.
 *
 * @param {string} token
 */
export function tokenUser(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return String(claims.name ?? claims.sub ?? "");
  } catch {
    return "";
  }
}
