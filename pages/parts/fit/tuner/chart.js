/** Curves of several runs on one canvas (uPlot), redrawn from arrays that others write into. */

/**
 * @typedef {object} Line
 * @property {number} run index of the run: its colour, and what a legend toggles
 * @property {Float64Array} x steps
 * @property {Float64Array} y values; `redraw` reads them again
 * @property {number} width in CSS pixels
 * @property {number} alpha
 * @property {boolean} dashed
 * @property {boolean} anchor always inside the y range; other lines may leave it when they go far astray
 */

const ASTRAY = 2; // spans of the anchored lines that a curve may leave them by before the axis stops following it
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const short = (v) => COMPACT.format(v).replace("K", "k");

class Plot {
  /**
   * @param {HTMLElement} host
   * @param {Line[]} lines
   * @param {{logX: boolean, logY: boolean, height: number, yLabel: string, xLabel: string, zero?: boolean, theme: () => object}} options
   */
  constructor(host, lines, options) {
    Object.assign(this, { host, lines, options });
    this.hidden = new Set();
    const { xs, places } = aligned(lines);
    this.places = places;
    this.data = [xs, ...lines.map(() => new Array(xs.length).fill(null))];
    this._copy();
    this.chart = new uPlot(this._settings(), this.data, host);
    this.observer = new ResizeObserver(() => this._resize());
    this.observer.observe(host);
  }

  /** Draw what the lines hold now. */
  redraw() {
    this._copy();
    this.chart.batch(() => {
      this.chart.setData(this.data, false);
      this._fitY();
    });
  }

  /** Show only the runs that are not in `hidden`. @param {Set<number>} hidden */
  show(hidden) {
    this.hidden = hidden;
    this.chart.batch(() => {
      this.lines.forEach((line, i) => {
        const show = !hidden.has(line.run);
        if (this.chart.series[i + 1].show !== show) this.chart.setSeries(i + 1, { show });
      });
      this._fitY();
    });
  }

  /** The theme changed. */
  repaint() {
    this.chart.redraw(true, true);
  }

  destroy() {
    this.observer.disconnect();
    this.chart.destroy();
  }

  _copy() {
    this.lines.forEach(({ y }, i) => {
      const column = this.data[i + 1];
      const places = this.places[i];
      for (let j = 0; j < places.length; j++) column[places[j]] = Number.isFinite(y[j]) ? y[j] : null;
    });
  }

  _resize() {
    const width = Math.floor(this.host.clientWidth);
    if (width > 0 && width !== this.chart.width) this.chart.setSize({ width, height: this.options.height });
  }

  _fitY() {
    const { min, max } = this._range();
    this.chart.setScale("y", { min, max });
  }

  /** Range of y for the visible lines inside the visible steps. */
  _range() {
    const { min: left, max: right } = this.chart?.scales.x ?? {};
    const inside = (x) => left == null || (x >= left && x <= right);
    const anchored = [Infinity, -Infinity];
    const all = [Infinity, -Infinity];
    for (const { run, x, y, anchor } of this.lines) {
      if (this.hidden.has(run)) continue;
      for (let i = 0; i < y.length; i++) {
        if (!inside(x[i]) || !Number.isFinite(y[i]) || (this.options.logY && y[i] <= 0)) continue;
        if (anchor) widen(anchored, y[i]);
        widen(all, y[i]);
      }
    }
    return padded(limited(all, anchored), this.options.logY);
  }

