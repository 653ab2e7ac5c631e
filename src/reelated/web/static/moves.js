// @ts-check
// How a list changes before one's eyes: what stays glides to its new place, what is new fades in, badges say how far
// each went, and a line names what went out. Who asked their system for less motion sees the words alone.

/** @typedef {{ box: DOMRect, rank: number, list: string, name: string, node: HTMLElement }} Seen */

const still = matchMedia("(prefers-reduced-motion: reduce)");
const LASTS = 380;
const easing = "cubic-bezier(.2, .8, .2, 1)";

/**
 * Remember where everything is.
 * @param {HTMLElement} part
 * @returns {Map<string, Seen>}
 */
export function before(part) {
  /** @type {Map<string, Seen>} */
  const seen = new Map();
  for (const node of /** @type {NodeListOf<HTMLElement>} */ (part.querySelectorAll("[data-key]"))) {
    const list = /** @type {HTMLElement} */ (node.parentElement);
    const rank = [...list.children].indexOf(node) + 1;
    seen.set(node.dataset.key ?? "", { box: node.getBoundingClientRect(), rank, list: list.id, name: node.dataset.name ?? "", node });
  }
  return seen;
}

/**
 * Move everything from where it was to where it is; say in a sentence what the list did.
 * @param {HTMLElement} part
 * @param {Map<string, Seen>} earlier
 * @param {boolean} tell whether the change is one of the list itself, to be told
 * @returns {string}
 */
export function after(part, earlier, tell) {
  const gone = new Map(earlier);
  const told = { up: 0, down: 0, new: 0 };
  const list = part.querySelector("[data-moves]");
  const compared = tell && [...earlier.values()].some((one) => one.list === list?.id);
  for (const node of /** @type {NodeListOf<HTMLElement>} */ (part.querySelectorAll("[data-key]"))) {
    const was = earlier.get(node.dataset.key ?? "");
    gone.delete(node.dataset.key ?? "");
    glide(node, was);
    if (compared && node.parentElement === list) {
      const rank = [...list.children].indexOf(node) + 1;
      const far = was ? was.rank - rank : 0;
      const how = was ? (far > 0 ? "up" : far < 0 ? "down" : undefined) : "new";
      if (how) told[/** @type {"up"} */ (how)] += 1;
      if (how) badge(node, how, how === "new" ? "new" : `${far > 0 ? "▲" : "▼"} ${Math.abs(far)}`);
    }
  }
  if (!list || !compared) return "";
  const out = [...gone.values()].filter((one) => one.list === list.id);
  if (out.length && told.new) note(list, `Out: ${out.map((one) => one.name).join(", ")}`);
  const words = [
    told.new && `${told.new} came in`,
    out.length && `${out.length} went out`,
    told.up && `${told.up} went up`,
    told.down && `${told.down} went down`,
  ].filter(Boolean);
  return words.length ? `The list changed: ${words.join(", ")}.` : "";
}

/**
 * @param {HTMLElement} node
 * @param {Seen | undefined} was
 */
function glide(node, was) {
  if (still.matches) return;
  if (!was) {
    node.animate([{ opacity: 0, transform: "translateY(12px)" }, { opacity: 1, transform: "none" }], { duration: LASTS, easing });
    return;
  }
  const now = node.getBoundingClientRect();
  const [x, y] = [was.box.left - now.left, was.box.top - now.top];
  if (x || y) node.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], { duration: LASTS, easing });
}

/**
 * @param {HTMLElement} node
 * @param {string} how
 * @param {string} text
 */
function badge(node, how, text) {
  const made = document.createElement("span");
  made.className = `moved ${how}`;
  made.textContent = text;
  made.ariaHidden = "true";
  node.querySelector("h2, h3")?.append(made);
}

/**
 * @param {Element} list
 * @param {string} text
 */
function note(list, text) {
  const made = document.createElement("p");
  made.className = "out";
  made.textContent = text;
  list.after(made);
}
