// @ts-check
// The map page: replaces the static picture by a canvas, handles pointer, wheel, touch and keys, and loads the details
// of the selected item from the server.

import { MapView } from "./map_view.js";

/** @typedef {import("./map_view.js").Box} Box */
/** @typedef {import("./map_view.js").Viewport} Viewport */

const darkScheme = matchMedia("(prefers-color-scheme: dark)");
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const canvas = document.createElement("canvas");
const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
const legend = createElement("div", "colors");
const zoomButtons = createElement("div", "zoom");
const announcement = createElement("p", "visually-hidden");
/** @type {MapView} */
let view;

/**
 * @param {string} name
 * @param {string} className
 */
function createElement(name, className) {
  const element = document.createElement(name);
  element.className = className;
  return element;
}

let frameRequest = 0;

/** Draw in the next frame. */
function draw() {
  frameRequest ||= requestAnimationFrame(() => {
    frameRequest = 0;
    const css = getComputedStyle(canvas);
    const [paper, ink, accent] = ["--raised", "--ink", "--accent"].map((name) => css.getPropertyValue(name).trim());
    view.draw({ paper, ink, accent, font: css.fontFamily, dark: darkScheme.matches });
    if (canvas.matches(":focus-visible")) view.drawCrosshair(); // Enter selects what is there
  });
}

/** Fit the canvas to its element; its centre stays in place. */
function resize() {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return;
  updateObstacles();
  view.fit(width, height);
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  draw();
}

/** Update the areas where no label is drawn, and leave room for the legend if the canvas is wide. */
function updateObstacles() {
  const box = canvas.getBoundingClientRect();
  view.obstacles = [legend, zoomButtons].map((element) => {
    const { left, top, right, bottom } = element.getBoundingClientRect();
    return /** @type {Box} */ ([left - box.left, top - box.top, right - box.left, bottom - box.top]);
  });
  view.leftInset = box.width > 640 ? view.obstacles[0][2] : 0;
}

let animation = 0;
/** @type {Viewport | undefined} where a running flight ends */
let destination;

/** Stop a running flight where it is. */
function stopFlight() {
  cancelAnimationFrame(animation);
  destination = undefined;
}

/**
 * Move the viewport smoothly.
 * @param {Viewport} to
 */
function flyTo(to) {
  cancelAnimationFrame(animation);
  destination = to;
  const from = { ...view.viewport };
  const startTime = performance.now();
  const duration = reducedMotion.matches ? 0 : 650;
  /** @param {number} now */
  const step = (now) => {
    const progress = duration ? Math.min(Math.max((now - startTime) / duration, 0), 1) : 1;
    const eased = 1 - (1 - progress) ** 3;
    const scale = from.scale * (to.scale / from.scale) ** eased;
    view.viewport = { x: from.x + (to.x - from.x) * eased, y: from.y + (to.y - from.y) * eased, scale };
    draw();
    if (progress < 1) animation = requestAnimationFrame(step);
    else destination = undefined;
  };
  animation = requestAnimationFrame(step);
}

/** @param {number} factor */
function zoomBy(factor) {
  const from = destination ?? view.viewport; // quick clicks add up
  const zoom = from.scale / view.viewport.scale;
  const scale = view.zoomedScale(factor * zoom);
  if (scale !== from.scale) flyTo({ ...from, scale });
}

/**
 * Select an item and load its details.
 * @param {number} index
 * @param {boolean} fly whether to move the viewport to it
 */
function select(index, fly) {
  view.selected = index;
  const id = String(view.columns.item_id[index]);
  if (fly) flyTo(view.closeUp(index));
  announcement.textContent = `${view.label(index)} is selected. The most similar ${mapElement().dataset.nouns} are listed after the map.`;
  history.replaceState(null, "", `/map?item=${encodeURIComponent(id)}`);
  const form = /** @type {HTMLFormElement} */ (document.getElementById("select"));
  /** @type {HTMLInputElement} */ (form.elements.namedItem("item")).value = id;
  form.requestSubmit(); // page.js loads that part of the page
  draw();
}

