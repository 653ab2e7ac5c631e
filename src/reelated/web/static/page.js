// @ts-check
// What a browser with scripts gets on top: stars, filters and links act in place, and the list moves instead of
// jumping. Each address also works by itself; what is shown here is always what the server draws for it.

import { after, before } from "./moves.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const said = /** @type {HTMLElement} */ (document.getElementById("said"));
const trouble = /** @type {HTMLElement} */ (document.getElementById("trouble"));
document.documentElement.classList.add("js");

/** @type {AbortController | undefined} */
let underWay;
const here = () => location.pathname + location.search;
let shown = here();

/**
 * Ask for a page and put it, or one part of it, in the place of what is shown.
 * @param {string} address
 * @param {{ body?: URLSearchParams, into?: string, tell?: boolean, history?: "push" | "replace" | "none" }} [how]
 */
async function show(address, { body, into, tell = Boolean(body), history: entry = "push" } = {}) {
  if (!body) underWay?.abort(); // a rating is never called back
  const mine = new AbortController();
  if (!body) underWay = mine;
  if (!into) main.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, {
      method: body ? "POST" : "GET",
      body,
      signal: mine.signal,
      headers: { Accept: "text/html" },
    });
    const made = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!answer.ok) throw new Error(made.querySelector(".lead")?.textContent?.trim() || "That did not work. Try again.");
    if (!into) {
      if (entry === "push" && answer.url !== location.href) history.pushState(null, "", answer.url);
      if (entry === "replace") history.replaceState(null, "", answer.url);
      shown = here();
      document.title = made.title;
    }
    swap(into ?? "main", made, tell);
    trouble.textContent = "";
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") return;
    const gone = error instanceof TypeError;
    trouble.textContent = gone ? "The service does not answer. Your last tap may not be kept." : String(/** @type {Error} */ (error).message);
  } finally {
    main.removeAttribute("aria-busy");
  }
}

/**
 * Put a part of another page in the place of the same part of this one.
 * @param {string} id
 * @param {Document} made
 * @param {boolean} tell whether to say what changed in the list
 */
function swap(id, made, tell) {
  const old = document.getElementById(id);
  const now = made.getElementById(id);
  if (!old || !now) return;
  const focus = placeOf(document.activeElement);
  const open = [...old.querySelectorAll("details[open][data-keep]")].map((one) => one.getAttribute("data-keep"));
  const earlier = before(old);
  old.className = now.className;
  old.replaceChildren(...now.childNodes);
  for (const one of /** @type {NodeListOf<HTMLDetailsElement>} */ (old.querySelectorAll("details[data-keep]")))
    one.open = open.includes(one.getAttribute("data-keep"));
  prepare(old);
  said.textContent = after(old, earlier, tell);
  if (focus) refocus(old, focus);
}

/** @typedef {{ key: string, list: string, at: number, what: string, id: string }} Place */

/**
 * Say where the focus is, in words that still hold when everything was drawn anew.
 * @param {Element | null} element
 * @returns {Place | undefined}
 */
function placeOf(element) {
  if (!element || element === document.body || !main.contains(element)) return undefined;
  const row = element.closest("[data-key]");
  const [tag, name] = [element.localName, element.getAttribute("name")];
  const value = element.getAttribute("value") ?? element.getAttribute("href");
  const what = name ? `${tag}[name="${CSS.escape(name)}"][value="${CSS.escape(value ?? "")}"]` : tag;
  const at = row?.parentElement ? [...row.parentElement.children].indexOf(row) : -1;
  return { key: row?.getAttribute("data-key") ?? "", list: row?.parentElement?.id ?? "", at, what, id: element.id };
}

/**
 * Give the focus back; where its row is gone, to the one that took its place.
 * @param {HTMLElement} part
 * @param {Place} place
 */
