// @ts-check
// Progressive enhancement: ratings, filters and links act in place, and changes of the list are animated. Every address
// also works without scripts, and the server renders all content.

import { animate, snapshot } from "./moves.js";
import { holdStill, keepPlaces, showRating } from "./tiles.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const announcement = /** @type {HTMLElement} */ (document.getElementById("announcement"));
const errorBox = /** @type {HTMLElement} */ (document.getElementById("alert"));
document.documentElement.classList.add("js");

/** @type {AbortController | undefined} */
let pendingRequest;
const currentAddress = () => location.pathname + location.search;
let shownAddress = currentAddress();
/** @type {Promise<void>} */
let saving = Promise.resolve();
let lastRequest = 0;
let shownRequest = 0;

/**
 * Fetch a page, and replace the content of this one, or the part with the id `into`. Return whether that worked.
 * @param {string} address
 * @param {{ body?: URLSearchParams, into?: string, announce?: boolean, history?: "push" | "replace" | "none" }} [options]
 */
async function load(address, { body, into, announce = Boolean(body), history: entry = "push" } = {}) {
  const controller = new AbortController();
  const request = ++lastRequest;
  if (!body) {
    // A newer request replaces the one before it; a rating is never aborted.
    pendingRequest?.abort();
    pendingRequest = controller;
  }
  if (!into) main.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(address, {
      method: body ? "POST" : "GET",
      body,
      keepalive: Boolean(body), // a rating is saved even if the visitor leaves the page at once
      signal: controller.signal,
      cache: entry === "none" ? "reload" : "default", // after Back, Chromium takes even a stale page from its cache
      headers: { Accept: "text/html" },
    });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!response.ok) throw new Error(page.querySelector(".lead")?.textContent?.trim() || "That did not work. Try again.");
    if (request < shownRequest) return true; // a later rating is shown already
    shownRequest = request;
    if (!into) {
      if (entry === "push" && response.url !== location.href) history.pushState(null, "", response.url);
      if (entry === "replace") history.replaceState(null, "", response.url);
      shownAddress = currentAddress();
      document.title = page.title;
    }
    replacePart(into ?? "main", page, announce);
    errorBox.textContent = "";
    return true;
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    if (name === "AbortError") return true;
    const isOffline = error instanceof TypeError;
    const offline = `The service does not respond.${body ? " Your last change may not be saved." : ""}`;
    errorBox.textContent = isOffline ? offline : message;
    return false;
  } finally {
    main.removeAttribute("aria-busy");
  }
}

/**
 * Replace a part of this page with the same part of another one.
 * @param {string} id
 * @param {Document} page
 * @param {boolean} announce whether to announce the changes of the list
 */
function replacePart(id, page, announce) {
  const part = document.getElementById(id);
  const newPart = page.getElementById(id);
  if (!part || !newPart) return;
  const focus = describeFocus(document.activeElement);
  const open = [...part.querySelectorAll("details[open][data-keep]")].map((details) => details.getAttribute("data-keep"));
  const earlier = snapshot(part);
  const tiles = announce ? [...part.querySelectorAll(".tile")] : [];
  part.className = newPart.className;
  part.replaceChildren(...newPart.childNodes);
  keepPlaces(tiles, part);
  holdStill(part, earlier);
  for (const details of /** @type {NodeListOf<HTMLDetailsElement>} */ (part.querySelectorAll("details[data-keep]")))
    details.open = open.includes(details.getAttribute("data-keep"));
  prepare(part);
  announcement.textContent = animate(part, earlier, announce);
  if (focus) restoreFocus(part, focus);
}

/** @typedef {{ key: string, list: string, index: number, selector: string, id: string }} Focus */

/**
 * Describe the focused element such that it can be found again after the page is replaced.
 * @param {Element | null} element
 * @returns {Focus | undefined}
 */
function describeFocus(element) {
  if (!element || element === document.body || !main.contains(element)) return undefined;
  const row = element.closest("[data-key]");
  const [tag, name] = [element.localName, element.getAttribute("name")];
  const value = element.getAttribute("value") ?? element.getAttribute("href");
  const selector = name ? `${tag}[name="${CSS.escape(name)}"][value="${CSS.escape(value ?? "")}"]` : tag;
  const index = row?.parentElement ? [...row.parentElement.children].indexOf(row) : -1;
  return { key: row?.getAttribute("data-key") ?? "", list: row?.parentElement?.id ?? "", index, selector, id: element.id };
}

/**
 * Restore the focus. If its row is gone, focus the row that took its place.
 * @param {HTMLElement} part
 * @param {Focus} focus
 */
function restoreFocus(part, focus) {
  if (document.activeElement !== document.body && document.activeElement) return;
  const rows = [...part.querySelectorAll("[data-key]")];
  const sameRow = rows.find((row) => row.getAttribute("data-key") === focus.key);
  const list = focus.list ? document.getElementById(focus.list) : null;
  const row = sameRow ?? list?.children[Math.min(focus.index, list.children.length - 1)];
  const target =
    (focus.id && document.getElementById(focus.id)) ||
    sameRow?.querySelector(focus.selector) ||
    row?.querySelector(".star[tabindex='0']") ||
    row?.querySelector("summary, button, a") ||
    document.getElementById("rank-change")?.querySelector("a") ||
    main;
  /** @type {HTMLElement} */ (target).focus({ preventScroll: target === main });
}

