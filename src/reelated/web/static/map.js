// @ts-check
// The map on its page: it comes into the place that the server drew for it, follows pointer, wheel, fingers and keys,
// and tells the page which item is chosen. What is said of that item is what the server draws for it.

import { Atlas } from "./atlas.js";

/** @typedef {import("./atlas.js").View} View */

const dark = matchMedia("(prefers-color-scheme: dark)");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const canvas = document.createElement("canvas");
const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
const colors = made("div", "colors");
const zoom = made("div", "zoom");
const said = made("p", "unseen");
/** @type {Atlas} */
let atlas;

/**
 * @param {string} name
 * @param {string} kind
 */
function made(name, kind) {
  const node = document.createElement(name);
  node.className = kind;
  return node;
}

// ------------------------------------------------------------------------------------------------------- drawing
let asked = 0;

/** Draw at the next frame. */
function draw() {
  asked ||= requestAnimationFrame(() => {
    asked = 0;
    const css = getComputedStyle(canvas);
    const [paper, ink, soft, accent] = ["--raised", "--ink", "--soft", "--accent"].map((name) => css.getPropertyValue(name).trim());
    atlas.draw(pen, { paper, ink, soft, accent, font: css.fontFamily, dark: dark.matches });
  });
}

/** Fit the canvas to its place; what was in the middle stays there. */
function resize() {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return;
  cover();
  atlas.fit(width, height);
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  draw();
}

/** Tell what lies above the canvas: nothing is written there, and all is seen beside the legend if there is room. */
function cover() {
  const box = canvas.getBoundingClientRect();
  atlas.covered = [colors, zoom].map((part) => {
    const { left, top, right, bottom } = part.getBoundingClientRect();
    return [left - box.left, top - box.top, right - box.left, bottom - box.top];
  });
  atlas.aside = box.width > 640 ? atlas.covered[0][2] : 0;
}

let flight = 0;

/** @param {View} to */
function fly(to) {
  cancelAnimationFrame(flight);
  const from = { ...atlas.view };
  const begin = performance.now();
  const lasts = still.matches ? 0 : 650;
  /** @param {number} now */
  const step = (now) => {
    const part = lasts ? Math.min(Math.max((now - begin) / lasts, 0), 1) : 1;
    const eased = 1 - (1 - part) ** 3;
    const scale = from.scale * (to.scale / from.scale) ** eased;
    atlas.view = { x: from.x + (to.x - from.x) * eased, y: from.y + (to.y - from.y) * eased, scale };
    draw();
    if (part < 1) flight = requestAnimationFrame(step);
  };
  flight = requestAnimationFrame(step);
}

/** @param {number} factor */
function step(factor) {
  const { x, y, scale } = atlas.view;
  const to = Math.min(Math.max(atlas.zoom * factor, 0.6), 60) * atlas.whole.scale;
  if (scale !== to) fly({ x, y, scale: to });
}

// ------------------------------------------------------------------------------------------------------ choosing
/**
 * @param {number} at
 * @param {boolean} goThere
 */
function choose(at, goThere) {
  atlas.chosen = at;
  const id = String(atlas.columns.item_id[at]);
  if (goThere) fly(atlas.viewOf(at));
  said.textContent = `${atlas.name(at)} is chosen. What is most like it is listed after the map.`;
  history.replaceState(null, "", `/map?item=${encodeURIComponent(id)}`);
  const form = /** @type {HTMLFormElement} */ (document.getElementById("choose"));
  /** @type {HTMLInputElement} */ (form.elements.namedItem("item")).value = id;
  form.requestSubmit(); // page.js fetches the part of the page
  draw();
}

main.addEventListener("click", (event) => {
  const link = /** @type {Element} */ (event.target).closest("a[data-fly]");
  if (!link || !atlas || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const at = atlas.number.get(link.getAttribute("data-fly") ?? "");
  if (at === undefined) return;
  event.preventDefault();
  document.getElementById("found")?.replaceChildren();
  choose(at, true);
});

// ----------------------------------------------------------------------------------------------- pointer and keys
/** @type {Map<number, { x: number, y: number }>} */
const held = new Map();
let far = 0;

/** @param {PointerEvent | WheelEvent} event */
function placeOf(event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  cancelAnimationFrame(flight);
  canvas.setPointerCapture(event.pointerId);
  if (!held.size) far = 0;
  held.set(event.pointerId, placeOf(event));
});

canvas.addEventListener("pointermove", (event) => {
  const now = placeOf(event);
  const was = held.get(event.pointerId);
  if (!was) return hover(now);
  const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
  far += Math.hypot(now.x - was.x, now.y - was.y);
  if (other) {
    const grown = Math.hypot(now.x - other.x, now.y - other.y) / (Math.hypot(was.x - other.x, was.y - other.y) || 1);
    atlas.zoomAt(grown, (now.x + other.x) / 2, (now.y + other.y) / 2);
    atlas.pan((now.x - was.x) / 2, (now.y - was.y) / 2);
  } else if (far > 4) {
    atlas.pan(now.x - was.x, now.y - was.y);
    canvas.classList.add("held");
  }
  held.set(event.pointerId, now);
  draw();
});

/** @param {{ x: number, y: number }} place */
function hover({ x, y }) {
  const at = atlas.at(x, y, 8);
  if (at === atlas.over) return;
  atlas.over = at;
  canvas.classList.toggle("over", at >= 0);
  draw();
}

