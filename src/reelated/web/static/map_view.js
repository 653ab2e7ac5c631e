// @ts-check
// The drawing of the map: items as dots on a plane, the viewport, and hit tests. It does not touch the page.

/** @typedef {{ names: string[], colors: [string, string][], of: number[], homes: (number | null)[] }} Groups */
/** @typedef {{ item_id: (number | string)[], title: string[], year: (number | null)[], n_ratings: number[], x: number[], y: number[], genres: Groups, decades: Groups }} Columns */
/** @typedef {{ x: number, y: number, scale: number }} Viewport */
/** @typedef {{ paper: string, ink: string, accent: string, font: string, dark: boolean }} Theme */
/** @typedef {[left: number, top: number, right: number, bottom: number]} Box */

const CELL_SIZE = 250;
const [MIN_ZOOM, MAX_ZOOM] = [0.6, 60];
const MAX_RADIUS = 22;
const SHOWN_AT_ONCE = 1500;
const FADES = [0.25, 0.5, 0.75, 1];

export class MapView {
  /**
   * @param {Columns} columns the items, the most rated first
   * @param {CanvasRenderingContext2D} context
   */
  constructor(columns, context) {
    this.columns = columns;
    this.context = context;
    /** @type {Theme} */
    this.theme = { paper: "", ink: "", accent: "", font: "", dark: false };
    this.size = columns.x.length;
    this.width = columns.x.reduce((largest, x) => Math.max(largest, x), 1);
    this.height = columns.y.reduce((largest, y) => Math.max(largest, y), 1);
    this.indexOf = new Map(columns.item_id.map((id, index) => [String(id), index]));
    const largest = Math.max(columns.n_ratings[0] ?? 1, 1);
    /** Whether an item waits until one has zoomed in: the less rated ones of a large map, which would be confetti. */
    this.shownFrom = shownFrom(columns.n_ratings);
    /** @type {{ index: number, box: Box, side: number }[]} the titles drawn last */
    this.titles = [];
    this.relativeRadius = columns.n_ratings.map((count) => 0.1 + 0.32 * Math.sqrt(count / largest));
    this.grid = buildGrid(columns);
    /** @type {"genres" | "decades"} */
    this.grouping = "genres";
    /** @type {number | null} the only group shown in full colour; null: all groups */
    this.onlyGroup = null;
    /** @type {Map<number, number>} the visitor's ratings by index, relative to the highest */
    this.ratings = new Map();
    /** @type {number[]} */
    this.highlighted = [];
    this.selected = -1;
    this.hovered = -1;
    this.canvasSize = { width: 1, height: 1 };
    /** @type {Box[]} elements on top of the canvas, where no label is drawn */
    this.obstacles = [];
    /** The width at the left that the full view leaves free. */
    this.leftInset = 0;
    /** @type {Viewport} */
    this.viewport = { x: 0, y: 0, scale: 1 };
    /** @type {Map<string, number>} */
    this.textWidths = new Map();
  }

  /**
   * Resize the canvas; the map is transposed if the other orientation fits better.
   * @param {number} width
   * @param {number} height
   */
  fit(width, height) {
    const zoom = this.zoom;
    this.canvasSize = { width, height };
    if (width > height !== this.width > this.height && this.width !== this.height) {
      const { columns, viewport } = this;
      [columns.x, columns.y] = [columns.y, columns.x];
      [this.width, this.height] = [this.height, this.width];
      [viewport.x, viewport.y] = [viewport.y, viewport.x];
      this.grid = buildGrid(columns);
    }
    this.viewport.scale = zoom * this.fullView.scale;
  }

  /** @returns {Viewport} the viewport that shows the whole map */
  get fullView() {
    const { width, height } = this.canvasSize;
    const scale = Math.max(Math.min((width - 72 - this.leftInset) / this.width, (height - 72) / this.height), 1e-4);
    return { x: this.width / 2 - this.leftInset / 2 / scale, y: this.height / 2, scale };
  }

  /** The scale relative to the full view. */
  get zoom() {
    return this.viewport.scale / this.fullView.scale;
  }

  /**
   * @param {number} factor
   * @returns {number} the scale after zooming by a factor
   */
  zoomedScale(factor) {
    return Math.min(Math.max(this.zoom * factor, MIN_ZOOM), MAX_ZOOM) * this.fullView.scale;
  }

  /**
   * Zoom around a point of the canvas, which stays in place.
   * @param {number} factor
   * @param {number} x
   * @param {number} y
   */
  zoomAt(factor, x, y) {
    const scale = this.zoomedScale(factor);
    const [left, top] = [x - this.canvasSize.width / 2, y - this.canvasSize.height / 2];
    this.viewport.x += left / this.viewport.scale - left / scale;
    this.viewport.y += top / this.viewport.scale - top / scale;
    this.viewport.scale = scale;
    this.clampViewport();
  }

