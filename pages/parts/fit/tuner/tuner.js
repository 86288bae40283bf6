/**
 * The component: sliders on the left, curves and errors on the right. Everything happens here while a slider is dragged;
 * Python hears coefficients when it is released ("theta"), and two wishes ("refit", "keep").
 * Streamlit calls the default export again whenever data or theme change; what the user did lives on under the key.
 */

const HEIGHT = { loss: 360, residual: 150 };
const SETTLED = 250; // ms without a change before Python hears of it: held arrow keys are one move, not forty
const MEMORY = new Map(); // key -> what the user did: survives a page that unmounts and comes back
const MOUNTED = new WeakMap(); // the element that Streamlit gives us -> its Tuner
const STEP = "optlaws-tuner-step"; // name of the performance measure of a slider step

class Tuner {
  constructor(parent, key) {
    this.key = key;
    this.root = h("section", { className: "tuner", "data-key": key });
    parent.append(this.root);
    this.memory = MEMORY.get(key) ?? { id: null, hidden: new Set(), logX: false, logY: false, residuals: false };
    MEMORY.set(key, this.memory);
    HOOK.set(key, this);
    this.left = (event) => event.composedPath().some((at) => at.localName === "a") && this._quiet();
    document.addEventListener("click", this.left, true);
  }

  /** New data, a new theme, or both. */
  receive({ data, setStateValue, setTriggerValue }) {
    this.send = { state: setStateValue, trigger: setTriggerValue };
    this.theme = readTheme(this.root);
    if (this.data?.id === data.id) return this._repaint();
    const mounting = this.data === undefined;
    this.data = data;
    this._start();
    this._build();
    this._evaluate();
    this._draw();
    if (mounting && !this._untouched()) this._report(); // Python forgets the values of a component that left the page
  }

  destroy() {
    document.removeEventListener("click", this.left, true);
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    this.plots?.forEach((plot) => plot.destroy());
    this.root.remove();
    if (HOOK.get(this.key) === this) HOOK.delete(this.key);
  }

  /** Unpack the runs, compile the law, and begin with what is remembered for this very fit, else with the fit. */
  _start() {
    const { law, params, runs, id } = this.data;
    this.law = new BrowserLaw(law);
    this.runs = runs.map(unpackRun);
    this.fitted = Float64Array.from(params, (p) => p.fitted);
    this.theta = this.fitted.slice();
    this._evaluate();
    this.fitErrors = this.errors;
    const { memory } = this;
    if (memory.id === id) {
      this.theta = memory.theta;
    } else {
      this.theta = memory.theta = Float64Array.from(params, (p) => p.value);
      if (memory.law !== law.name) memory.locked = new Set();
      for (const p of params) if (p.locked) memory.locked.add(p.name);
      const names = runs.map((r) => r.name).join("\n");
      if (memory.names !== names) memory.hidden = new Set();
      Object.assign(memory, { id, law: law.name, names });
    }
  }

  _build() {
    const { params } = this.data;
    this.rows = params.map((p, i) => new Row(p, `tuner-${this.key}`, {
      moved: (value, event) => this._moved(i, value, event),
      released: () => this._settle(),
      locked: (on) => this._lock(p.name, on),
    }));
    this.rows.forEach((row, i) => {
      row.set(this.theta[i]);
      row.setLocked(this.memory.locked.has(params[i].name));
    });
    this.scores = new Scores(this.runs, (i, show) => this._toggle(i, show));
    this.scores.paint(this.theme);
    this.scores.check(this.memory.hidden);
    this.canvas = h("div", { className: "charts" });
    this.plots?.forEach((plot) => plot.destroy());
    this.plots = [];
    const picture = h("div", { className: "picture" }, this._toolbar(), this.canvas, this.scores.element);
    this.root.replaceChildren(h("div", { className: "layout" }, this._controls(), picture));
    this._plot();
    this._buttons();
  }