main.addEventListener("click", (event) => {
  const link = /** @type {Element} */ (event.target).closest("a[data-item]");
  if (!link || !view || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const index = view.indexOf.get(link.getAttribute("data-item") ?? "");
  if (index === undefined) return;
  event.preventDefault();
  document.getElementById("results")?.replaceChildren();
  select(index, true);
});

/** @type {Map<number, { x: number, y: number }>} the pointers that are down */
const pointers = new Map();
let dragged = 0;

/** @param {PointerEvent | WheelEvent} event */
function positionOf(event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  stopFlight();
  if (event.pointerType !== "touch") canvas.setPointerCapture(event.pointerId);
  if (!pointers.size) dragged = 0;
  pointers.set(event.pointerId, positionOf(event));
});

canvas.addEventListener("pointermove", (event) => {
  const now = positionOf(event);
  const last = pointers.get(event.pointerId);
  if (!last) return hover(now);
  const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
  dragged += Math.hypot(now.x - last.x, now.y - last.y);
  if (event.pointerType === "touch" && !other) return; // one finger scrolls the page, two move the map
  if (other) {
    const factor = Math.hypot(now.x - other.x, now.y - other.y) / (Math.hypot(last.x - other.x, last.y - other.y) || 1);
    view.zoomAt(factor, (now.x + other.x) / 2, (now.y + other.y) / 2);
    view.pan((now.x - last.x) / 2, (now.y - last.y) / 2);
  } else if (dragged > 4) {
    view.pan(now.x - last.x, now.y - last.y);
    canvas.classList.add("dragging");
  }
  pointers.set(event.pointerId, now);
  draw();
});

/** @param {{ x: number, y: number }} position */
function hover({ x, y }) {
  const index = itemAt(x, y, 8);
  if (index === view.hovered) return;
  view.hovered = index;
  canvas.classList.toggle("hovering", index >= 0);
  draw();
}

/**
 * @param {number} x
 * @param {number} y
 * @param {number} reach
 * @returns {number} the index of the dot or title there, else of a dot within reach; −1 if there is none
 */
function itemAt(x, y, reach) {
  return [view.nearest(x, y, 0), view.titleAt(x, y), view.nearest(x, y, reach)].find((index) => index >= 0) ?? -1;
}

/** @param {PointerEvent} event */
function release(event) {
  if (!pointers.delete(event.pointerId)) return;
  canvas.classList.remove("dragging");
  if (dragged > 4 || pointers.size || event.type === "pointercancel") return;
  const { x, y } = positionOf(event);
  const found = itemAt(x, y, event.pointerType === "touch" ? 18 : 8);
  // a title grows under the mouse and may move away from it
  const index = event.pointerType === "mouse" && view.hovered >= 0 ? view.hovered : found;
  if (index >= 0) select(index, false);
}
canvas.addEventListener("pointerup", release);
canvas.addEventListener("pointercancel", release);
canvas.addEventListener("pointerleave", () => hover({ x: -1e6, y: -1e6 }));

for (const kind of ["touchstart", "touchmove"])
  canvas.addEventListener(kind, (event) => /** @type {TouchEvent} */ (event).touches.length > 1 && event.preventDefault(), {
    passive: false,
  });

canvas.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    stopFlight();
    const { x, y } = positionOf(event);
    const pixelsPerUnit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
    view.zoomAt(Math.exp(-event.deltaY * pixelsPerUnit * (event.ctrlKey ? 0.01 : 0.0016)), x, y);
    hover({ x, y });
    draw();
  },
  { passive: false },
);

canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { width, height } = view.canvasSize;
  /** @type {Record<string, () => void>} */
  const keys = {
    ArrowLeft: () => view.pan(width / 8, 0),
    ArrowRight: () => view.pan(-width / 8, 0),
    ArrowUp: () => view.pan(0, height / 8),
    ArrowDown: () => view.pan(0, -height / 8),
    "+": () => zoomBy(1.5),
    "=": () => zoomBy(1.5),
    "-": () => zoomBy(1 / 1.5),
    0: () => flyTo(view.fullView),
    Enter: () => selectCentral(),
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  if (event.key.startsWith("Arrow")) stopFlight();
  keys[event.key]();
  draw();
});

for (const kind of ["focus", "blur"]) canvas.addEventListener(kind, draw);

/** Select the item nearest to the centre of the canvas. */
function selectCentral() {
  const { width, height } = view.canvasSize;
  const index = view.nearest(width / 2, height / 2, Math.max(width, height));
  if (index >= 0) select(index, false);
}