  /**
   * @param {number} x in pixels of the canvas
   * @param {number} y
   */
  pan(x, y) {
    this.viewport.x -= x / this.viewport.scale;
    this.viewport.y -= y / this.viewport.scale;
    this.clampViewport();
  }

  /** Keep the centre of the canvas on the map. */
  clampViewport() {
    this.viewport.x = Math.min(Math.max(this.viewport.x, 0), this.width);
    this.viewport.y = Math.min(Math.max(this.viewport.y, 0), this.height);
  }

  /**
   * @param {number} index
   * @returns {Viewport} a viewport with the item in its centre, and its neighbours around it
   */
  closeUp(index) {
    const zoom = Math.max(this.zoom, Math.min(6, Math.sqrt(this.size / 40) + 1));
    return { x: this.columns.x[index], y: this.columns.y[index], scale: zoom * this.fullView.scale };
  }

  /**
   * @param {number} index
   * @returns {[number, number]} the position of an item on the canvas
   */
  position(index) {
    const { x, y, scale } = this.viewport;
    const { width, height } = this.canvasSize;
    return [(this.columns.x[index] - x) * scale + width / 2, (this.columns.y[index] - y) * scale + height / 2];
  }

  /** @param {number} index */
  radius(index) {
    const spacing = this.fullView.scale * Math.sqrt((0.6 * this.width * this.height) / Math.max(this.size, 1));
    const radius = this.relativeRadius[index] * Math.min(20 * Math.sqrt(this.zoom), spacing * this.zoom);
    return Math.min(Math.max(radius, 0.9), MAX_RADIUS);
  }

  /** @param {number} index */
  label(index) {
    const year = this.columns.year[index];
    return this.columns.title[index] + (year === null ? "" : ` (${year})`);
  }

  /**
   * @param {number} x in pixels of the canvas
   * @param {number} y
   * @param {number} reach maximum distance from the edge of a dot
   * @returns {number} the index of the nearest item; −1 if none is within reach
   */
  nearest(x, y, reach) {
    const { scale } = this.viewport;
    const mapX = (x - this.canvasSize.width / 2) / scale + this.viewport.x;
    const mapY = (y - this.canvasSize.height / 2) / scale + this.viewport.y;
    const range = (reach + MAX_RADIUS) / scale;
    let [nearest, smallest] = [-1, reach];
    for (let row = Math.floor((mapY - range) / CELL_SIZE); row <= Math.floor((mapY + range) / CELL_SIZE); row++)
      for (let column = Math.floor((mapX - range) / CELL_SIZE); column <= Math.floor((mapX + range) / CELL_SIZE); column++)
        for (const index of this.grid.get(row * 1000 + column) ?? []) {
          if (!this.opacity(index)) continue;
          const [dx, dy] = [this.columns.x[index] - mapX, this.columns.y[index] - mapY];
          const distance = Math.hypot(dx, dy) * scale - this.radius(index);
          if (distance < smallest) [nearest, smallest] = [index, distance];
        }
    return nearest;
  }

  /**
   * @param {number} index
   * @returns {number} how far an item has faded in, from 0 to 1
   */
  opacity(index) {
    if (this.ratings.has(index)) return 1;
    const steps = Math.log2(this.zoom / this.shownFrom[index]);
    return Math.min(Math.max(1 + steps, 0), 1);
  }