  _controls() {
    this.reset = h("button", { type: "button", className: "action" }, "Reset to the fit");
    this.refit = h("button", { type: "button", className: "action" }, "Refit the others");
    this.name = h("input", { type: "text", className: "name", placeholder: "Name", maxLength: 60, autocomplete: "off", "aria-label": "Name for these coefficients" });
    this.keep = h("button", { type: "submit", className: "action" }, "Keep as…");
    const form = h("form", { className: "keep" }, this.name, this.keep);
    this.reset.addEventListener("click", () => this._reset());
    this.refit.addEventListener("click", () => this._refit());
    this.name.addEventListener("input", () => this._buttons());
    form.addEventListener("submit", (event) => this._keep(event));
    return h("div", { className: "controls", role: "group", "aria-label": "Coefficients" },
      ...this.rows.map((row) => row.element),
      h("div", { className: "actions" }, this.reset, this.refit),
      form);
  }

  _toolbar() {
    const box = (name, text) => {
      const input = h("input", { type: "checkbox", checked: this.memory[name], "data-toggle": name });
      input.addEventListener("change", () => {
        this.memory[name] = input.checked;
        this._plot();
      });
      return h("label", { title: name === "residuals" ? "Predicted minus observed loss" : "" }, input, text);
    };
    return h("div", { className: "toolbar" },
      box("logX", "Log steps"), box("logY", "Log loss"), box("residuals", "Residuals"),
      h("span", { className: "key" }, h("i", { className: "swatch faint" }), "observed",
        h("i", { className: "swatch" }), "training", h("i", { className: "swatch dashed" }), "held out"));
  }

  /** Charts anew: the axes' kinds are fixed when a chart is made. */
  _plot() {
    const { logX, logY, residuals, hidden } = this.memory;
    this.plots.forEach((plot) => plot.destroy());
    this.canvas.replaceChildren();
    const host = () => this.canvas.appendChild(h("div", { className: "chart", title: "Drag across to zoom, double-click to see all" }));
    const common = { logX, theme: () => this.theme };
    const xLabel = "step";
    this.plots = [new Plot(host(), this._lossLines(), { ...common, logY, height: HEIGHT.loss, yLabel: "loss", xLabel: residuals ? null : xLabel })];
    if (residuals) {
      this.plots.push(new Plot(host(), this._residualLines(), { ...common, logY: false, zero: true, height: HEIGHT.residual, yLabel: "residual", xLabel }));
    }
    this.plots.forEach((plot) => plot.show(hidden));
  }

  _lossLines() {
    const observed = this.runs.map((r, run) => ({ run, x: r.drawn.steps, y: r.drawn.loss, width: 1, alpha: 0.45, anchor: true }));
    const predicted = this.runs.map((r, run) => ({ run, x: r.steps, y: r.predicted, width: 2.2, alpha: 1, dashed: r.role !== "train", anchor: false }));
    return [...observed, ...predicted];
  }

  _residualLines() {
    return this.runs.map((r, run) => ({ run, x: r.steps, y: r.residual, width: 1.4, alpha: 0.9, dashed: r.role !== "train", anchor: false }));
  }

  /** A coefficient changed: remember it, and redraw once before the next frame however many events there are. */
  _moved(i, value, event) {
    this.theta[i] = value;
    this.since ??= event.timeStamp;
    this.frame ??= requestAnimationFrame(() => this._step());
    clearTimeout(this.timer); // moving again: what was to be reported is out of date
  }

  _step() {
    this.frame = null;
    const since = this.since;
    this.since = null;
    this._evaluate();
    this._draw();
    // the frame after the next has begun: this one is on the screen
    requestAnimationFrame(() => this._timed(since));
  }

  _timed(since) {
    this.lastMs = performance.now() - since;
    performance.measure(STEP, { start: since, end: since + this.lastMs });
    this.root.dataset.lastMs = this.lastMs.toFixed(1);
    this.root.dataset.redraws = Number(this.root.dataset.redraws ?? 0) + 1;
  }

