"use strict";
// Names come from tables of others: they are only ever set as text.
(() => {
  const of = document.getElementById("of");
  const kind = document.getElementById("kind");

  function filter() {
    for (const flips of document.querySelectorAll(".flips")) {
      flips.hidden = Boolean(of?.value) && flips.dataset.of !== of.value;
      for (const side of flips.querySelectorAll(".side")) {
        side.hidden = Boolean(kind.value) && side.dataset.kind !== kind.value;
      }
    }
  }

  of?.addEventListener("change", filter);
  kind.addEventListener("change", filter);
  filter(); // a browser keeps what was chosen when a page is loaded again

  const MOST = 12;
  const data = JSON.parse(document.getElementById("searched").textContent);
  const input = document.getElementById("search");
  const found = document.getElementById("found");
  let index = null;

  function matches(query) {
    index ??= data.names.map((name, taxon) => [name, ...data.common[taxon]].map(folded));
    const fitting = [];
    index.forEach((names, taxon) => {
      const fits = names.map((name) => fit(name, query)).filter((each) => each >= 0);
      if (fits.length) fitting.push([Math.min(...fits), taxon]);
    });
    return fitting
      .sort(([a, x], [b, y]) => a - b || data.photographs[y] - data.photographs[x] || x - y)
      .map(([, taxon]) => taxon);
  }

  function row(taxon) {
    const common = data.common[taxon].filter((name) => name !== data.names[taxon]).slice(0, 3).join(", ");
    const name = make("td", "", make(data.italic[taxon] ? "i" : "span", "", data.names[taxon]));
    name.append(make("small", "", ` ${[data.ranks[taxon], common].filter(Boolean).join(" · ")}`));
    const cells = data.candidates.map((each) => {
      const changed = each.lost[taxon] || each.won[taxon]
        ? ` (−${number(each.lost[taxon])} +${number(each.won[taxon])})` : "";
      return make("td", "n", number(each.right[taxon]), make("small", "", changed));
    });
    return make("tr", "", name, make("td", "n", number(data.photographs[taxon])),
      make("td", "n", number(data.reference[taxon])), ...cells);
  }

  function search() {
    const query = folded(input.value);
    if (!query) return found.replaceChildren();
    const all = matches(query);
    if (!all.length) {
      return found.replaceChildren(make("p", "about", "No taxon of this name is on the photographs."));
    }
    const heads = ["taxon", "photo\u00adgraphs", data.reference_name, ...data.candidates.map((each) => each.name)];
    const head = make("tr", "", ...heads.map((text, i) => make("th", i ? "n" : "", text)));
    const table = make("table", "", make("thead", "", head), make("tbody", "", ...all.slice(0, MOST).map(row)));
    const more = all.length > MOST ? `${number(all.length - MOST)} more; type on. ` : "";
    found.replaceChildren(make("div", "wide", table),
      make("p", "about", `${more}Photographs named right, in brackets those lost and won.`));
  }

  input.addEventListener("input", search);
  search();
})();