  _settings() {
    const { logX, logY, height, yLabel, xLabel, theme } = this.options;
    const axis = (rest) => ({
      stroke: () => theme().muted,
      grid: { stroke: () => theme().grid, width: 1 },
      ticks: { stroke: () => theme().grid, width: 1, size: 5 },
      font: theme().font,
      labelFont: theme().font,
      labelSize: 18,
      ...rest,
    });
    return {
      width: Math.max(Math.floor(this.host.clientWidth), 100),
      height,
      padding: [10, 14, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false } },
      scales: {
        x: { time: false, distr: logX ? 3 : 1, range: (_, min, max) => [min, max] },
        y: { distr: logY ? 3 : 1, range: () => Object.values(this._range()) },
      },
      axes: [
        axis({
          label: xLabel,
          size: 30,
          values: (_, ticks) => ticks.map((v) => (v === null ? "" : short(v))),
          ...(logX ? { splits: (_, __, min, max) => decades(min, max), filter: (_, ticks) => ticks } : {}),
        }),
        axis({
          label: yLabel,
          size: 56,
          splits: (_, __, min, max) => (logY && max / min > 10 ? decades(min, max) : even(min, max, height / 60)),
          filter: (_, ticks) => ticks,
          values: (_, ticks) => labels(ticks),
        }),
      ],
      series: [{}, ...this.lines.map((line) => this._series(line))],
      hooks: {
        setScale: [(_, key) => key === "x" && this.chart && this._fitY()], // a zoom in x
        drawAxes: [(chart) => this.options.zero && drawZero(chart, theme().muted)],
      },
    };
  }

  _series({ run, width, alpha, dashed }) {
    return {
      stroke: () => faded(this.options.theme().curve(run), alpha),
      width,
      dash: dashed ? [7, 4] : undefined,
      spanGaps: true, // runs are logged at different steps
      points: { show: false },
      pxAlign: 0,
    };
  }
}

/** All steps of all lines, and where each line's steps stand among them. A log axis has no 0: step 0 is drawn at 1. */
function aligned(lines) {
  const all = new Set();
  lines.forEach(({ x }) => x.forEach((v) => all.add(Math.max(v, 1))));
  const xs = [...all].sort((a, b) => a - b);
  const place = new Map(xs.map((v, i) => [v, i]));
  return { xs, places: lines.map(({ x }) => Uint32Array.from(x, (v) => place.get(Math.max(v, 1)))) };
}

function widen(range, value) {
  if (value < range[0]) range[0] = value;
  if (value > range[1]) range[1] = value;
}

/** `all`, but not much wider than `anchored`. */
function limited(all, anchored) {
  const room = ASTRAY * (anchored[1] - anchored[0]);
  if (!(room > 0)) return all;
  return [Math.max(all[0], anchored[0] - room), Math.min(all[1], anchored[1] + room)];
}

/** A little air around the range. */
function padded([low, high], log) {
  if (!(low <= high)) return { min: 1, max: 2 };
  if (log) {
    const air = Math.max((high / low) ** 0.04, 1.001);
    return { min: low / air, max: high * air };
  }
  const air = 0.04 * (high - low) || Math.abs(high) * 0.01 || 1;
  return { min: low - air, max: high + air };
}

/** 1, 2 and 5 times powers of ten inside the range; powers alone when there are many. */
function decades(min, max) {
  const found = [];
  const few = Math.log10(max / min) < 4;
  for (let e = Math.floor(Math.log10(min)); e <= Math.ceil(Math.log10(max)); e++) {
    for (const m of few ? [1, 2, 5] : [1]) {
      const v = m * 10 ** e;
      if (v >= min && v <= max) found.push(v);
    }
  }
  return found;
}

/** About `count` round numbers inside the range. */
function even(min, max, count) {
  const raw = (max - min) / Math.max(count, 2);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find((m) => m * power >= raw) * power;
  const first = Math.ceil(min / step);
  const found = [];
  for (let i = first; i * step <= max; i++) found.push(i * step);
  return found;
}

/** Tick labels with as many decimals as tell them apart, the same for all. */
function labels(ticks) {
  const gap = ticks.length > 1 ? Math.min(...ticks.slice(1).map((v, i) => v - ticks[i])) : 1;
  const decimals = Math.min(Math.max(Math.ceil(-Math.log10(gap) - 1e-9), 0) + (isRound(gap) ? 0 : 1), 8);
  return ticks.map((v) => v.toFixed(decimals).replace("-", "−"));
}

/** Whether a tick step is 1, 2 or 5 times a power of ten (2.5 needs one decimal more). */
function isRound(gap) {
  const lead = gap / 10 ** Math.floor(Math.log10(gap) + 1e-9);
  return Math.abs(lead - Math.round(lead)) < 1e-6;
}

function drawZero(chart, color) {
  const y = Math.round(chart.valToPos(0, "y", true));
  const { left, top, width, height } = chart.bbox;
  if (y < top || y > top + height) return;
  chart.ctx.fillStyle = color;
  chart.ctx.fillRect(left, y, width, 1);
}