/** Rebuild the legend; a click on a group shows its items alone. */
function updateLegend() {
  const { names, of } = view.columns[view.grouping];
  const buttons = names.map(legendButton);
  if (names.length && of.some((group) => group < 0)) buttons.push(legendButton("other", -1));
  for (const button of legend.querySelectorAll("button")) button.remove();
  legend.append(...buttons);
  updateObstacles();
}

/**
 * @param {string} name
 * @param {number} group
 */
function legendButton(name, group) {
  const { colors } = view.columns[view.grouping];
  const button = document.createElement("button");
  const dot = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  dot.setAttribute("viewBox", "0 0 12 12");
  dot.ariaHidden = "true";
  for (const [key, value] of Object.entries({ cx: 6, cy: 6, r: 6 })) circle.setAttribute(key, String(value));
  circle.setAttribute("fill", colors[group < 0 ? colors.length - 1 : group][darkScheme.matches ? 1 : 0]);
  dot.append(circle);
  button.append(dot, name);
  button.ariaPressed = String(view.onlyGroup === group);
  button.addEventListener("click", () => {
    view.onlyGroup = view.onlyGroup === group ? null : group;
    for (const other of legend.querySelectorAll("button")) other.ariaPressed = String(other === button && view.onlyGroup === group);
    draw();
  });
  return button;
}

const mapElement = () => /** @type {HTMLElement} */ (document.getElementById("map"));

/** Create the controls that exist only with scripts. */
function createControls() {
  const { noun, nouns } = mapElement().dataset;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.ariaLabel = `Map of the ${nouns}. The arrow keys move it, plus and minus zoom, 0 shows all, Enter selects the ${noun} in the centre.`;
  announcement.setAttribute("role", "status");
  const grouping = document.createElement("select");
  grouping.ariaLabel = "Colours";
  grouping.append(new Option("Genres", "genres"), new Option("Decades", "decades"));
  grouping.addEventListener("change", () => {
    view.grouping = /** @type {"genres" | "decades"} */ (grouping.value);
    view.onlyGroup = null;
    updateLegend();
    draw();
  });
  legend.append(grouping);
  const buttons = /** @type {[string, string, () => void][]} */ ([
    ["+", "Zoom in", () => zoomBy(1.8)],
    ["−", "Zoom out", () => zoomBy(1 / 1.8)],
    ["⤢", "Show all", () => flyTo(view.fullView)],
  ]);
  for (const [symbol, name, action] of buttons) {
    const button = document.createElement("button");
    button.textContent = symbol;
    button.title = button.ariaLabel = name;
    button.addEventListener("click", action);
    zoomButtons.append(button);
  }
}

/** Put the canvas into the page that the server rendered, and read the visitor's ratings from it. */
function attach() {
  const element = mapElement();
  if (!element || element.contains(canvas)) return;
  element.replaceChildren(canvas, legend, zoomButtons, announcement);
  const indices = (/** @type {string[]} */ ids) => ids.map((id) => view.indexOf.get(id)).filter((index) => index !== undefined);
  const ratings = Object.entries(/** @type {Record<string, number>} */ (JSON.parse(element.dataset.ratings ?? "{}")));
  const highest = Math.max(...ratings.map(([, rating]) => rating), 1);
  view.ratings = new Map(ratings.flatMap(([id, rating]) => indices([id]).map((index) => [index, rating / highest])));
  view.highlighted = indices(JSON.parse(element.dataset.highlighted ?? "[]"));
  view.selected = view.indexOf.get(element.dataset.selected ?? "") ?? -1;
  resizeObserver.disconnect();
  resizeObserver.observe(canvas);
  resize();
}

const resizeObserver = new ResizeObserver(resize);

async function start() {
  const response = await fetch("/api/map");
  const data = await response.json();
  if (!response.ok) throw new Error(data.detail);
  view = new MapView(data, context);
  createControls();
  updateLegend();
  attach();
  view.viewport = view.selected < 0 ? view.homeView : view.closeUp(view.selected);
  new MutationObserver(attach).observe(main, { childList: true }); // page.js replaces the content of the page
  darkScheme.addEventListener("change", () => {
    updateLegend();
    draw();
  });
  canvas.dataset.ready = "true";
}

start().catch((error) => {
  const message = createElement("p", "empty");
  message.textContent = error instanceof TypeError ? "The service does not respond. Reload the page to try again." : error.message;
  mapElement()?.replaceChildren(message);
});
