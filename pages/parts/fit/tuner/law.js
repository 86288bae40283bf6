/**
 * A law in the browser: unpacks what `optlaws_core/laws/browser.py` packed and evaluates the law on it.
 * The expressions are the ones SymPy wrote from the law's one formula; the loops around them are here.
 */

const DTYPES = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f8: Float64Array };

/** @param {{dtype: string, data: string}|{values: object, index: object}|null} packed @returns {ArrayLike<number>|null} */
function unpack(packed) {
  if (packed === null) return null;
  if (packed.index) {
    const values = unpack(packed.values);
    return Float64Array.from(unpack(packed.index), (i) => values[i]);
  }
  const bytes = Uint8Array.from(atob(packed.data), (c) => c.charCodeAt(0));
  return new DTYPES[packed.dtype](bytes.buffer);
}

/** The same numbers as doubles: one array type in the hot loops keeps them monomorphic, so fast. */
const doubles = (packed, length) => Float64Array.from(unpack(packed) ?? { length }, (v) => v ?? 0);

/** Counts and indices, as one type for the same reason. */
const indices = (packed) => Uint32Array.from(unpack(packed));

/** @typedef {{eta, S, drop, weight, clock, now, pace: Float64Array, begin, length, first: Uint32Array, a: Float64Array, sum: Float64Array}} Past */

/** One history sum of a run, ready for any coefficients. @returns {Past} */
function unpackPast(past) {
  const clock = doubles(past.clock);
  const now = doubles(past.now);
  return {
    eta: doubles(past.eta, clock.length),
    S: doubles(past.S, clock.length),
    drop: doubles(past.drop, clock.length),
    weight: doubles(past.weight),
    clock,
    now,
    begin: indices(past.begin),
    length: indices(past.length),
    first: indices(past.first),
    a: new Float64Array(clock.length), // scratch: the source at each node
    pace: new Float64Array(clock.length), // scratch: what times since each node are multiplied with
    sum: new Float64Array(now.length), // scratch: the history sum at each observation
  };
}

/** A run: what was seen, and where and on what the law is evaluated. */
function unpackRun(run) {
  const steps = doubles(run.steps);
  return {
    name: run.name,
    role: run.role,
    steps,
    loss: doubles(run.loss),
    share: doubles(run.share),
    drawn: { steps: doubles(run.drawn.steps), loss: doubles(run.drawn.loss) },
    features: run.features.map((f) => doubles(f, steps.length)),
    pasts: run.pasts.map(unpackPast),
    predicted: new Float64Array(steps.length),
    residual: new Float64Array(steps.length),
  };
}

/** Compiled law: `predict(theta, run)` writes `run.predicted`. */
class BrowserLaw {
  /** @param {{lowest: number, formula: string, sums: {source: string, kernel: string, pace: string|null}[]}} law */
  constructor(law) {
    this.sums = law.sums.map(({ source, kernel, pace }) => ({
      source: compileSource(source),
      pace: pace === null ? () => {} : compilePace(pace, law.lowest),
      kernel: compileKernel(kernel),
    }));
    this.formula = compileFormula(law.formula, law.sums.length);
  }

  /** @param {Float64Array} theta @param {ReturnType<typeof unpackRun>} run */
  predict(theta, run) {
    this.sums.forEach(({ source, kernel, pace }, i) => {
      source(theta, run.pasts[i]);
      pace(theta, run.pasts[i]);
      kernel(theta, run.pasts[i]);
    });
    this.formula(theta, run);
  }
}

/** Logarithms of coefficients alone are the same for every node and pair: taken once, before the loop. */
function hoisted(code) {
  const found = [...new Set(code.match(/Math\.log\(theta\[\d+\]\)/g) ?? [])];
  const lines = found.map((text, i) => `const log${i} = ${text};`).join("\n");
  return [lines, found.reduce((rest, text, i) => rest.replaceAll(text, `log${i}`), code)];
}

function compileSource(code) {
  const [before, inner] = hoisted(code);
  return new Function("theta", "past", `
    const { eta, S, drop, weight, a } = past;
    ${before}
    for (let n = 0; n < a.length; n++) {
      const eta_k = eta[n], S_k = S[n], d_k = drop[n];
      a[n] = (${inner}) * weight[n];
    }`);
}

/** A rate below `lowest` counts as that much, as in Python: a pace may be a negative power of it. */
function compilePace(code, lowest) {
  const [before, inner] = hoisted(code);
  return new Function("theta", "past", `
    const { eta, pace } = past;
    ${before}
    for (let n = 0; n < pace.length; n++) {
      const eta_k = Math.max(eta[n], ${lowest});
      pace[n] = ${inner};
    }`);
}

function compileKernel(code) {
  const [before, inner] = hoisted(code);
  return new Function("theta", "past", `
    const { a, pace, clock, now, begin, length, first, sum } = past;
    ${before}
    for (let o = 0; o < sum.length; o++) {
      const time = now[o];
      let total = 0;
      for (let r = first[o]; r < first[o + 1]; r++) {
        for (let n = begin[r], stop = n + length[r]; n < stop; n++) {
          const u = Math.max(time - clock[n], 0), pace_k = pace[n];
          total += a[n] * (${inner});
        }
      }
      sum[o] = total;
    }`);
}

function compileFormula(code, sums) {
  const [before, inner] = hoisted(code);
  const held = Array.from({ length: sums }, (_, i) => `H[${i}] = pasts[${i}].sum[o];`).join(" ");
  return new Function("theta", "run", `
    const { features, pasts, predicted } = run;
    const f = new Float64Array(features.length), H = new Float64Array(${sums});
    ${before}
    for (let o = 0; o < predicted.length; o++) {
      for (let i = 0; i < f.length; i++) f[i] = features[i][o];
      ${held}
      predicted[o] = ${inner};
    }`);
}

/** Root-mean-square error of a run's prediction; an evaluation step counts for the observations around it. */
function rmse({ loss, predicted, share }) {
  let square = 0;
  let count = 0;
  for (let i = 0; i < loss.length; i++) {
    square += share[i] * (loss[i] - predicted[i]) ** 2;
    count += share[i];
  }
  return Math.sqrt(square / count);
}
