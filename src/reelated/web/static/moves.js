// @ts-check
// Animated changes of a list: rows glide to their new places, new rows fade in, badges show how far each row moved, and
// a line names the rows that left. With reduced motion there is only the text.

/** @typedef {{ box: DOMRect, rank: number, list: string, name: string }} Snapshot */

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const timing = { duration: 380, easing: "cubic-bezier(.2, .8, .2, 1)" };

/** @param {Element} row */
const rankOf = (row) => [.../** @type {Element} */ (row.parentElement).children].indexOf(row) + 1;

/**
 * Record the position of every row.
 * @param {HTMLElement} part
 * @returns {Map<string, Snapshot>}
 */
export function snapshot(part) {
  /** @type {Map<string, Snapshot>} */
  const rows = new Map();
  for (const row of /** @type {NodeListOf<HTMLElement>} */ (part.querySelectorAll("[data-key]"))) {
    const list = row.parentElement?.id ?? "";
    rows.set(row.dataset.key ?? "", { box: row.getBoundingClientRect(), rank: rankOf(row), list, name: row.dataset.name ?? "" });
  }
  return rows;
}

/**
 * Animate every row from its earlier position; return a sentence about the changes of the list.
 * @param {HTMLElement} part
 * @param {Map<string, Snapshot>} earlier
 * @param {boolean} announce whether to mark and announce the changes of the list
 * @returns {string}
 */
export function animate(part, earlier, announce) {
  const gone = new Map(earlier);
  const counts = { up: 0, down: 0, new: 0 };
  const list = part.querySelector("[data-moves]");
  const isCompared = announce && [...earlier.values()].some((row) => row.list === list?.id);
  for (const row of /** @type {NodeListOf<HTMLElement>} */ (part.querySelectorAll("[data-key]"))) {
    const before = earlier.get(row.dataset.key ?? "");
    gone.delete(row.dataset.key ?? "");
    glide(row, before);
    if (!isCompared || row.parentElement !== list) continue;
    const distance = before ? before.rank - rankOf(row) : 0;
    if (before && !distance) continue;
    const change = !before ? "new" : distance > 0 ? "up" : "down";
    counts[change] += 1;
    const text = before ? `${distance > 0 ? "▲" : "▼"} ${Math.abs(distance)}` : "new";
    addBadge(row.querySelector("h2, h3"), change, text);
    if (rankOf(row) === 1) addBadge(part.querySelector("[data-top]"), change, text);
  }
  if (!list || !isCompared) return "";
  const removed = [...gone.values()].filter((row) => row.list === list.id);
  if (removed.length && counts.new) addNote(list, `Removed: ${removed.map((row) => row.name).join(", ")}`);
  const changes = [
    counts.new && `${counts.new} added`,
    removed.length && `${removed.length} removed`,
    counts.up && `${counts.up} moved up`,
    counts.down && `${counts.down} moved down`,
  ].filter(Boolean);
  return changes.length ? `The list changed: ${changes.join(", ")}.` : "";
}

/**
 * @param {HTMLElement} row
 * @param {Snapshot | undefined} before
 */
function glide(row, before) {
  if (reducedMotion.matches) return;
  if (!before) {
    row.animate([{ opacity: 0, transform: "translateY(12px)" }, { opacity: 1, transform: "none" }], timing);
    return;
  }
  const box = row.getBoundingClientRect();
  const [x, y] = [before.box.left - box.left, before.box.top - box.top];
  if (x || y) row.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], timing);
}

/**
 * @param {Element | null} to
 * @param {string} change
 * @param {string} text
 */
function addBadge(to, change, text) {
  const badge = document.createElement("span");
  badge.className = `moved ${change}`;
  badge.textContent = text;
  badge.ariaHidden = "true";
  to?.append(badge);
}

/**
 * @param {Element} list
 * @param {string} text
 */
function addNote(list, text) {
  const note = document.createElement("p");
  note.className = "removed";
  note.textContent = text;
  list.after(note);
}