function refocus(part, place) {
  if (document.activeElement !== document.body && document.activeElement) return;
  const rows = [...part.querySelectorAll("[data-key]")];
  const same = rows.find((row) => row.getAttribute("data-key") === place.key);
  const list = place.list ? document.getElementById(place.list) : null;
  const next = list?.children[Math.min(place.at, list.children.length - 1)];
  const row = same ?? next;
  const found =
    (place.id && document.getElementById(place.id)) ||
    same?.querySelector(place.what) ||
    row?.querySelector(".star[tabindex='0']") ||
    row?.querySelector("summary, button, a") ||
    document.getElementById("fall")?.querySelector("a") ||
    main;
  /** @type {HTMLElement} */ (found).focus({ preventScroll: found === main });
}

/**
 * Make what was drawn ready: one stop of the Tab key for each row of stars, and more when the end is near.
 * @param {ParentNode} part
 */
function prepare(part) {
  for (const row of part.querySelectorAll(".stars .row")) {
    const stars = /** @type {HTMLElement[]} */ ([...row.children]);
    const chosen = stars.findIndex((star) => star.hasAttribute("aria-pressed"));
    stars.forEach((star, at) => (star.tabIndex = at === Math.max(chosen, 0) ? 0 : -1));
  }
  const more = part.querySelector("a[data-more]");
  if (more) nearEnd.observe(more);
}

const nearEnd = new IntersectionObserver(
  (seen) => {
    for (const { isIntersecting, target } of seen) {
      if (!isIntersecting || !scrolled) continue;
      nearEnd.unobserve(target);
      show(/** @type {HTMLAnchorElement} */ (target).href, { history: "replace" });
    }
  },
  { rootMargin: "200px" },
);
let scrolled = false;
addEventListener("scroll", () => (scrolled = true), { once: true, passive: true });

document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (!form.hasAttribute("data-live") && !form.dataset.into) return;
  event.preventDefault();
  const given = new URLSearchParams(/** @type {any} */ (new FormData(form, event.submitter)));
  if (form.method === "post") {
    given.set("back", location.pathname + location.search);
    show(form.action, { body: given });
  } else {
    for (const [name, value] of [...given]) if (!value) given.delete(name);
    show(`${form.action}?${given}`, { into: form.dataset.into });
  }
});

document.addEventListener("click", (event) => {
  const link = /** @type {Element} */ (event.target).closest("a[data-live]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  show(/** @type {HTMLAnchorElement} */ (link).href, { tell: Boolean(link.closest("[data-moves], #fall")) });
});

document.addEventListener("change", (event) => {
  const field = /** @type {HTMLElement} */ (event.target);
  if (field instanceof HTMLSelectElement) field.form?.requestSubmit();
});

/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing;
document.addEventListener("input", (event) => {
  const field = /** @type {HTMLInputElement} */ (event.target);
  if (field.type !== "search") return;
  clearTimeout(typing);
  typing = setTimeout(() => field.form?.requestSubmit(), 120);
});

document.addEventListener("keydown", (event) => {
  const at = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || at.matches("input, select, textarea")) return;
  const row = at.closest(".stars .row");
  const stars = /** @type {HTMLButtonElement[]} */ (row ? [...row.children] : []);
  const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
  if (row && step) {
    const next = stars[Math.min(Math.max(stars.indexOf(/** @type {any} */ (at)) + step, 0), stars.length - 1)];
    stars.forEach((star) => (star.tabIndex = star === next ? 0 : -1));
    next.focus();
    event.preventDefault();
  } else if (/^\d$/.test(event.key)) {
    const wanted = event.key === "0" ? ["0", "10"] : [event.key];
    const near = at.closest("[data-key]")?.querySelectorAll(".star") ?? [];
    const star = [...near].find((one) => wanted.includes(/** @type {HTMLButtonElement} */ (one).value));
    /** @type {HTMLButtonElement | undefined} */ (star)?.click();
  }
});

addEventListener("popstate", () => {
  if (here() === shown) return; // a jump within the page
  shown = here();
  show(location.href, { history: "none" });
});
prepare(document);