/** @param {PointerEvent} event */
function letGo(event) {
  if (!held.delete(event.pointerId)) return;
  canvas.classList.remove("held");
  if (far > 4 || held.size || event.type === "pointercancel") return;
  const { x, y } = placeOf(event);
  const at = atlas.at(x, y, event.pointerType === "touch" ? 18 : 8);
  if (at >= 0) choose(at, false);
}
canvas.addEventListener("pointerup", letGo);
canvas.addEventListener("pointercancel", letGo);
canvas.addEventListener("pointerleave", () => hover({ x: -1e6, y: -1e6 }));

canvas.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    cancelAnimationFrame(flight);
    const { x, y } = placeOf(event);
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
    atlas.zoomAt(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), x, y);
    hover({ x, y });
    draw();
  },
  { passive: false },
);

canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { width, height } = atlas.box;
  /** @type {Record<string, () => void>} */
  const keys = {
    ArrowLeft: () => atlas.pan(width / 8, 0),
    ArrowRight: () => atlas.pan(-width / 8, 0),
    ArrowUp: () => atlas.pan(0, height / 8),
    ArrowDown: () => atlas.pan(0, -height / 8),
    "+": () => step(1.5),
    "=": () => step(1.5),
    "-": () => step(1 / 1.5),
    0: () => fly(atlas.whole),
    Enter: () => chooseMiddle(),
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  cancelAnimationFrame(flight);
  keys[event.key]();
  draw();
});

/** Choose the item nearest to the middle of the canvas. */
function chooseMiddle() {
  const at = atlas.at(atlas.box.width / 2, atlas.box.height / 2, Math.max(atlas.box.width, atlas.box.height));
  if (at >= 0) choose(at, false);
}

// ----------------------------------------------------------------------------------------------- legend and buttons
/** Draw what the colours mean; a tap on one shows its items alone. */
function legend() {
  const { names, colors: pairs, of } = atlas.columns[atlas.by];
  const rows = names.map((name, group) => row(name, group));
  if (names.length && of.some((group) => group < 0)) rows.push(row("other", -1));
  for (const old of colors.querySelectorAll("button")) old.remove();
  colors.append(...rows);
  cover();

  /**
   * @param {string} name
   * @param {number} group
   */
  function row(name, group) {
    const button = document.createElement("button");
    const dot = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const round = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    dot.setAttribute("viewBox", "0 0 12 12");
    dot.ariaHidden = "true";
    for (const [key, value] of Object.entries({ cx: 6, cy: 6, r: 6 })) round.setAttribute(key, String(value));
    round.setAttribute("fill", pairs[group < 0 ? pairs.length - 1 : group][dark.matches ? 1 : 0]);
    dot.append(round);
    button.append(dot, name);
    button.ariaPressed = String(atlas.only === group);
    button.addEventListener("click", () => {
      atlas.only = atlas.only === group ? -2 : group;
      for (const one of colors.querySelectorAll("button")) one.ariaPressed = String(one === button && atlas.only === group);
      draw();
    });
    return button;
  }
}

/**
 * Make the parts that only a browser with scripts has.
 * @param {HTMLElement} place
 */
function furnish(place) {
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.ariaLabel = `Map of the ${place.dataset.nouns}. Arrows move it, plus and minus zoom, 0 shows all, Enter chooses the ${place.dataset.noun} in the middle.`;
  said.setAttribute("role", "status");
  const choice = document.createElement("select");
  choice.ariaLabel = "Colours";
  choice.append(new Option("Genres", "genres"), new Option("Decades", "decades"));
  choice.addEventListener("change", () => {
    atlas.by = /** @type {"genres" | "decades"} */ (choice.value);
    atlas.only = -2;
    legend();
    draw();
  });
  colors.append(choice);
  const buttons = /** @type {[string, string, () => void][]} */ ([
    ["+", "Nearer", () => step(1.8)],
    ["−", "Farther", () => step(1 / 1.8)],
    ["⤢", "Show all", () => fly(atlas.whole)],
  ]);
  for (const [sign, name, act] of buttons) {
    const button = document.createElement("button");
    button.textContent = sign;
    button.title = button.ariaLabel = name;
    button.addEventListener("click", act);
    zoom.append(button);
  }
}

/** Come into the place that the server drew, and take over whose stars shine there. */
function settle() {
  const place = document.getElementById("map");
  if (!place || place.contains(canvas)) return;
  place.replaceChildren(canvas, colors, zoom, said);
  const numbers = (/** @type {string[]} */ ids) => ids.map((id) => atlas.number.get(id)).filter((at) => at !== undefined);
  const stars = Object.entries(/** @type {Record<string, number>} */ (JSON.parse(place.dataset.stars ?? "{}")));
  const high = Math.max(...stars.map(([, rating]) => rating), 1);
  atlas.stars = new Map(stars.flatMap(([id, rating]) => numbers([id]).map((at) => [at, rating / high])));
  atlas.glowing = numbers(JSON.parse(place.dataset.glowing ?? "[]"));
  atlas.chosen = atlas.number.get(place.dataset.chosen ?? "") ?? -1;
  watch.disconnect();
  watch.observe(canvas);
  resize();
}

const watch = new ResizeObserver(resize);

async function begin() {
  const answer = await fetch("/api/map");
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.detail);
  atlas = new Atlas(told);
  furnish(/** @type {HTMLElement} */ (document.getElementById("map")));
  legend();
  settle();
  atlas.view = atlas.chosen < 0 ? atlas.whole : atlas.viewOf(atlas.chosen);
  new MutationObserver(settle).observe(main, { childList: true });
  dark.addEventListener("change", () => {
    legend();
    draw();
  });
  canvas.dataset.ready = "true";
}

begin().catch((error) => {
  const sorry = made("p", "empty");
  sorry.textContent = error instanceof TypeError ? "The service does not answer. Reload the page to try again." : error.message;
  document.getElementById("map")?.replaceChildren(sorry);
});
