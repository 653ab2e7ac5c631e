// @ts-check
// The tiles of the start page: a rated tile keeps its place and shows its stars, so that a second click cannot rate
// another item. It is replaced once neither the pointer nor the keyboard focus is on it.

const DELAY = 700;

/** @type {Element[]} New tiles that wait for a place. */
let waiting = [];
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** @param {Element} tile */
const keyOf = (tile) => tile.getAttribute("data-key") ?? "";

/**
 * Show a rating at once; return a function that restores the stars.
 * @param {HTMLFormElement} form
 * @param {Element | null} button
 * @returns {() => void}
 */
export function showRating(form, button) {
  const stars = [...form.querySelectorAll(".star")];
  const chosen = button ? stars.indexOf(button) : -1;
  if (chosen < 0) return () => {};
  const before = stars.map((star) => [star.classList.contains("on"), star.hasAttribute("aria-pressed")]);
  const show = (/** @type {boolean[][]} */ states) =>
    stars.forEach((star, index) => {
      star.classList.toggle("on", states[index][0]);
      if (states[index][1]) star.setAttribute("aria-pressed", "true");
      else star.removeAttribute("aria-pressed");
    });
  show(stars.map((_, index) => [index <= chosen, index === chosen]));
  form.closest(".tile")?.classList.add("rated");
  return () => {
    show(before);
    form.closest(".tile")?.classList.remove("rated");
  };
}

/**
 * Put the tiles of a new page where those of the page before were; rated tiles stay.
 * @param {Element[]} earlier
 * @param {HTMLElement} part
 */
export function keepPlaces(earlier, part) {
  const grid = part.querySelector("#tiles");
  if (!grid || !earlier.some((tile) => tile.classList.contains("rated"))) return;
  const fresh = new Map([...grid.children].map((tile) => [keyOf(tile), tile]));
  const placed = earlier.map((tile) => {
    const same = fresh.get(keyOf(tile));
    fresh.delete(keyOf(tile));
    return same ?? (tile.classList.contains("rated") ? tile : undefined);
  });
  waiting = [...fresh.values()];
  grid.replaceChildren(...placed.map((tile) => tile ?? waiting.shift()).filter((tile) => tile !== undefined));
  settleLater();
}

/**
 * Scroll by as much as the tiles have moved, because the text above them changes with the first rating.
 * @param {HTMLElement} part
 * @param {Map<string, { box: DOMRect }>} earlier the boxes from before the change
 */
export function holdStill(part, earlier) {
  const tile = part.querySelector(".tile.rated");
  const before = tile && earlier.get(keyOf(tile));
  if (before) scrollBy({ top: tile.getBoundingClientRect().top - before.box.top, behavior: "instant" });
}

/** Replace the rated tiles that are neither under the pointer nor focused by the keyboard. */
function settle() {
  for (const tile of document.querySelectorAll(".tile.rated")) {
    if (tile.matches(":hover") || tile.querySelector(":focus-visible")) continue;
    const next = waiting.shift();
    if (next) tile.replaceWith(next);
    else tile.remove();
    document.dispatchEvent(new CustomEvent("tile", { detail: next }));
  }
}

function settleLater() {
  clearTimeout(timer);
  timer = setTimeout(settle, DELAY);
}

// Where a picture cannot be loaded, the poster beneath it shows.
document.addEventListener("error", ({ target }) => target instanceof HTMLImageElement && target.remove(), true);
for (const image of document.images) if (image.complete && !image.naturalWidth) image.remove();

for (const kind of ["pointerover", "focusin"])
  document.addEventListener(kind, () => document.querySelector(".tile.rated") && settleLater(), { passive: true });
