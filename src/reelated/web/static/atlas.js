// @ts-check
// What the map shows: items as dots on a plane, where one looks at it from, and how it is drawn. It knows no page.

/** @typedef {{ names: string[], colors: [string, string][], of: number[], homes: (number | null)[] }} Groups */
/** @typedef {{ item_id: (number | string)[], title: string[], year: (number | null)[], n_ratings: number[], x: number[], y: number[], genres: Groups, decades: Groups }} Columns */
/** @typedef {{ x: number, y: number, scale: number }} View */
/** @typedef {{ paper: string, ink: string, soft: string, accent: string, font: string, dark: boolean }} Ink */

const CELL = 250;
const CLOSEST = 60;

export class Atlas {
  /** @param {Columns} columns the items, the most rated first */
  constructor(columns) {
    this.columns = columns;
    this.size = columns.x.length;
    this.width = columns.x.reduce((most, x) => Math.max(most, x), 1);
    this.height = columns.y.reduce((most, y) => Math.max(most, y), 1);
    this.number = new Map(columns.item_id.map((id, at) => [String(id), at]));
    const most = Math.max(columns.n_ratings[0] ?? 1, 1);
    this.weight = columns.n_ratings.map((count) => 0.1 + 0.32 * Math.sqrt(count / most));
    /** @type {Map<number, number[]>} */
    this.cells = cellsOf(columns);
    /** @type {"genres" | "decades"} */
    this.by = "genres";
    this.only = -2;
    /** @type {Map<number, number>} */
    this.stars = new Map();
    /** @type {number[]} */
    this.glowing = [];
    this.chosen = -1;
    this.over = -1;
    this.box = { width: 1, height: 1 };
    /** @type {number[][]} what lies above the canvas, where nothing is written */
    this.covered = [];
    /** How much of the left side the view of everything leaves free. */
    this.aside = 0;
    /** @type {View} */
    this.view = { x: 0, y: 0, scale: 1 };
    /** @type {Map<string, number>} */
    this.widths = new Map();
  }

  /**
   * Fit into a box; on one that is higher than wide the map stands on its side.
   * @param {number} width
   * @param {number} height
   */
  fit(width, height) {
    const near = this.zoom;
    this.box = { width, height };
    if (width > height !== this.width > this.height && this.width !== this.height) {
      const { columns, view } = this;
      [columns.x, columns.y] = [columns.y, columns.x];
      [this.width, this.height] = [this.height, this.width];
      [view.x, view.y] = [view.y, view.x];
      this.cells = cellsOf(columns);
    }
    this.view.scale = near * this.whole.scale;
  }

  /** @returns {View} the view of everything */
  get whole() {
    const { width, height } = this.box;
    const scale = Math.max(Math.min((width - 72 - this.aside) / this.width, (height - 72) / this.height), 1e-4);
    return { x: this.width / 2 - this.aside / 2 / scale, y: this.height / 2, scale };
  }

  /** How much nearer than the view of everything. */
  get zoom() {
    return this.view.scale / this.whole.scale;
  }

  /**
   * Look with this scale, keeping what is at a place of the canvas there.
   * @param {number} factor
   * @param {number} x
   * @param {number} y
   */
  zoomAt(factor, x, y) {
    const scale = Math.min(Math.max(this.zoom * factor, 0.6), CLOSEST) * this.whole.scale;
    const [left, top] = [x - this.box.width / 2, y - this.box.height / 2];
    this.view.x += left / this.view.scale - left / scale;
    this.view.y += top / this.view.scale - top / scale;
    this.view.scale = scale;
    this.keepIn();
  }

  /**
   * @param {number} x in pixels of the canvas
   * @param {number} y
   */
  pan(x, y) {
    this.view.x -= x / this.view.scale;
    this.view.y -= y / this.view.scale;
    this.keepIn();
  }

  /** Nobody gets lost: the middle of the canvas stays on the map. */
  keepIn() {
    this.view.x = Math.min(Math.max(this.view.x, 0), this.width);
    this.view.y = Math.min(Math.max(this.view.y, 0), this.height);
  }

  /**
   * @param {number} at the number of an item
   * @returns {View} the view that has it in its middle, near enough to see its neighbours
   */
  viewOf(at) {
    const near = Math.max(this.zoom, Math.min(6, Math.sqrt(this.size / 40) + 1));
    return { x: this.columns.x[at], y: this.columns.y[at], scale: near * this.whole.scale };
  }

