/**
 * A picture's menu: how large it is asked for, and why it is as it is.
 */

import { make } from "../common/dom.js";
import { t } from "./i18n.js";

/** @import { Explanation, QualityReason } from "../../sdk/protocol.js" */
/** @import { RemoteTrack } from "../../sdk/crosspoint.js" */

/** @typedef {"auto" | "large" | "small"} Choice */

/** How often the answer is asked for anew while it is read, in milliseconds. */
const REFRESH_MS = 1000;

const WORDS = /** @type {const} */ ({
  bandwidth: "qualityBandwidth",
  policy: "qualityPolicy",
  publisher_paused: "qualityPublisherPaused",
  layer_missing: "qualityLayerMissing",
  keyframe_wait: "qualityKeyframeWait",
  size: "qualitySize",
  unsupported: "qualityUnsupported",
});
const CHOICES = /** @type {const} */ ([
  ["auto", "qualityAuto"],
  ["large", "qualityLarge"],
  ["small", "qualitySmall"],
]);

/**
 * @param {RemoteTrack} track
 * @param {string} name whose picture it is
 * @param {Choice} chosen
 * @param {(choice: Choice) => void} choose
 */
export function showQuality(track, name, chosen, choose) {
  const answer = make("div", { "aria-live": "polite" });
  const close = make("button", { type: "button", class: "primary" }, t("close"));
  const dialog = make(
    "dialog",
    { class: "quality-dialog", "aria-label": t("qualityOf", { name }) },
    make("h2", {}, t("qualityOf", { name })),
    choices(chosen, choose),
    make("h3", {}, t("qualityWhy")),
    answer,
    close,
  );
  let open = true;
  const refresh = async () => {
    const told = await track.explain().then(describe, () => [make("p", {}, t("qualityFailed"))]);
    if (!open) return;
    answer.replaceChildren(...told);
    setTimeout(refresh, REFRESH_MS);
  };
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    open = false;
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  void refresh();
}

/**
 * @param {Choice} chosen
 * @param {(choice: Choice) => void} choose
 */
function choices(chosen, choose) {
  const group = make("fieldset", {}, make("legend", {}, t("qualityChoice")));
  for (const [choice, key] of CHOICES) {
    const input = make("input", { type: "radio", name: "quality", value: choice, checked: choice === chosen });
    input.addEventListener("change", () => choose(choice));
    group.append(make("label", {}, input, ` ${t(key)}`));
  }
  return group;
}

/** @param {Explanation} why */
function describe({ reason, layers, current, estimateBps, grantedBps, nextBps }) {
  const layer = layers.findLast(
    ({ encoding, spatial }) => encoding === current?.encoding && spatial <= current.spatial,
  );
  const size = layer?.size && `${layer.size.width} × ${layer.size.height}`;
  const lines = make("dl", {});
  const line = (/** @type {string} */ term, /** @type {string | null | undefined} */ value) => {
    if (value) lines.append(make("dt", {}, term), make("dd", {}, value));
  };
  line(t("qualityShown"), current ? size : t("qualityNothing"));
  line(t("qualityLink"), kbps(estimateBps));
  line(t("qualityUses"), kbps(grantedBps));
  line(t("qualityNext"), kbps(nextBps));
  return [make("p", { "data-reason": reason ?? "none" }, sentence(reason)), lines];
}

/** @param {QualityReason | null} reason */
function sentence(reason) {
  return t(reason ? WORDS[reason] : "qualityBest");
}

/** @param {number | null} bps */
function kbps(bps) {
  return bps === null ? null : t("kbps", { n: Math.round(bps / 1000) });
}
