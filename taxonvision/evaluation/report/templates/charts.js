"use strict";
// Draws each figure of #figures into the element of its name, once it comes into view, in the
// colours of the page: a colour given by role, "@bar", is the page's variable --bar.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  const phone = matchMedia("(max-width: 34rem)");
  const probe = document.body.appendChild(document.createElement("span"));
  probe.hidden = true;
  const kinds = {};

  function colour(role) {
    probe.style.color = `var(--${role})`;
    return getComputedStyle(probe).color;
  }

  // Lists hold data, which stays as it is; in lists of lists a stop of a colour scale is a pair.
  function coloured(value) {
    if (typeof value === "string") return value[0] === "@" ? colour(value.slice(1)) : value;
    if (value === null || typeof value !== "object") return value;
    if (!Array.isArray(value)) {
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, coloured(each)]));
    }
    return value.map((each) => {
      if (!Array.isArray(each)) return each !== null && typeof each === "object" ? coloured(each) : each;
      return each.length === 2 ? [each[0], coloured(each[1])] : each;
    });
  }

  function layoutOf(figure) {
    const layout = coloured(figure.layout);
    const axis = {
      fixedrange: true, zeroline: false, showline: false, gridcolor: colour("grid"),
      tickfont: { color: colour("soft"), size: 12 }, ticks: "", ticklabelstandoff: 4, automargin: true,
    };
    for (const key of Object.keys(layout)) {
      if (!/^[xy]axis/.test(key)) continue;
      layout[key] = { ...axis, ...layout[key] };
      layout[key].title = { font: { color: colour("soft"), size: 13 }, ...layout[key].title };
    }
    return {
      margin: { l: 44, r: 14, t: 10, b: 40 }, ...layout,
      paper_bgcolor: "transparent", plot_bgcolor: "transparent", showlegend: false,
      dragmode: false, autosize: true, hovermode: "closest",
      font: { family: getComputedStyle(document.body).fontFamily, color: colour("ink"), size: 13 },
      hoverlabel: {
        bgcolor: colour("paper"), bordercolor: colour("soft"), align: "left",
        font: { family: getComputedStyle(document.body).fontFamily, color: colour("ink"), size: 13 },
      },
    };
  }

  // Black or white for each part of a tree, whichever has more contrast with its colour (WCAG 2).
  function inks({ colors, colorscale }) {
    const stops = colorscale.map(([at, css]) => [at, css.match(/[\d.]+/g).slice(0, 3).map(Number)]);
    return colors.map((share) => {
      const next = Math.max(1, stops.findIndex(([at]) => share <= at));
      const [[low, from], [high, to]] = [stops[next - 1], stops[next]];
      const [r, g, b] = from.map((channel, i) => {
        const level = (channel + (to[i] - channel) * (share - low) / (high - low)) / 255;
        return level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
    });
  }

  function dataOf(name, element) {
    return coloured(figures[name].data).map((trace, i) => {
      if (trace.type !== "sunburst") return trace;
      const type = kinds[name] || "sunburst";
      const level = element.data && element.data[i] && element.data[i].level;
      const shape = type === "icicle"
        ? { tiling: { orientation: "h", pad: 1 }, pathbar: { visible: true, thickness: 26 } }
        : {};
      // Fewer rings on a phone; the others come when a sector is touched.
      const maxdepth = phone.matches ? 3 : trace.maxdepth;
      const insidetextfont = { color: inks(trace.marker) };
      return { ...trace, type, maxdepth, insidetextfont, ...(level === undefined ? {} : { level }), ...shape };
    });
  }

  function draw(element) {
    const name = element.dataset.chart;
    element.dataset.drawn = "yes";
    return Plotly.react(element, dataOf(name, element), layoutOf(figures[name]), {
      displayModeBar: false, responsive: true, doubleClick: false, showTips: false,
    });
  }

  // On paper a chart is as wide as its column there, which only the style of the paper knows.
  function scalable(element) {
    for (const svg of element.querySelectorAll(".main-svg")) {
      svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`);
    }
  }

  const charts = [...document.querySelectorAll("[data-chart]")].filter((e) => figures[e.dataset.chart]);
  const drawn = () => charts.filter((element) => element.dataset.drawn);
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting && !entry.target.dataset.drawn) draw(entry.target);
    }
  }, { rootMargin: "300px" });
  charts.forEach((element) => seen.observe(element));

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn().forEach(draw));
  phone.addEventListener("change", () => drawn().forEach(draw));
  addEventListener("beforeprint", () => {
    root.style.colorScheme = "light"; // on paper, whatever the screen has
    charts.forEach(draw);
    charts.forEach(scalable);
  });
  addEventListener("afterprint", () => {
    root.style.colorScheme = "";
    charts.forEach((element) => Plotly.purge(element));
    charts.forEach(draw);
  });

  for (const button of document.querySelectorAll("[data-kind]")) {
    button.addEventListener("click", () => {
      const element = document.querySelector(`[data-chart="${button.dataset.of}"]`);
      kinds[button.dataset.of] = button.dataset.kind;
      for (const each of document.querySelectorAll(`[data-of="${button.dataset.of}"]`)) {
        each.setAttribute("aria-pressed", String(each === button));
      }
      element.classList.toggle("icicle", button.dataset.kind === "icicle");
      Plotly.purge(element);
      draw(element);
    });
  }
})();
