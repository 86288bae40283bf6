"use strict";
// What a curve says under the pointer, and the chart as a file. Reads the points beside it; makes no markup of any text.
{
  const figure = document.getElementById("curves"), svg = figure.querySelector("svg");
  const told = document.getElementById("told"), chart = JSON.parse(document.getElementById("points").textContent);
  const NEAR = 18; // units of the SVG
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `Predicted losses of ${Object.keys(chart.curves).join(", ")}`);

  const nearest = (x, y) => {
    let best = null, least = NEAR * NEAR;
    for (const [name, points] of Object.entries(chart.curves))
      for (const point of points) {
        const far = (point[0] - x) ** 2 + (point[1] - y) ** 2;
        if (far < least) { least = far; best = [name, point]; }
      }
    return best;
  };
  figure.addEventListener("pointermove", (event) => {
    const matrix = svg.getScreenCTM();
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    const found = nearest(at.x, at.y), frame = figure.getBoundingClientRect();
    told.hidden = !found;
    if (!found) return;
    const [name, [x, y, step, loss, rate]] = found, on = new DOMPoint(x, y).matrixTransform(matrix);
    told.textContent = `${name}\nstep ${step.toLocaleString("en")}\npredicted loss ${loss}\nlearning rate ${rate}`;
    const left = on.x - frame.left + 12;
    told.style.left = `${Math.max(0, Math.min(left, frame.width - told.offsetWidth))}px`;
    told.style.top = `${on.y - frame.top + 12}px`;
  });
  figure.addEventListener("pointerleave", () => { told.hidden = true; });

  const save = (href, kind) => {
    const link = document.createElement("a");
    link.href = href;
    link.download = `optlaws-report-curves.${kind}`;
    link.click();
  };
  for (const button of document.querySelectorAll("[data-format]")) button.onclick = () => {
    const text = new XMLSerializer().serializeToString(svg);
    const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    if (button.dataset.format === "svg") return save(address, "svg");
    const picture = new Image();
    picture.onload = () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [3 * chart.width, 3 * chart.height];
      const ink = canvas.getContext("2d");
      ink.fillStyle = "#fff";
      ink.fillRect(0, 0, canvas.width, canvas.height);
      ink.drawImage(picture, 0, 0, canvas.width, canvas.height);
      save(canvas.toDataURL("image/png"), "png");
    };
    picture.src = address;
  };
}
