/** Colours and fonts of the app's theme, as the canvas needs them: Streamlit hands them over as --st-… properties. */

const FALLBACK = "#0068c9,#ff2b2b,#29b09d,#ff8700,#6d3fc0,#83c9ff,#ffabab,#7defa1";
const LEGIBLE = 2.6; // least contrast of a curve with the background

/** @param {Element} root */
function readTheme(root) {
  const style = getComputedStyle(root);
  const read = (name, other) => style.getPropertyValue(`--st-${name}`).trim() || other;
  const text = read("text-color", "#31333f");
  const background = read("background-color", "#ffffff");
  const curves = read("chart-categorical-colors", FALLBACK).split(/,(?![^(]*\))/).map((c) => legible(c.trim(), background, text));
  return {
    text,
    muted: mixed(rgb(text), rgb(background), 0.35),
    grid: mixed(rgb(text), rgb(background), 0.88),
    font: `12px ${read("font", "sans-serif")}`,
    /** Colour of the i-th run. */
    curve: (i) => curves[i % curves.length],
  };
}

/** `color`, moved towards the text colour until it stands out from the background: theme palettes hold pale tints. */
function legible(color, background, text) {
  for (let share = 0; share < 1; share += 0.1) {
    const tried = mixed(rgb(color), rgb(text), share);
    if (contrast(rgb(tried), rgb(background)) >= LEGIBLE) return tried;
  }
  return text;
}

/** Any CSS colour as [r, g, b]. */
function rgb(color) {
  const pen = rgb.pen ??= document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "#000";
  pen.fillStyle = color;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
}

const mixed = (a, b, share) => `rgb(${a.map((v, i) => Math.round(v + share * (b[i] - v))).join(",")})`;

/** The same colour, see-through. */
const faded = (color, alpha) => color.replace(/^rgb\((.*)\)$/, `rgba($1,${alpha})`);

/** WCAG contrast ratio of two [r, g, b]. */
function contrast(a, b) {
  const light = (c) => {
    const [r, g, blue] = c.map((v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * blue + 0.05;
  };
  const [x, y] = [light(a), light(b)];
  return Math.max(x, y) / Math.min(x, y);
}
