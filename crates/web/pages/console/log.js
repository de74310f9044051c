/**
 * The log of events, by server-sent events: newest first, the last 300.
 */

import { byId, make } from "../common/dom.js";
import { isText, t, timeOfDay } from "./i18n.js";

const LINES_MAX = 300;

/** @import { Api } from "../common/api.js" */

export class Log {
  #list = byId("log");

  /**
   * @param {Api} api
   * @param {object} listener
   * @param {(event: any) => void} listener.event
   * @param {(live: boolean) => void} listener.live
   */
  constructor(api, listener) {
    const source = new EventSource(api.url("v1/events"));
    source.onopen = () => listener.live(true);
    source.onerror = () => listener.live(false);
    const kinds = [
      "roomStarted", "roomUpdated", "roomFinished", "participantJoined", "participantUpdated",
      "participantLeft", "trackPublished", "trackUpdated", "trackUnpublished",
      "moderationVerdict",
    ];
    for (const kind of kinds) {
      source.addEventListener(kind, (message) => {
        const event = JSON.parse(message.data);
        this.#add(kind, describe(kind, event));
        listener.event(event);
      });
    }
    source.addEventListener("lagged", (message) => {
      this.#add("lagged", t("lagged", { n: JSON.parse(message.data).missed }));
    });
  }

  /** @param {string} kind @param {string} text */
  #add(kind, text) {
    const time = make("time", {}, timeOfDay(new Date().toISOString()));
    this.#list.prepend(make("li", { "data-kind": kind }, time, make("span", {}, text)));
    while (this.#list.childElementCount > LINES_MAX) this.#list.lastElementChild?.remove();
  }
}

/** @param {string} kind @param {any} event */
function describe(kind, event) {
  const key = `ev_${kind}`;
  if (!isText(key)) return kind;
  const source = event.track?.source ?? "other";
  return t(key, {
    room: event.room,
    who: event.participant?.name || event.participant?.identity || event.identity || "",
    what: isText(source) ? t(source) : source,
    reason: event.reason ?? "",
    verdict: event.verdict ?? "",
  });
}
