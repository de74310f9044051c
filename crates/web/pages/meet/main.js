/**
 * Meet: from the address through the lobby into a call and out again.
 *
 * `/?room=R&name=N&join=1` joins at once; `token=` brings a token. Scripts and tests find the room
 * as `crosspoint.room`.
 */

import { isCrosspointError, Room } from "../../sdk/crosspoint.js";
import { byId } from "../common/dom.js";
import { onLanguage, setUpLanguage } from "../common/i18n.js";
import { announce, hideAllNotices } from "../common/notices.js";
import { remember, settings } from "../common/settings.js";
import { setUpTheme } from "../common/theme.js";
import { Call } from "./call.js";
import { t } from "./i18n.js";
import { Lobby } from "./lobby.js";
import { identityFor, readParams, shareLink, suggestRoom } from "./params.js";
import { ending } from "./problems.js";
import { developmentToken } from "./token.js";

/** @import { Entry } from "./lobby.js" */

const SUFFIX_KEY = "crosspoint.tab";
const tabSuffix = sessionStorage.getItem(SUFFIX_KEY) ?? Math.random().toString(36).slice(2, 7);
// Kept only from unloading to loading: a duplicated tab copies the storage, and is somebody else.
sessionStorage.removeItem(SUFFIX_KEY);
addEventListener("pagehide", () => sessionStorage.setItem(SUFFIX_KEY, tabSuffix));

const params = readParams(location.href);
const room = new Room();
const lobby = new Lobby((entry) => void enter(entry));
const call = new Call(room);
/** The last entry, to join again. @type {Entry | null} */
let lastEntry = null;
let endReason = "";

Object.assign(globalThis, { crosspoint: { room } });
setUpTheme(byId("theme"));
setUpLanguage(byId("language"));
room.on("stateChanged", ({ state, reason }) => {
  if (state === "disconnected" && document.body.dataset.view === "call") showEnd(reason);
});
byId("ended-again").addEventListener("click", () => void joinAgain());
byId("ended-lobby").addEventListener("click", () => void openLobby());
onLanguage(showTexts);
void begin();

async function begin() {
  const entry = { name: params.name, room: params.room, token: params.token };
  if (params.join && entry.room && entry.name) {
    show("loading");
    await lobby.openDevices();
    await enter(entry);
  } else {
    await openLobby();
  }
}

async function openLobby() {
  show("lobby");
  await lobby.open({
    name: lastEntry?.name || params.name || settings.name,
    room: lastEntry?.room || params.room || suggestRoom(),
    roomFixed: Boolean(params.token && params.room),
  });
}

async function joinAgain() {
  if (!lastEntry) return openLobby();
  show("loading");
  await lobby.openDevices();
  await enter(lastEntry);
}

/** @param {Entry} entry */
async function enter(entry) {
  lastEntry = entry;
  lobby.setBusy(true);
  try {
    const token = await tokenSource(entry);
    const { tracks, problems } = lobby.release();
    const own = { stopOnUnpublish: true };
    if (tracks.microphone) await room.localParticipant.publish(tracks.microphone, own);
    if (tracks.camera) await room.localParticipant.publish(tracks.camera, own);
    await room.join(new URL(".", document.baseURI).href, token);
    if (!params.token && !params.join) {
      remember({ name: entry.name });
      history.replaceState(null, "", shareLink(location.href, entry.room));
    }
    show("call");
    call.begin(problems);
  } catch (error) {
    if (isCrosspointError(error, "token_needed")) {
      if (document.body.dataset.view !== "lobby") await openLobby();
      lobby.askForToken();
      return;
    }
    showEnd(isCrosspointError(error) ? error.type : String(error));
  } finally {
    lobby.setBusy(false);
  }
}

/**
 * The given token, or one of the development server: the first now, so that its refusal is known
 * before anything else happens, and a fresh one for each later connection.
 *
 * @param {Entry} entry
 */
async function tokenSource(entry) {
  const given = entry.token || params.token;
  if (given) return given;
  const who = { room: entry.room, identity: ownIdentity(entry.name), name: entry.name };
  /** @type {string | null} */
  let first = await developmentToken(who);
  return async () => {
    const token = first ?? (await developmentToken(who));
    first = null;
    return token;
  };
}

/**
 * Who we are in the room. An address that joins at once means exactly the one it names; otherwise
 * the name gets a suffix that stays with this tab, so that a reload takes over its own place.
 *
 * @param {string} name
 */
function ownIdentity(name) {
  if (params.identity) return params.identity;
  return params.join ? name : identityFor(name, tabSuffix);
}

/** @param {string} reason */
function showEnd(reason) {
  endReason = reason;
  call.end();
  hideAllNotices();
  show("ended");
  showTexts();
  byId("ended-title").focus();
}

/** Words of this page that depend on its state. */
function showTexts() {
  const { title, text } = ending(endReason);
  byId("ended-title").textContent = t(title);
  byId("ended-text").textContent = t(text, { reason: endReason });
  const inCall = document.body.dataset.view === "call";
  document.title = inCall ? `${room.name} · Crosspoint Meet` : "Crosspoint Meet";
}

/** @param {"loading" | "lobby" | "call" | "ended"} view */
function show(view) {
  document.body.dataset.view = view;
  if (view === "loading") announce(t("connecting"));
  showTexts();
}
