/**
 * Console: every room of the server, live; what was, and what was recorded.
 *
 * `/console#room=NAME` opens a room, `#tab=recordings` a tab; `#token=JWT` brings a token (behind `#`, so that it is never
 * sent). In development mode the server gives one for the asking.
 */

import { Api, developmentToken, Problem } from "../common/api.js";
import { byId } from "../common/dom.js";
import { onLanguage, setUpLanguage } from "../common/i18n.js";
import { setUpTheme } from "../common/theme.js";
import { showHistory } from "./history.js";
import { t } from "./i18n.js";
import { Log } from "./log.js";
import { NodeView } from "./node.js";
import { showRecordings } from "./recordings.js";
import { RoomView } from "./room.js";
import { RoomList } from "./rooms.js";

/** Between two looks at the shown room, and at the list of rooms and the node, in milliseconds. */
const ROOM_MS = 1000;
const LIST_MS = 2000;
const TOKEN_KEY = "crosspoint.console.token";

const params = new URLSearchParams(location.hash.slice(1));

setUpTheme(byId("theme"));
setUpLanguage(byId("language"));
onLanguage(showLink);
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  void enter(/** @type {HTMLInputElement} */ (byId("token")).value.trim());
});
void begin();

async function begin() {
  const given = params.get("token") || sessionStorage.getItem(TOKEN_KEY) || (await developmentToken());
  if (params.has("token")) {
    params.delete("token");
    history.replaceState(null, "", `#${params}`);
  }
  if (given) await enter(given);
  else ask("");
}

/** @param {string} problem */
function ask(problem) {
  byId("entry").hidden = false;
  byId("token-error").textContent = problem;
  byId("token").focus();
}

/** @param {string} token */
async function enter(token) {
  const api = new Api(token);
  try {
    await api.get("v1/rooms");
  } catch (error) {
    sessionStorage.removeItem(TOKEN_KEY);
    const why = error instanceof Error ? error.message : String(error);
    const unreachable = error instanceof Problem && error.status === 0;
    ask(unreachable ? t("unreachable") : t("tokenRefused", { why }));
    return;
  }
  sessionStorage.setItem(TOKEN_KEY, token);
  byId("entry").hidden = true;
  byId("console").hidden = false;
  run(api);
}

/** @param {Api} api */
function run(api) {
  const view = new RoomView(api, say);
  const list = new RoomList((room) => choose(room));
  const node = new NodeView(api);

  /** @param {string} room */
  function choose(room) {
    params.set("room", room);
    history.replaceState(null, "", `#${params}`);
    list.select(room);
    view.open(room);
  }
  const look = async () => list.show((await api.get("v1/rooms")).rooms);
  let due = 0;
  new Log(api, {
    // Many events at once are one look.
    event: () => {
      due ||= setTimeout(() => {
        due = 0;
        void look().catch(() => {});
      }, 300);
    },
    live: (live) => {
      byId("link-state").dataset.live = String(live);
      showLink();
    },
  });
  every(ROOM_MS, () => view.refresh());
  every(LIST_MS, look);
  every(LIST_MS, () => node.refresh());
  setUpTabs(api);
  const wanted = params.get("room");
  if (wanted) choose(wanted);
}

function showLink() {
  const { live } = byId("link-state").dataset;
  if (live) byId("link-state").textContent = t(live === "true" ? "live" : "reconnecting");
}

/** Again and again, one after the other, while the page is seen. @param {number} ms @param {() => Promise<void>} work */
function every(ms, work) {
  const round = async () => {
    // What fails now is tried again.
    if (!document.hidden) await work().catch(() => {});
    setTimeout(round, ms);
  };
  void round();
}

/** @param {Api} api */
function setUpTabs(api) {
  const tabs = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-tab]"));
  const open = (/** @type {string} */ name) => {
    for (const tab of tabs) {
      if (tab.dataset.tab === name) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    for (const pane of document.querySelectorAll("[data-pane]")) {
      if (pane instanceof HTMLElement) pane.hidden = pane.dataset.pane !== name;
    }
    if (name === "recordings") void showRecordings(api);
    if (name === "history") void showHistory(api);
  };
  for (const tab of tabs) tab.addEventListener("click", () => open(tab.dataset.tab ?? "rooms"));
  const wanted = [...tabs].find((tab) => tab.dataset.tab === params.get("tab"));
  if (wanted?.dataset.tab) open(wanted.dataset.tab);
}

/** @param {string} text @param {"error"} [kind] */
function say(text, kind) {
  const announcer = byId("announcer");
  announcer.textContent = text;
  announcer.className = kind === "error" ? "toast error" : "toast";
  setTimeout(() => {
    if (announcer.textContent === text) announcer.className = "sr-only";
  }, 4000);
}
