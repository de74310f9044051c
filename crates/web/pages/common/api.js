/**
 * The server's HTTP API, with a token.
 */

/** What the server answers instead: its problem document (RFC 9457). */
export class Problem extends Error {
  /**
   * @param {string} detail
   * @param {number} status 0: no answer
   * @param {string} label
   */
  constructor(detail, status, label) {
    super(detail);
    this.status = status;
    this.label = label;
  }
}

export class Api {
  #token;

  /** @param {string} token */
  constructor(token) {
    this.#token = token;
  }

  /** @param {string} path @returns {Promise<any>} */
  get(path) {
    return this.#json("GET", path);
  }

  /** @param {string} path @param {unknown} [body] @returns {Promise<any>} */
  post(path, body = {}) {
    return this.#json("POST", path, body);
  }

  /** @param {string} path @param {unknown} body @returns {Promise<any>} */
  patch(path, body) {
    return this.#json("PATCH", path, body);
  }

  /** @param {string} path @returns {Promise<any>} */
  delete(path) {
    return this.#json("DELETE", path);
  }

  /** @param {string} path @returns {Promise<Blob>} */
  async blob(path) {
    return (await this.#fetch("GET", path)).blob();
  }

  /** @param {string} path @returns {Promise<string>} */
  async text(path) {
    return (await this.#fetch("GET", path)).text();
  }

  /** An address that carries the token, for elements that cannot set headers. @param {string} path */
  url(path) {
    const url = new URL(path, document.baseURI);
    url.searchParams.set("access_token", this.#token);
    return url.href;
  }

  /** @param {string} method @param {string} path @param {unknown} [body] */
  async #json(method, path, body) {
    const response = await this.#fetch(method, path, body);
    const text = await response.text();
    return text === "" ? null : JSON.parse(text);
  }

  /** @param {string} method @param {string} path @param {unknown} [body] */
  async #fetch(method, path, body) {
    /** @type {Record<string, string>} */
    const headers = { authorization: `Bearer ${this.#token}` };
    if (body !== undefined) headers["content-type"] = "application/json";
    let response;
    try {
      response = await fetch(new URL(path, document.baseURI), {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch {
      throw new Problem("the server cannot be reached", 0, "unreachable");
    }
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    throw new Problem(problem.detail ?? response.statusText, response.status, problem.label ?? "");
  }
}

/** A part of a path. @param {string} text */
export const part = encodeURIComponent;

/** A token that may do everything, of a server in development mode; empty when it gives none. */
export async function developmentToken() {
  try {
    const response = await fetch(new URL("v1/dev/admin-token", document.baseURI), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    return response.ok ? String((await response.json()).token) : "";
  } catch {
    return "";
  }
}
