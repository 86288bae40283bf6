// Plotly lives inside Streamlit's bundle, so its own camera takes the picture; it reads its options at the click.
export default function ({ parentElement, data }) {
  const take = ({ currentTarget }) => {
    const plot = document.querySelector(`.st-key-${data.chart.replace(/[^\w-]/g, "-")} .js-plotly-plot`);
    const camera = plot?.querySelector('.modebar-btn[data-title^="Download plot"]');
    if (!camera) return; // not drawn yet
    const options = plot._context.toImageButtonOptions;
    const usual = options.format;
    options.format = currentTarget.dataset.format;
    camera.click();
    options.format = usual;
  };
  for (const button of parentElement.querySelectorAll("button")) button.onclick = take;
}