  /**
   * @param {number} at
   * @returns {[number, number]} where an item is on the canvas
   */
  place(at) {
    const { x, y, scale } = this.view;
    return [(this.columns.x[at] - x) * scale + this.box.width / 2, (this.columns.y[at] - y) * scale + this.box.height / 2];
  }

  /** @param {number} at */
  radius(at) {
    const even = Math.min(20, this.whole.scale * Math.sqrt((0.6 * this.width * this.height) / Math.max(this.size, 1)));
    return Math.min(Math.max(this.weight[at] * even * Math.sqrt(this.zoom), 0.9), 22);
  }

  /** @param {number} at */
  name(at) {
    const year = this.columns.year[at];
    return this.columns.title[at] + (year === null ? "" : ` (${year})`);
  }

  /**
   * @param {number} x in pixels of the canvas
   * @param {number} y
   * @param {number} reach how far a dot may be
   * @returns {number} the number of the nearest item, −1 where none is near
   */
  at(x, y, reach) {
    const { scale } = this.view;
    const [wx, wy] = [(x - this.box.width / 2) / scale + this.view.x, (y - this.box.height / 2) / scale + this.view.y];
    const far = (reach + 22) / scale;
    let [best, least] = [-1, reach];
    for (let row = Math.floor((wy - far) / CELL); row <= Math.floor((wy + far) / CELL); row++)
      for (let column = Math.floor((wx - far) / CELL); column <= Math.floor((wx + far) / CELL); column++)
        for (const one of this.cells.get(row * 1000 + column) ?? []) {
          const apart = Math.hypot(this.columns.x[one] - wx, this.columns.y[one] - wy) * scale - this.radius(one);
          if (apart < least) [best, least] = [one, apart];
        }
    return best;
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {Ink} ink
   */
  draw(pen, ink) {
    const { width, height } = this.box;
    pen.clearRect(0, 0, width, height);
    this.halos(pen, ink);
    this.dots(pen, ink);
    for (const [at, rating] of this.stars) star(pen, ...this.place(at), Math.max(7, this.radius(at) + 3) * (0.8 + rating * 0.4), ink);
    for (const at of [this.over, this.chosen]) if (at >= 0) ring(pen, ...this.place(at), this.radius(at) + 4, ink);
    this.words(pen, ink);
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {Ink} ink
   */
  dots(pen, ink) {
    const { of, colors } = this.columns[this.by];
    /** @type {Path2D[]} */
    const paths = colors.map(() => new Path2D());
    const { width, height } = this.box;
    for (let at = 0; at < this.size; at++) {
      const [x, y] = this.place(at);
      const radius = this.radius(at);
      if (x < -radius || y < -radius || x > width + radius || y > height + radius) continue;
      const path = paths[of[at] < 0 ? colors.length - 1 : of[at]];
      if (radius < 1.6) path.rect(x - radius, y - radius, 2 * radius, 2 * radius);
      else {
        path.moveTo(x + radius, y);
        path.arc(x, y, radius, 0, 7);
      }
    }
    paths.forEach((path, group) => {
      pen.globalAlpha = this.only === -2 || this.only === group ? 0.85 : 0.1;
      pen.fillStyle = colors[group][ink.dark ? 1 : 0];
      pen.fill(path);
    });
    pen.globalAlpha = 1;
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {Ink} ink
   */
  halos(pen, ink) {
    for (const at of this.glowing) {
      const [x, y] = this.place(at);
      const radius = 2.5 * this.radius(at) + 6;
      const glow = pen.createRadialGradient(x, y, 0, x, y, radius);
      glow.addColorStop(0, ink.accent);
      glow.addColorStop(1, `${ink.accent}00`);
      pen.globalAlpha = 0.7;
      pen.fillStyle = glow;
      pen.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
    }
    pen.globalAlpha = 1;
  }

  /**
   * Write the names of groups where they are at home, then titles, the best known first, where they do not meet.
   * @param {CanvasRenderingContext2D} pen
   * @param {Ink} ink
   */
  words(pen, ink) {
    const taken = [...this.covered];
    const mine = new Set([this.chosen, this.over, ...this.stars.keys(), ...this.glowing]);
    pen.lineJoin = "round";
    pen.lineWidth = 3;
    pen.strokeStyle = ink.paper;
    pen.textBaseline = "middle";
    for (const at of new Set([this.chosen, this.over])) if (at >= 0) this.title(pen, at, ink, taken, true);
    this.homes(pen, ink, taken);
    for (const at of mine) if (at >= 0 && at !== this.chosen && at !== this.over) this.title(pen, at, ink, taken, false);
    let left = Math.min(140, 26 * this.zoom);
    for (let at = 0, seen = 0; at < this.size && left > 0 && seen < 1200; at++) {
      const [x, y] = this.place(at);
      if (x < 0 || y < 0 || x > this.box.width || y > this.box.height) continue;
      if (this.only !== -2 && this.columns[this.by].of[at] !== this.only) continue;
      if (mine.has(at)) continue;
      seen++;
      if (this.title(pen, at, ink, taken, false)) left--;
    }
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {Ink} ink
   * @param {number[][]} taken
   */
  homes(pen, ink, taken) {
    const { names, colors, homes } = this.columns[this.by];
    const seen = Math.min(1, Math.max(0, (5 - this.zoom) / 2));
    if (!seen) return;
    pen.font = `700 14px ${ink.font}`;
    pen.textAlign = "center";
    homes.forEach((at, group) => {
      if (at === null || (this.only !== -2 && this.only !== group)) return;
      const text = names[group].slice(0, 20).toUpperCase().split("").join("\u200a");
      const [x, y] = this.place(at);
      const half = this.measure(pen, text) / 2;
      const box = [x - half - 4, y - 10, x + half + 4, y + 10];
      if (taken.some((other) => meet(box, other))) return;
      taken.push(box);
      pen.globalAlpha = seen;
      pen.strokeText(text, x, y);
      pen.fillStyle = colors[group][ink.dark ? 1 : 0];
      pen.fillText(text, x, y);
    });
    pen.globalAlpha = 1;
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {number} at
   * @param {Ink} ink
   * @param {number[][]} taken
   * @param {boolean} loud whether it must be written
   * @returns {boolean} whether it was
   */
  title(pen, at, ink, taken, loud) {
    const [x, y] = this.place(at);
    const gap = (this.stars.has(at) ? Math.max(9, this.radius(at) + 5) : this.radius(at)) + 4;
    pen.font = `${loud ? 700 : 400} ${loud ? 14 : 12}px ${ink.font}`;
    const told = loud ? this.name(at) : this.columns.title[at];
    const text = told.length > 44 ? `${told.slice(0, 43)}…` : told;
    const width = this.measure(pen, text);
    for (const side of [1, -1]) {
      const edge = x + side * gap;
      const box = side > 0 ? [edge, y - 8, edge + width, y + 8] : [edge - width, y - 8, edge, y + 8];
      const fits = box[0] >= 2 && box[2] <= this.box.width - 2 && !taken.some((other) => meet(box, other));
      if (!fits && !(loud && side < 0)) continue;
      taken.push(box);
      pen.textAlign = side > 0 ? "left" : "right";
      pen.strokeText(text, edge, y);
      pen.fillStyle = ink.ink;
      pen.fillText(text, edge, y);
      return true;
    }
    return false;
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {string} text
   */
  measure(pen, text) {
    const key = pen.font + text;
    let width = this.widths.get(key);
    if (width === undefined) this.widths.set(key, (width = pen.measureText(text).width));
    return width;
  }
}

/**
 * @param {number} x
 * @param {number} y
 */
const cellOf = (x, y) => Math.floor(y / CELL) * 1000 + Math.floor(x / CELL);

/**
 * Sort the items into squares, so that the nearest one is found without looking at all.
 * @param {Columns} columns
 */
function cellsOf({ x, y }) {
  /** @type {Map<number, number[]>} */
  const cells = new Map();
  x.forEach((left, at) => {
    const cell = cellOf(left, y[at]);
    const held = cells.get(cell);
    held ? held.push(at) : cells.set(cell, [at]);
  });
  return cells;
}

/**
 * @param {number[]} one
 * @param {number[]} other
 */
const meet = (one, other) => one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3];

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 * @param {Ink} ink
 */
function star(pen, x, y, radius, ink) {
  pen.beginPath();
  for (let point = 0; point < 10; point++) {
    const far = point % 2 ? radius * 0.45 : radius;
    pen.lineTo(x + far * Math.sin((point * Math.PI) / 5), y - far * Math.cos((point * Math.PI) / 5));
  }
  pen.closePath();
  pen.fillStyle = ink.accent;
  pen.strokeStyle = ink.paper;
  pen.lineWidth = 3;
  pen.lineJoin = "round";
  pen.stroke();
  pen.fill();
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 * @param {Ink} ink
 */
function ring(pen, x, y, radius, ink) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 7);
  pen.strokeStyle = ink.ink;
  pen.lineWidth = 2;
  pen.stroke();
}
