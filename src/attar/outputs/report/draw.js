// Draws each chart of the page's data in the element of its name.
const { charts, looks } = JSON.parse(document.getElementById("charts").textContent);
const options = { renderer: "svg", actions: false, ast: true, config: looks, defaultStyle: false };
for (const [name, chart] of Object.entries(charts)) {
  const place = document.getElementById(`chart-${name}`);
  vegaEmbed(place, chart, options).catch((error) => {
    place.textContent = `This chart could not be drawn: ${error.message}`;
    console.error(name, error);
  });
}
// Collapsed sections are opened before printing and collapsed again afterwards.
const collapsed = () => document.querySelectorAll("details.paper:not([open])");
let opened = [];
window.addEventListener("beforeprint", () => { opened = [...collapsed()]; opened.forEach((each) => { each.open = true; }); });
window.addEventListener("afterprint", () => opened.forEach((each) => { each.open = false; }));