  /**
   * @param {number} x in pixels of the canvas
   * @param {number} y
   * @returns {number} the index of the item whose title is there; −1 if there is none
   */
  titleAt(x, y) {
    const found = this.titles.find(({ box }) => x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3]);
    return found ? found.index : -1;
  }

  /** @returns {Viewport} the viewport that shows the visitor's ratings, or the whole map without any */
  get homeView() {
    const indices = [...this.ratings.keys()];
    if (!indices.length) return this.fullView;
    const [left, right, top, bottom] = [this.columns.x, this.columns.y].flatMap((axis) => {
      const values = indices.map((index) => axis[index]);
      return [Math.min(...values), Math.max(...values)];
    });
    const { width, height } = this.canvasSize;
    const fits = 0.7 * Math.min(width / Math.max(right - left, 1), height / Math.max(bottom - top, 1));
    const scale = Math.min(Math.max(fits, this.fullView.scale), 4 * this.fullView.scale);
    return { x: (left + right) / 2, y: (top + bottom) / 2, scale };
  }

  /** @param {Theme} theme */
  draw(theme) {
    this.theme = theme;
    this.context.clearRect(0, 0, this.canvasSize.width, this.canvasSize.height);
    this.drawGlow();
    this.drawDots();
    for (const [index, rating] of this.ratings) this.drawStar(index, rating);
    for (const index of [this.hovered, this.selected]) if (index >= 0) this.drawRing(index);
    this.drawLabels();
  }

  /** Draw all dots with one path per group, which is faster than one per dot. */
  drawDots() {
    const { context } = this;
    const { names, of, colors } = this.columns[this.grouping];
    const { width, height } = this.canvasSize;
    const paths = colors.map(() => FADES.map(() => new Path2D()));
    for (let index = 0; index < this.size; index++) {
      const fade = Math.ceil(this.opacity(index) * FADES.length) - 1;
      if (fade < 0) continue;
      const [x, y] = this.position(index);
      const radius = this.radius(index);
      if (x < -radius || y < -radius || x > width + radius || y > height + radius) continue;
      const path = paths[of[index] < 0 ? colors.length - 1 : of[index]][fade];
      if (radius < 1.6) path.rect(x - radius, y - radius, 2 * radius, 2 * radius);
      else {
        path.moveTo(x + radius, y);
        path.arc(x, y, radius, 0, 7);
      }
    }
    paths.forEach((fades, group) => {
      const alpha = this.isShown(group < names.length ? group : -1) ? 0.85 : 0.1;
      context.fillStyle = colors[group][this.theme.dark ? 1 : 0];
      fades.forEach((path, fade) => {
        context.globalAlpha = alpha * FADES[fade];
        context.fill(path);
      });
    });
    context.globalAlpha = 1;
  }

  /** @param {number} group */
  isShown(group) {
    return this.onlyGroup === null || this.onlyGroup === group;
  }

  /** Draw a glow behind the highlighted items. */
  drawGlow() {
    const { context, theme } = this;
    for (const index of this.highlighted) {
      const [x, y] = this.position(index);
      const radius = 2.5 * this.radius(index) + 6;
      const glow = context.createRadialGradient(x, y, 0, x, y, radius);
      glow.addColorStop(0, theme.accent);
      glow.addColorStop(1, `${theme.accent}00`);
      context.globalAlpha = 0.7;
      context.fillStyle = glow;
      context.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
    }
    context.globalAlpha = 1;
  }

  /** Draw the names of groups, and then titles where there is room, the most rated items first. */
  drawLabels() {
    const { context } = this;
    const { width, height } = this.canvasSize;
    const taken = [...this.obstacles];
    const sides = new Map(this.titles.map(({ index, side }) => [index, side]));
    this.titles = [];
    const emphasized = new Set([this.selected, this.hovered]);
    const marked = new Set([...emphasized, ...this.ratings.keys(), ...this.highlighted]);
    context.lineJoin = "round";
    context.lineWidth = 3;
    context.strokeStyle = this.theme.paper;
    context.textBaseline = "middle";
    for (const index of emphasized) if (index >= 0) this.drawTitle(index, taken, true, sides.get(index));
    this.drawGroupNames(taken);
    for (const index of this.ratings.keys()) taken.push(this.starBox(index)); // no title over a star
    for (const index of marked) if (index >= 0 && !emphasized.has(index)) this.drawTitle(index, taken, false);
    let remaining = Math.min(140, 26 * this.zoom);
    for (let index = 0, tried = 0; index < this.size && remaining > 0 && tried < 1200; index++) {
      const [x, y] = this.position(index);
      if (x < 0 || y < 0 || x > width || y > height) continue;
      if (!this.isShown(this.columns[this.grouping].of[index]) || marked.has(index) || this.opacity(index) < 0.5) continue;
      tried++;
      if (this.drawTitle(index, taken, false)) remaining--;
    }
  }

  /**
   * Draw the name of each group at its central item, or above its star; the names fade out as one zooms in.
   * @param {Box[]} taken
   */
  drawGroupNames(taken) {
    const { context } = this;
    const { names, colors, homes } = this.columns[this.grouping];
    const opacity = Math.min(1, Math.max(0, (5 - this.zoom) / 2));
    if (!opacity) return;
    context.font = `700 14px ${this.theme.font}`;
    context.textAlign = "center";
    homes.forEach((index, group) => {
      if (index === null || !this.isShown(group)) return;
      const text = names[group].slice(0, 20).toUpperCase().split("").join("\u200a");
      const [x, home] = this.position(index);
      const y = this.ratings.has(index) ? home - 24 : home; // above the star
      const half = this.textWidth(text) / 2;
      /** @type {Box} */
      const box = [x - half - 4, y - 10, x + half + 4, y + 10];
      if (taken.some((other) => overlap(box, other))) return;
      taken.push(box);
      context.globalAlpha = opacity;
      context.strokeText(text, x, y);
      context.fillStyle = colors[group][this.theme.dark ? 1 : 0];
      context.fillText(text, x, y);
    });
    context.globalAlpha = 1;
  }

  /**
   * Draw a title to the right or the left of its dot if there is room; under the pointer it stays on its side.
   * @param {number} index
   * @param {Box[]} taken
   * @param {boolean} emphasized whether to draw it in bold with its year, even without room
   * @param {number} first the side to try first: 1 is the right, -1 the left
   * @returns {boolean} whether it was drawn
   */
  drawTitle(index, taken, emphasized, first = 1) {
    const { context } = this;
    const [x, y] = this.position(index);
    const gap = (this.ratings.has(index) ? Math.max(9, this.radius(index) + 5) : this.radius(index)) + 4;
    context.font = `${emphasized ? 700 : 400} ${emphasized ? 14 : 12}px ${this.theme.font}`;
    const label = emphasized ? this.label(index) : this.columns.title[index];
    const text = label.length > 44 ? `${label.slice(0, 43)}…` : label;
    const width = this.textWidth(text);
    for (const side of [first, -first]) {
      const edge = x + side * gap;
      /** @type {Box} */
      const box = side > 0 ? [edge, y - 8, edge + width, y + 8] : [edge - width, y - 8, edge, y + 8];
      const fits = box[0] >= 2 && box[2] <= this.canvasSize.width - 2 && !taken.some((other) => overlap(box, other));
      if (!fits && !(emphasized && side !== first)) continue;
      taken.push([box[0] - 6, box[1], box[2] + 6, box[3]]); // two titles on one line need a gap
      this.titles.push({ index, box, side });
      context.textAlign = side > 0 ? "left" : "right";
      context.strokeText(text, edge, y);
      context.fillStyle = this.theme.ink;
      context.fillText(text, edge, y);
      return true;
    }
    return false;
  }

  /** @param {string} text */
  textWidth(text) {
    const key = this.context.font + text;
    let width = this.textWidths.get(key);
    if (width === undefined) this.textWidths.set(key, (width = this.context.measureText(text).width));
    return width;
  }

  /**
   * @param {number} index
   * @returns {Box} the area of the star of a rated item
   */
  starBox(index) {
    const [x, y] = this.position(index);
    return [x - 7, y - 7, x + 7, y + 7];
  }

  /**
   * @param {number} index
   * @param {number} rating relative to the highest
   */
  drawStar(index, rating) {
    const { context, theme } = this;
    const [x, y] = this.position(index);
    const size = Math.max(7, this.radius(index) + 3) * (0.8 + rating * 0.4);
    context.beginPath();
    for (let point = 0; point < 10; point++) {
      const radius = point % 2 ? size * 0.45 : size;
      context.lineTo(x + radius * Math.sin((point * Math.PI) / 5), y - radius * Math.cos((point * Math.PI) / 5));
    }
    context.closePath();
    context.fillStyle = theme.accent;
    context.strokeStyle = theme.paper;
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.stroke();
    context.fill();
  }

  /** Mark the centre of the canvas. */
  drawCrosshair() {
    const { context } = this;
    const [x, y] = [this.canvasSize.width / 2, this.canvasSize.height / 2];
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 6 * dx, y + 6 * dy);
      context.lineTo(x + 16 * dx, y + 16 * dy);
    }
    context.strokeStyle = this.theme.ink;
    context.lineWidth = 2;
    context.stroke();
  }

  /** @param {number} index */
  drawRing(index) {
    const { context } = this;
    context.beginPath();
    context.arc(...this.position(index), this.radius(index) + 4, 0, 7);
    context.strokeStyle = this.theme.ink;
    context.lineWidth = 2;
    context.stroke();
  }
}

/**
 * Return the zoom from which each item is shown in full: 1 for the most rated ones, then with the square root of the rank,
 * as the part of the map in view shrinks with the square of the zoom.
 * @param {number[]} counts the numbers of ratings, descending
 */
const shownFrom = (counts) => counts.map((_, rank) => Math.max(1, Math.sqrt(rank / SHOWN_AT_ONCE)));

/**
 * Group the items by the square cell they lie in, so that hit tests do not have to search all of them.
 * @param {Columns} columns
 */
function buildGrid({ x, y }) {
  /** @type {Map<number, number[]>} */
  const grid = new Map();
  x.forEach((left, index) => {
    const key = Math.floor(y[index] / CELL_SIZE) * 1000 + Math.floor(left / CELL_SIZE);
    const cell = grid.get(key);
    cell ? cell.push(index) : grid.set(key, [index]);
  });
  return grid;
}

/**
 * @param {Box} a
 * @param {Box} b
 */
const overlap = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
