/**
 * The chat: messages of the topic `chat`, from now on; nothing is kept.
 */

import { byId, make } from "../common/dom.js";
import { onLanguage } from "../common/i18n.js";
import { announce } from "../common/notices.js";
import { tint } from "../common/person.js";
import { t } from "./i18n.js";

/** @import { Room } from "../../sdk/crosspoint.js" */

export const TOPIC = "chat";
/** Messages that are kept on the page. */
const MESSAGES_MAX = 500;
/** Messages of one person within this time stand under one name, in milliseconds. */
const GROUP_MS = 120_000;

export class Chat {
  #room;
  #log = byId("chat-log");
  #text = /** @type {HTMLTextAreaElement} */ (byId("chat-text"));
  #onUnread;
  #unread = 0;
  #open = false;
  #last = { from: "", at: 0 };
  #empty = make("p", { class: "chat-empty", "data-t": "chatEmpty" });

  /**
   * @param {Room} room
   * @param {(count: number) => void} onUnread
   */
  constructor(room, onUnread) {
    this.#room = room;
    this.#onUnread = onUnread;
    this.#log.replaceChildren(this.#empty);
    onLanguage(() => (this.#empty.textContent = t("chatEmpty")));
    room.on("message", ({ topic, text, from, participant }) => {
      if (topic === TOPIC && text !== null) this.#receive(from ?? "", participant?.name ?? from ?? "", text);
    });
    byId("chat-form").onsubmit = (event) => {
      event.preventDefault();
      void this.#send();
    };
    this.#text.oninput = () => this.#grow();
    this.#text.onkeydown = (event) => {
      // Enter also confirms a candidate of an input method: that is not sending.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      void this.#send();
    };
  }

  /** @param {boolean} open whether it is seen */
  setOpen(open) {
    this.#open = open;
    if (!open) return;
    this.#setUnread(0);
    this.#log.scrollTop = this.#log.scrollHeight;
    this.#text.focus();
  }

  /**
   * @param {string} from
   * @param {string} name
   * @param {string} text
   */
  #receive(from, name, text) {
    this.#add(from, name, text, false);
    if (this.#open) return;
    this.#setUnread(this.#unread + 1);
    announce(t("messageFrom", { name, text }));
  }

  async #send() {
    const text = this.#text.value.trim();
    if (!text) return;
    this.#text.value = "";
    this.#grow();
    const local = this.#room.localParticipant;
    const bubble = this.#add(local.identity, local.name, text, true);
    try {
      await this.#room.send(text, { topic: TOPIC });
    } catch {
      bubble.append(make("small", { class: "chat-failed" }, t("chatFailed")));
    }
  }

  /**
   * @param {string} from
   * @param {string} name
   * @param {string} text
   * @param {boolean} own
   */
  #add(from, name, text, own) {
    this.#empty.remove();
    const atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 40;
    const now = Date.now();
    const continued = this.#last.from === from && now - this.#last.at < GROUP_MS;
    this.#last = { from, at: now };
    const row = make("article", { class: "chat-row", "data-own": own, "data-continued": continued });
    if (!continued) {
      const time = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "short" }).format(now);
      const who = make("b", { "data-tint": String(tint(from)) }, own ? t("you") : name);
      row.append(make("header", {}, who, make("time", {}, time)));
    }
    const bubble = make("p", { class: "chat-bubble" }, ...withLinks(text));
    row.append(bubble);
    this.#log.append(row);
    while (this.#log.children.length > MESSAGES_MAX) this.#log.firstElementChild?.remove();
    if (atEnd || own) this.#log.scrollTop = this.#log.scrollHeight;
    return row;
  }

  #grow() {
    this.#text.style.height = "auto";
    this.#text.style.height = `${Math.min(this.#text.scrollHeight, 120)}px`;
  }

  /** @param {number} count */
  #setUnread(count) {
    this.#unread = count;
    this.#onUnread(count);
  }
}

/**
 * A text in which addresses of web pages are links.
 *
 * @param {string} text
 */
function withLinks(text) {
  return text.split(/(https?:\/\/[^\s<>"]+)/).map((part, index) => {
    if (index % 2 === 0) return part;
    return make("a", { href: part, target: "_blank", rel: "noopener noreferrer" }, part);
  });
}
