/** The left side: one row for each coefficient. Values are natural; a slider moves on the coefficient's search scale. */

const NOTCHES = 1000; // positions of a slider
const TO = { linear: (v) => v, log: Math.log, log1m: (v) => -Math.log(1 - v) }; // all rise with the value
const FROM = { linear: (x) => x, log: Math.exp, log1m: (x) => 1 - Math.exp(-x) };

const PADLOCK = `<svg viewBox="0 0 16 16" aria-hidden="true"><rect x="3" y="7" width="10" height="7" rx="1.5"/>
  <path class="shut" d="M5.2 7V5a2.8 2.8 0 0 1 5.6 0v2"/><path class="open" d="M5.2 7V4.2a2.8 2.8 0 0 1 5.4-1"/></svg>`;

/** An element with properties, attributes (`aria-…`, `data-…`) and children. */
function h(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.includes("-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** A number as short as its scale allows: five significant digits, more near 1 where only 1 − v matters. */
function shown(value, scale) {
  if (value === 0) return "0";
  const near = scale === "log1m" ? Math.max(0, Math.ceil(-Math.log10(1 - value))) : 0;
  const digits = Math.max(5, Math.min(4 + near, 15));
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-4 ? value.toExponential(4) : String(Number(value.toPrecision(digits)));
}

/** One coefficient: symbol, slider with the fit and its interval on the rail, number field, lock. */
class Row {
  /**
   * @param {object} param as `browser.payload` wrote it
   * @param {string} prefix makes ids unique in the document
   * @param {{moved: (value: number, event: Event) => void, released: () => void, locked: (on: boolean) => void}} on
   */
  constructor(param, prefix, on) {
    this.param = param;
    this.on = on;
    this.low = TO[param.scale](param.start);
    this.high = TO[param.scale](param.stop);
    const id = `${prefix}-${param.name}`;
    const [symbol, below] = param.label;
    this.slider = h("input", { type: "range", id, min: 0, max: NOTCHES, step: 1, "aria-label": `${param.name}: ${param.meaning}`, "data-param": param.name });
    this.field = h("input", { type: "text", className: "value", inputMode: "decimal", autocomplete: "off", spellcheck: false, "aria-label": `Value of ${param.name}`, "data-param": param.name });
    this.lock = h("button", { type: "button", className: "lock", innerHTML: PADLOCK, "data-param": param.name });
    this.band = h("span", { className: "band" });
    this.mark = h("span", { className: "mark" });
    const tip = h("span", { className: "tip", role: "tooltip", id: `${id}-tip` }, ...this._tip());
    this.element = h("div", { className: "row" },
      h("span", { className: "symbol", tabIndex: 0, "aria-describedby": `${id}-tip` }, symbol, h("sub", {}, below), tip),
      h("div", { className: "track" }, h("div", { className: "rail" }, this.band, this.mark), this.slider),
      this.field,
      this.lock,
      h("span", { className: "meaning" }, param.meaning));
    this._listen();
  }

  /** Show `value` without telling anyone. */
  set(value) {
    const x = TO[this.param.scale](value);
    this.value = value;
    this._reach(x);
    this.slider.value = Math.round((NOTCHES * (x - this.low)) / (this.high - this.low));
    this._write();
  }

  setLocked(on) {
    this.lock.setAttribute("aria-pressed", on);
    this.lock.title = on ? "Locked: a refit keeps this value" : "Lock: a refit keeps this value";
    this.lock.setAttribute("aria-label", `Lock ${this.param.name}`);
  }

  _tip() {
    const { name, meaning, fitted, interval, scale, low, high } = this.param;
    const fit = interval
      ? `Fit ${shown(fitted, scale)}, 90 % interval ${shown(interval[0], scale)} to ${shown(interval[1], scale)}.`
      : `Fit ${shown(fitted, scale)}, no interval.`;
    return [h("b", {}, name), `: ${meaning}`, h("br"), fit, h("br"), `Allowed: ${shown(low, scale)} to ${shown(high, scale)}.`];
  }

  _listen() {
    this.slider.addEventListener("input", (event) => this._take(this._natural(Number(this.slider.value)), event));
    this.slider.addEventListener("change", () => this.on.released());
    this.slider.addEventListener("dblclick", (event) => {
      this.set(this.param.fitted);
      this._take(this.param.fitted, event);
      this.on.released();
    });
    this.field.addEventListener("focus", () => this.field.select());
    this.field.addEventListener("change", (event) => this._typed(event));
    this.field.addEventListener("keydown", (event) => this._nudged(event));
    this.lock.addEventListener("click", () => {
      const on = this.lock.getAttribute("aria-pressed") !== "true";
      this.setLocked(on);
      this.on.locked(on);
    });
  }

  _take(value, event) {
    this.value = value;
    this._write();
    this.on.moved(value, event);
  }

  _write() {
    this.field.value = shown(this.value, this.param.scale);
    this._complain("");
  }

  /** A typed number: taken if it is one inside the bounds, else said to be wrong and left to be corrected. */
  _typed(event) {
    const { name, low, high, scale } = this.param;
    const text = this.field.value.trim().replace("−", "-");
    if (text === shown(this.value, scale)) return this._write();
    const value = text === "" ? NaN : Number(text);
    if (!(value >= low && value <= high)) {
      return this._complain(`${name} must be a number from ${shown(low, scale)} to ${shown(high, scale)}, got "${text}".`);
    }
    this.set(value);
    this._take(value, event);
    this.on.released();
  }

  _complain(sentence) {
    this.field.setAttribute("aria-invalid", sentence !== "");
    this.field.title = sentence;
    this.element.dataset.problem = sentence;
  }

  /** Arrow keys in the field move by one notch; Escape takes the typing back. */
  _nudged(event) {
    if (event.key === "Escape") return this._write();
    const way = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    const value = this._natural(Number(this.slider.value) + way);
    this.set(value);
    this._take(value, event);
    this.on.released();
  }

  /** Value at a slider position, inside the bounds. */
  _natural(position) {
    const { low, high, scale } = this.param;
    const value = FROM[scale](this.low + (position / NOTCHES) * (this.high - this.low));
    return Math.min(Math.max(value, low), high);
  }

  /** Make room for a value beyond the slider's ends, and put the interval and the fit in their places. */
  _reach(x) {
    this.low = Math.min(this.low, x);
    this.high = Math.max(this.high, x);
    const { fitted, interval, scale } = this.param;
    const at = (value) => (100 * (TO[scale](value) - this.low)) / (this.high - this.low);
    const inside = (percent) => Math.min(Math.max(percent, 0), 100);
    this.mark.style.left = `${at(fitted)}%`;
    this.band.hidden = !interval;
    if (!interval) return;
    const [left, right] = interval.map((v) => inside(at(v)));
    this.band.style.left = `${left}%`;
    this.band.style.width = `${right - left}%`;
  }
}
