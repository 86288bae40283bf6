/** The legend, which is also the table of errors: one line for each run, a tick to show it, its RMSE now and against the fit. */

const ROLES = { train: "Training", "held out": "Held out" };
const SAME = 5e-6; // changes below half of the last printed digit are none
const ABOUT = "Root-mean-square error at the steps where the curves are evaluated, each standing for the losses around it; the report counts every loss.";

class Scores {
  /** @param {object[]} runs @param {(i: number, show: boolean) => void} toggled */
  constructor(runs, toggled) {
    this.runs = runs;
    this.cells = new Map();
    this.boxes = [];
    this.groups = Object.keys(ROLES).filter((role) => runs.some((r) => r.role === role));
    this.element = h("div", { className: "scores" }, ...this.groups.map((role) => this._table(role, toggled)));
  }

  /** Colours of the theme. */
  paint(theme) {
    this.boxes.forEach(({ swatch }, i) => swatch.style.setProperty("--curve", theme.curve(i)));
  }

  check(hidden) {
    this.boxes.forEach(({ box }, i) => (box.checked = !hidden.has(i)));
  }

  /** @param {number[]} now RMSE of each run @param {number[]} fit the same at the fit */
  update(now, fit) {
    now.forEach((value, i) => this._write(i, value, fit[i]));
    for (const role of this.groups) {
      const mean = (values) => average(values.filter((_, i) => this.runs[i].role === role));
      this._write(role, mean(now), mean(fit));
    }
  }

  _write(key, value, fit) {
    const [error, change] = this.cells.get(key);
    const difference = value - fit;
    error.textContent = Number.isFinite(value) ? (value < 100 ? value.toFixed(5) : value.toExponential(2)) : "—";
    const same = Math.abs(difference) < SAME;
    change.textContent = same || !Number.isFinite(difference) ? "0" : signed(difference);
    change.className = same ? "number" : difference < 0 ? "number better" : "number worse";
  }

  _table(role, toggled) {
    const lines = this.runs.flatMap((run, i) => (run.role === role ? [this._line(run, i, toggled)] : []));
    const mean = h("tr", { className: "mean" }, h("th", { scope: "row" }, "Mean"), ...this._numbers(role));
    return h("table", {},
      h("thead", {}, h("tr", {},
        h("th", { scope: "col" }, ROLES[role]),
        h("th", { scope: "col", className: "number", title: ABOUT }, "RMSE"),
        h("th", { scope: "col", className: "number", title: "Change against the fit" }, "vs fit"))),
      h("tbody", {}, ...lines),
      h("tfoot", {}, mean));
  }

  _line(run, i, toggled) {
    const box = h("input", { type: "checkbox", checked: true, "aria-label": `Show ${run.name}` });
    const swatch = h("span", { className: run.role === "train" ? "swatch" : "swatch dashed" });
    box.addEventListener("change", () => toggled(i, box.checked));
    this.boxes[i] = { box, swatch };
    return h("tr", { "data-run": run.name },
      h("th", { scope: "row" }, h("label", { title: run.name }, box, swatch, h("span", { className: "name" }, run.name))),
      ...this._numbers(i));
  }

  _numbers(key) {
    const cells = [h("td", { className: "number" }), h("td", { className: "number" })];
    this.cells.set(key, cells);
    return cells;
  }
}

const average = (values) => values.reduce((a, b) => a + b, 0) / values.length;

const signed = (v) => (v < 0 ? "−" : "+") + (Math.abs(v) < 100 ? Math.abs(v).toFixed(5) : Math.abs(v).toExponential(2));
