/**
 * Desk: a contact centre on the call machine. A customer calls a skill group and waits, an agent
 * answers, a supervisor watches.
 *
 * `/desk#token=JWT&role=agent` comes online at once. Scripts and tests find the phone as
 * `crosspoint.phone`.
 */

import { byId } from "../common/dom.js";
import { onLanguage, setUpLanguage } from "../common/i18n.js";
import { announce, hideAllNotices } from "../common/notices.js";
import { initials, tint } from "../common/person.js";
import { setUpTheme } from "../common/theme.js";
import { tokenUser } from "./accounts.js";
import { Cards } from "./cards.js";
import { Customer } from "./customer.js";
import { t } from "./i18n.js";
import { Phone } from "./phone.js";
import { Seats } from "./seats.js";
import { Start } from "./start.js";
import { Talk } from "./talk.js";
import { Wall } from "./wall.js";

/** @import { Choice } from "./start.js" */
/** @import { DeskRole } from "./state.js" */

/** @type {Phone | null} */
let phone = null;
/** What is on the page while somebody is online. @type {{ show: () => void }[]} */
let views = [];
let name = "";

setUpLanguage(byId("language"));
setUpTheme(byId("theme"));
const start = new Start(enter);
byId("log-out").addEventListener("click", () => leave());
addEventListener("pagehide", () => phone?.close());
onLanguage(() => showAll());
void begin();

async function begin() {
  const params = new URLSearchParams(location.hash.slice(1));
  const token = params.get("token");
  show("start");
  const opening = start.open();
  if (token) {
    history.replaceState(null, "", location.pathname);
    const role = /** @type {DeskRole} */ (params.get("role") ?? "customer");
    await start.choose({ role, token, name: tokenUser(token) });
  }
  await opening;
}

/** @param {Choice} choice */
async function enter(choice) {
  const url = new URL(".", document.baseURI).href;
  const next = new Phone({ role: choice.role, url, token: choice.token, account: choice.account }, () => leave());
  try {
    await next.login();
  } catch (error) {
    next.close();
    throw error;
  }
  hideAllNotices();
  phone = next;
  name = choice.name;
  Object.assign(globalThis, { crosspoint: { phone } });
  const seats = new Seats(phone);
  const talk = new Talk(phone, (purpose) => seats.pick(purpose));
  const wall = new Wall(phone);
  views = [new Customer(phone), seats, new Cards(phone), wall, talk];
  phone.onChange(() => phone === next && showAll());
  const seconds = setInterval(() => {
    if (phone !== next) return clearInterval(seconds);
    talk.tick();
    wall.show();
  }, 1_000);
  show("work");
  showAll();
  announce(t("youAreOnline"));
  byId("main").focus({ preventScroll: true });
}

function showAll() {
  for (const view of views) view.show();
  showWho();
}

/** Back to the choice of who to be. */
function leave() {
  phone?.close();
  phone = null;
  views = [];
  show("start");
  void start.open();
}

function showWho() {
  const state = phone?.state;
  const person = state?.call?.participants.find((each) => each.person.user === state.me)?.person
    ?? state?.seats.find((each) => each.person.user === state.me)?.person;
  const shown = person?.name || name || state?.me || "";
  byId("me-name").textContent = shown;
  byId("me-avatar").textContent = initials(shown);
  byId("me-avatar").dataset.tint = String(tint(state?.me ?? ""));
  byId("me-role").textContent = state ? t(ROLES[state.role]) : "";
  byId("link-state").dataset.link = state?.link ?? "offline";
  byId("link-state").textContent = state ? t(LINKS[state.link]) : "";
  document.title = state?.rings.length ? `☎ ${t("ringing")} · Crosspoint Desk` : shown && state ? `${shown} · Crosspoint Desk` : "Crosspoint Desk";
}

/** @param {"start" | "work"} view */
function show(view) {
  document.body.dataset.view = view;
  document.body.dataset.role = phone?.state.role ?? "";
  showWho();
}

const ROLES = /** @type {const} */ ({ customer: "customer", agent: "agent", supervisor: "supervisor" });
const LINKS = /** @type {const} */ ({ online: "online", offline: "offlineNow", interrupted: "reconnecting" });
