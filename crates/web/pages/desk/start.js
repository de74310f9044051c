/**
 * Who to be: one of the users that stand ready, by role, or somebody with a token or a password.
 */

import { byId, make } from "../common/dom.js";
import { onLanguage } from "../common/i18n.js";
import { initials, tint } from "../common/person.js";
import { readyPassword, readyTenants, readyToken, roleOf, tokenUser } from "./accounts.js";
import { t } from "./i18n.js";
import { problem } from "./words.js";

/** @import { ReadyTenant, ReadyUser } from "./accounts.js" */
/** @import { DeskRole } from "./state.js" */

/**
 * @typedef {object} Choice
 * @property {DeskRole} role
 * @property {string} name to show until the server says a better one
 * @property {import("../../sdk/signal.js").TokenSource} [token]
 * @property {{ tenant: string, user: string, password: string }} [account]
 */

const ROLES = /** @type {const} */ (["customer", "agent", "supervisor"]);
/** The tenant of Desk's own users; the others are for the façades. */
const NATIVE = "native";
/** How long, and how often, a server that has just started is asked for its users, in milliseconds. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 500;

export class Start {
  #onChoice;
  /** @type {ReadyTenant[]} */
  #tenants = [];
  /** Whether the server has said who stands ready. */
  #asked = false;
  /** Until when it is asked again. */
  #patience = 0;
  /** What went wrong last. @type {unknown} */
  #cause = null;

  /** @param {(choice: Choice) => Promise<void>} onChoice rejects when it did not work */
  constructor(onChoice) {
    this.#onChoice = onChoice;
    const tokenForm = byId("token-form");
    tokenForm.addEventListener("submit", (event) => {
      event.preventDefault();
      const token = value("token").replace(/\s+/g, "");
      void this.choose({ role: this.#role(), name: tokenUser(token), token }, tokenForm);
    });
    const passwordForm = byId("password-form");
    passwordForm.addEventListener("submit", (event) => {
      event.preventDefault();
      const account = { tenant: value("tenant"), user: value("user"), password: value("password") };
      void this.choose({ role: this.#role(), name: account.user, account }, passwordForm);
    });
    onLanguage(() => this.#show());
  }

  /** Asks the server who stands ready, again while it makes them. Resolves with the first answer. */
  async open() {
    const until = (this.#patience = Date.now() + PATIENCE_MS);
    const look = async () => {
      const { tenants, complete } = await readyTenants();
      if (this.#patience !== until) return; // opened anew
      const changed = JSON.stringify(tenants) !== JSON.stringify(this.#tenants);
      this.#tenants = tenants;
      const asked = complete || Date.now() > until;
      if (changed || asked !== this.#asked) {
        this.#asked = asked;
        this.#show();
      }
      if (!asked) setTimeout(() => void look(), LOOK_MS);
    };
    this.#asked = false;
    await look();
  }

  #show() {
    this.#showError();
    const desk = this.#tenants.filter(({ dialect }) => dialect === NATIVE);
    byId("ready").hidden = desk.length === 0;
    const other = /** @type {HTMLDetailsElement} */ (byId("other-account"));
    // Nobody stands ready, so this is the only way.
    if (this.#asked && desk.length === 0) other.open = true;
    for (const role of ROLES) {
      const users = desk.flatMap((tenant) => tenant.users.filter((user) => roleOf(user) === role).map((user) => this.#button(tenant, user)));
      byId(`ready-${role}`).replaceChildren(...users);
    }
    const others = this.#tenants.filter(({ dialect }) => dialect !== NATIVE);
    byId("systems").hidden = others.length === 0;
    byId("systems-rows").replaceChildren(...others.flatMap(systemRows));
  }

  /** @param {ReadyTenant} tenant @param {ReadyUser} user */
  #button({ tenant }, user) {
    const name = user.name || user.user;
    const avatar = make("span", { class: "avatar", "aria-hidden": "true" }, initials(name));
    avatar.dataset.tint = String(tint(user.user));
    const about = [user.extension && t("extension", { number: user.extension }), ...user.skillGroups].filter(Boolean).join(" · ");
    const words = make("span", { class: "who" }, make("b", {}, name), make("small", {}, about || user.user));
    const button = make("button", { type: "button", class: "account", "data-user": user.user }, avatar, words);
    button.addEventListener("click", () => {
      void this.choose({ role: roleOf(user), name, token: () => readyToken(tenant, user.user) });
    });
    return make("li", {}, button);
  }

  /** @returns {DeskRole} */
  #role() {
    const chosen = /** @type {HTMLInputElement | null} */ (document.querySelector("input[name=role]:checked"));
    return /** @type {DeskRole} */ (chosen?.value ?? "customer");
  }

  #showError() {
    byId("start-error").textContent = this.#cause === null ? "" : problem(this.#cause);
  }

  /**
   * Comes online; what goes wrong is shown where the choice was made.
   *
   * @param {Choice} choice
   * @param {Element} [place]
   */
  async choose(choice, place = byId("start-head")) {
    this.#cause = null;
    this.#showError();
    const error = byId("start-error");
    place.append(error);
    document.body.toggleAttribute("data-busy", true);
    try {
      await this.#onChoice(choice);
    } catch (cause) {
      this.#cause = cause;
      this.#showError();
      error.scrollIntoView({ block: "nearest" });
    } finally {
      document.body.toggleAttribute("data-busy", false);
    }
  }
}

/** @param {ReadyTenant} tenant */
function systemRows({ dialect, tenant, users }) {
  return users.map((ready, index) => {
    const { user, name, extension } = ready;
    const system = make("td", {}, index === 0 ? dialect : "");
    const cells = [tenant, user, name, extension, readyPassword(dialect, ready)].map((text) => make("td", {}, text));
    return make("tr", {}, system, ...cells);
  });
}

/** @param {string} id */
function value(id) {
  return /** @type {HTMLInputElement} */ (byId(id)).value.trim();
}