  _evaluate() {
    for (const run of this.runs) {
      this.law.predict(this.theta, run);
      for (let i = 0; i < run.loss.length; i++) run.residual[i] = run.predicted[i] - run.loss[i];
    }
    this.errors = this.runs.map(rmse);
  }

  _draw() {
    this.plots.forEach((plot) => plot.redraw());
    this.scores.update(this.errors, this.fitErrors);
    this._buttons();
  }

  _repaint() {
    this.scores.paint(this.theme);
    this._plot(); // fonts and colours are read when a chart is made
  }

  _toggle(i, show) {
    this.memory.hidden[show ? "delete" : "add"](i);
    this.plots.forEach((plot) => plot.show(this.memory.hidden));
  }

  _lock(name, on) {
    this.memory.locked[on ? "add" : "delete"](name);
    this._buttons();
  }

  _buttons() {
    const held = this.data.params.filter((p) => this.memory.locked.has(p.name)).length;
    this.reset.disabled = this.theta.every((v, i) => v === this.fitted[i]);
    this.refit.disabled = held === 0 || held === this.theta.length;
    this.refit.title = held === 0 ? "Lock at least one coefficient first" : "Fit the coefficients that are not locked";
    this.keep.disabled = this.name.value.trim() === "";
  }

  _reset() {
    this.theta.set(this.fitted);
    this.rows.forEach((row, i) => row.set(this.theta[i]));
    this._evaluate();
    this._draw();
    this._report();
  }

  _refit() {
    const locked = this.data.params.map((p) => p.name).filter((n) => this.memory.locked.has(n));
    this._hurry();
    this.send.trigger("refit", { fit: this.data.id, theta: this._named(), locked });
  }

  _keep(event) {
    event.preventDefault();
    this._hurry();
    this.send.trigger("keep", { fit: this.data.id, theta: this._named(), name: this.name.value.trim() });
    this.name.value = "";
    this._buttons();
  }

  /** Tell Python once the values rest. */
  _settle() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this._report(), SETTLED);
  }

  /** Before a wish: a report that followed it would begin the page's script anew, and the wish would go unheard. */
  _hurry() {
    if (this.timer) this._report();
  }

  /** Before a link is followed: a report after the click would lead back to this page. It comes once this is shown again. */
  _quiet() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  _report() {
    this._quiet();
    this.send.state("theta", { fit: this.data.id, theta: this._named() });
  }

  _untouched() {
    return this.data.params.every((p, i) => this.theta[i] === p.value);
  }

  _named() {
    return Object.fromEntries(this.data.params.map((p, i) => [p.name, this.theta[i]]));
  }
}

/** What tests read: `window.optlawsTuner.state(key)` is a copy of the coefficients, curves and errors on the screen. */
const HOOK = new Map();
Object.defineProperty(window, "optlawsTuner", {
  configurable: true,
  value: Object.freeze({
    keys: () => [...HOOK.keys()],
    state(key) {
      const tuner = HOOK.get(key);
      if (!tuner) return null;
      const each = (read) => Object.fromEntries(tuner.runs.map((r, i) => [r.name, read(r, i)]));
      return {
        id: tuner.data.id,
        theta: tuner._named(),
        locked: [...tuner.memory.locked],
        steps: each((r) => [...r.steps]),
        predicted: each((r) => [...r.predicted]),
        rmse: each((_, i) => tuner.errors[i]),
        drawing: tuner.frame != null, // a redraw is due
        lastMs: tuner.lastMs ?? null,
      };
    },
  }),
});

export default function (component) {
  const parent = component.parentElement;
  let tuner = MOUNTED.get(parent);
  if (!tuner) MOUNTED.set(parent, (tuner = new Tuner(parent, component.data.key)));
  tuner.receive(component);
  return () => {
    tuner.destroy();
    if (MOUNTED.get(parent) === tuner) MOUNTED.delete(parent);
  };
}