/**
 * Make each row of stars one stop of the Tab key, and load more rows when the end of the list is near.
 * @param {ParentNode} part
 */
function prepare(part) {
  for (const row of part.querySelectorAll(".stars .row")) {
    const stars = /** @type {HTMLElement[]} */ ([...row.children]);
    const chosen = stars.findIndex((star) => star.hasAttribute("aria-pressed"));
    stars.forEach((star, index) => (star.tabIndex = index === Math.max(chosen, 0) ? 0 : -1));
  }
  const more = part.querySelector("a[data-more]");
  if (more) endObserver.observe(more);
}

const endObserver = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting || !hasScrolled) continue;
      endObserver.unobserve(target);
      load(/** @type {HTMLAnchorElement} */ (target).href, { history: "replace" });
    }
  },
  { rootMargin: "200px" },
);
let hasScrolled = false;
addEventListener("scroll", () => (hasScrolled = true), { once: true, passive: true });

document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (!form.hasAttribute("data-live") && !form.dataset.into) return;
  event.preventDefault();
  const fields = new URLSearchParams(/** @type {any} */ (new FormData(form, event.submitter)));
  if (form.method === "post") {
    fields.set("back", currentAddress());
    const restore = showRating(form, event.submitter);
    // one after the other, so that the last of two quick ratings of an item is the one that stays
    saving = saving.then(() => load(form.action, { body: fields })).then((isSaved) => void (isSaved || restore()));
  } else {
    for (const [name, value] of [...fields]) if (!value) fields.delete(name);
    load(`${form.action}?${fields}`, { into: form.dataset.into });
  }
});

document.addEventListener("click", (event) => {
  const link = /** @type {Element} */ (event.target).closest("a[data-live]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  load(/** @type {HTMLAnchorElement} */ (link).href, { announce: Boolean(link.closest("[data-moves], #rank-change")) });
});

document.addEventListener("change", (event) => {
  const field = /** @type {HTMLElement} */ (event.target);
  if (field instanceof HTMLSelectElement) field.form?.requestSubmit();
});

/** @type {ReturnType<typeof setTimeout> | undefined} */
let typingTimer;
document.addEventListener("input", (event) => {
  const field = /** @type {HTMLInputElement} */ (event.target);
  if (field.type !== "search") return;
  clearTimeout(typingTimer);
  typingTimer = setTimeout(() => field.form?.requestSubmit(), 120);
});

document.addEventListener("keydown", (event) => {
  const element = /** @type {HTMLElement} */ (event.target);
  if (element.closest("search") && moveInResults(element, event)) return event.preventDefault();
  if (event.ctrlKey || event.metaKey || event.altKey || element.matches("input, select, textarea")) return;
  const row = element.closest(".stars .row");
  const stars = /** @type {HTMLButtonElement[]} */ (row ? [...row.children] : []);
  const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
  if (row && step) {
    const index = stars.indexOf(/** @type {any} */ (element)) + step;
    focusStar(stars, stars[Math.min(Math.max(index, 0), stars.length - 1)]);
    event.preventDefault();
  } else if (event.key === "/") {
    const field = /** @type {HTMLElement | null} */ (document.querySelector("search input[type=search]"));
    field?.focus();
    if (field) event.preventDefault();
  } else if (/^\d$/.test(event.key)) {
    const values = event.key === "0" ? ["0", "10"] : [event.key];
    const candidates = /** @type {HTMLButtonElement[]} */ ([...(element.closest("[data-key]")?.querySelectorAll(".star") ?? [])]);
    const star = candidates.find((button) => values.includes(button.value));
    if (row && star) focusStar(stars, star); // else the next Tab would stop at the chosen star instead of leaving the row
    star?.click();
  }
});

/**
 * Focus a star, and make it the one stop of the Tab key in its row.
 * @param {HTMLElement[]} stars
 * @param {HTMLElement} chosen
 */
function focusStar(stars, chosen) {
  for (const star of stars) star.tabIndex = star === chosen ? 0 : -1;
  chosen.focus();
}

/**
 * Move through the results of the search with the arrow keys, and close them with Escape.
 * @param {HTMLElement} element
 * @param {KeyboardEvent} event
 * @returns {boolean} whether the key was used
 */
function moveInResults(element, event) {
  const field = /** @type {HTMLInputElement} */ (document.getElementById("query"));
  const links = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("#results a.title")]);
  if (event.key === "Escape") {
    closeResults();
    field.focus();
    return true;
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !links.length || element.closest(".stars")) return false;
  const index = links.indexOf(element) + step;
  (index < 0 ? field : links[Math.min(index, links.length - 1)]).focus();
  return true;
}

function closeResults() {
  clearTimeout(typingTimer);
  document.getElementById("results")?.replaceChildren();
}

document.addEventListener("pointerdown", (event) => {
  if (!(/** @type {Element} */ (event.target).closest("search"))) closeResults();
});

addEventListener("pageshow", (event) => {
  const [navigation] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  const isEarlierPage = event.persisted || navigation?.type === "back_forward"; // from a cache of the browser
  if (isEarlierPage) load(location.href, { history: "none" }); // ratings may have changed since the page was left
});

addEventListener("popstate", () => {
  if (currentAddress() === shownAddress) return; // a jump within the page
  shownAddress = currentAddress();
  load(location.href, { history: "none" });
});
document.addEventListener("tile", () => prepare(document));
prepare(document);
