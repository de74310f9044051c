/**
 * How people without a picture look: a disc with initials, always of the same colour. Pure.
 */

/** Colours of the discs with initials; each with white reaches a contrast of 4.5. */
const TINTS = 6;

/** @param {string} name */
export function initials(name) {
  const words = name.trim().split(/[\s._-]+/u).filter(Boolean);
  if (words.length === 0) return "?";
  // One character of a name in Chinese, Japanese or Korean says as much as two Latin letters.
  const [first] = words[0];
  if (/\p{Script=Han}|\p{Script=Hangul}|\p{Script=Hiragana}|\p{Script=Katakana}/u.test(first)) {
    return [...words[0]].slice(-2).join("");
  }
  const second = words.length > 1 ? [...words[words.length - 1]][0] : "";
  return (first + second).toUpperCase();
}

/**
 * The same colour for the same person, in every window.
 *
 * @param {string} identity
 */
export function tint(identity) {
  let hash = 0;
  for (const char of identity) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) >>> 0;
  return hash % TINTS;
}
