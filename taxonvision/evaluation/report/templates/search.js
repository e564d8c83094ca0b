"use strict";
// Finds a taxon by any of its names and says what is known of it. Names come from tables of others:
// they are only ever set as text.
(() => {
  const data = JSON.parse(document.getElementById("taxa").textContent);
  const input = document.getElementById("search");
  const list = document.getElementById("found");
  const card = document.getElementById("taxon");
  const MOST = 12;
  const testedAt = new Map(data.tested.map((taxon, row) => [taxon, row]));
  const classes = new Set(data.classes);
  const inModel = new Set(); // the classes and all taxa above them
  for (const taxon of data.classes) {
    for (let at = taxon; at >= 0 && !inModel.has(at); at = data.parents[at]) inModel.add(at);
  }
  let index = null;
  let options = [];
  let active = -1;

  const counted = (count, noun, plural) => `${number(count)} ${count === 1 ? noun : plural}`;
  const scientific = (taxon) => make(data.italic[taxon] ? "i" : "span", "", data.names[taxon]);

  // Rows of the folded name, the taxon, and the common name with its language ("" for scientific).
  function names() {
    if (index) return index;
    index = data.names.map((name, taxon) => [folded(name), taxon, "", ""]);
    for (const [language, [taxa, common]] of Object.entries(data.common)) {
      taxa.forEach((taxon, i) => index.push([folded(common[i]), taxon, common[i], language]));
    }
    return index;
  }

  const photographsOf = (taxon) => testedAt.has(taxon) ? data.photographs[testedAt.get(taxon)] : 0;

  function found(query) {
    const best = new Map();
    for (const row of names()) {
      const fits = fit(row[0], query);
      if (fits < 0) continue;
      const old = best.get(row[1]);
      if (!old || fits < old[0]) best.set(row[1], [fits, row]);
    }
    return [...best.values()]
      .sort(([a, x], [b, y]) =>
        a - b || photographsOf(y[1]) - photographsOf(x[1]) || x[0].length - y[0].length || x[1] - y[1])
      .map(([, row]) => row);
  }

  function close() {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function suggest() {
    const query = folded(input.value);
    if (!query) return close();
    const all = found(query);
    options = all.slice(0, MOST);
    list.replaceChildren(...options.map(([, taxon, common, language], i) => {
      const many = photographsOf(taxon);
      const note = many ? counted(many, "photograph", "photographs") : classes.has(taxon) ? "no photograph" : data.ranks[data.rank[taxon]];
      const option = make("li", "",
        make("span", "", scientific(taxon), common ? ` ${common}` : "", language && language !== "en" ? make("small", "", ` ${language}`) : ""),
        make("small", "", note));
      option.id = `found-${i}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.addEventListener("pointerdown", (event) => event.preventDefault()); // keeps the focus
      option.addEventListener("click", () => choose(i));
      return option;
    }));
    if (!all.length) list.append(make("li", "nothing", "No taxon of this name."));
    if (all.length > MOST) list.append(make("li", "nothing", `${number(all.length - MOST)} more; type on.`));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(options.length ? 0 : -1);
  }

  function mark(i) {
    active = i;
    [...list.querySelectorAll("[role=option]")].forEach((option, at) => {
      option.setAttribute("aria-selected", String(at === i));
      if (at === i) option.scrollIntoView({ block: "nearest" });
    });
    if (i >= 0) input.setAttribute("aria-activedescendant", `found-${i}`);
    else input.removeAttribute("aria-activedescendant");
  }

  function choose(i) {
    if (!options[i]) return;
    close();
    input.value = data.names[options[i][1]];
    show(options[i][1]);
  }

  input.addEventListener("input", suggest);
  input.addEventListener("focus", () => input.select());
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return close();
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp" && event.key !== "Enter") return;
    event.preventDefault();
    if (list.hidden) return suggest();
    const step = { ArrowDown: 1, ArrowUp: -1, Enter: 0 }[event.key];
    if (!step) return choose(active);
    if (options.length) mark((active + step + options.length) % options.length);
  });

  function lineage(taxon) {
    const above = [];
    for (let at = data.parents[taxon]; at >= 0; at = data.parents[at]) above.push(at);
    return above;
  }

  function commonNames(taxon) {
    const all = [];
    for (const [language, [taxa, common]] of Object.entries(data.common)) {
      const at = taxa.indexOf(taxon);
      if (at >= 0) all.push(language === "en" ? common[at] : `${common[at]} (${language})`);
    }
    return all.sort((a, b) => a.endsWith(")") - b.endsWith(")"));
  }

  function scale(share, low = share, high = share) {
    const band = make("i", "");
    band.style.left = `${100 * low}%`;
    band.style.width = `${100 * (high - low)}%`;
    const dot = make("i", "dot");
    dot.style.left = `${100 * share}%`;
    const drawn = make("span", "scale", band, dot);
    drawn.setAttribute("aria-hidden", "true");
    return drawn;
  }

  function interval(row) {
    const [low, high] = data.bounds[row];
    return low === undefined ? "" : ` (95% interval ${percent(low)} to ${percent(high)})`;
  }

  function scaleOf(row) {
    return scale(data.right[row] / data.photographs[row], ...data.bounds[row]);
  }

  function button(taxon) {
    const element = make("button", "taxon", scientific(taxon));
    element.type = "button";
    element.addEventListener("click", () => {
      input.value = data.names[taxon];
      show(taxon);
    });
    return element;
  }

  function state(taxon) {
    const row = testedAt.get(taxon);
    if (row === undefined) {
      return [make("p", "", inModel.has(taxon)
        ? "No test photograph shows it: how well it is named is not known."
        : "This is no class of this model, and no test photograph shows it.")];
    }
    const n = data.photographs[row];
    const parts = [make("p", "", make("b", "", percent(data.right[row] / n)),
      ` of ${counted(n, "test photograph", "test photographs")} named right${interval(row)}`), scaleOf(row)];
    if (!inModel.has(taxon)) parts.unshift(make("p", "", "This is no class of this model, which therefore never names it."));
    if (data.atNode[row] !== null) {
      parts.push(make("p", "", `${percent(data.atNode[row])} are right at this rank, whichever taxon within it was named.`));
    }
    return parts;
  }

  function facts(taxon) {
    const lines = [];
    if (inModel.has(taxon)) lines.push(`${counted(data.training[taxon], "training photograph", "training photographs")}.`);
    if (data.given[taxon]) {
      const [given, wrong] = data.given[taxon];
      lines.push(`Given this name: ${counted(given, "photograph", "photographs")}, ${wrong ? number(wrong) : "none"} of them wrongly.`);
    }
    return lines.length ? make("p", "", lines.join(" ")) : null;
  }

  function mistakes(taxon) {
    const given = data.mistakes[taxon];
    if (!given) return [];
    const rows = given.map(([name, times]) => make("tr", "", make("td", "", button(name)), make("td", "n", number(times))));
    return [make("h4", "", "What it is mistaken for"), table(["named", "times"], rows)];
  }

  function ancestors(taxon) {
    const tested = lineage(taxon).filter((above) => testedAt.has(above));
    if (!tested.length) return [];
    const rows = tested.map((above) => {
      const row = testedAt.get(above);
      return make("tr", "",
        make("td", "", button(above), make("small", "", ` ${data.ranks[data.rank[above]]}`)),
        make("td", "n", number(data.photographs[row])),
        make("td", "n", percent(data.right[row] / data.photographs[row])),
        make("td", "n", data.atNode[row] === null ? "–" : percent(data.atNode[row])));
    });
    return [make("h4", "", "The taxa above it"), table(["taxon", "photo\u00adgraphs", "named right", "right at its rank"], rows)];
  }

  function table(heads, rows) {
    const cells = heads.map((head, i) => make("th", i ? "n" : "", head));
    return make("div", "wide", make("table", "", make("thead", "", make("tr", "", ...cells)), make("tbody", "", ...rows)));
  }

  function pictures(taxon) {
    const shown = data.pictures[taxon];
    if (!shown) return null;
    return make("div", "gallery", ...shown.map(([photo, caption]) => {
      const picture = make("span", `photo p${photo}`);
      picture.setAttribute("role", "img");
      picture.setAttribute("aria-label", `${data.names[taxon]}, ${caption}`);
      return make("figure", "", picture, make("figcaption", "", caption));
    }));
  }

  function show(taxon) {
    const common = commonNames(taxon);
    const children = [
      make("h3", "", scientific(taxon)),
      make("p", "soft", [data.ranks[data.rank[taxon]], ...common.slice(0, 8)].join(" · ")),
      ...state(taxon), facts(taxon), pictures(taxon), ...mistakes(taxon), ...ancestors(taxon),
    ];
    card.replaceChildren(...children.filter((child) => child !== null));
    card.hidden = false;
  }
})();
