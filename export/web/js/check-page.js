// `?check`: whether this device gives the answers that the bundle promises.

import { selfCheck } from "./check.js";
import { byId, make } from "./elements.js";
import { percent } from "./shown.js";

/**
 * Run the golden photographs and show how each one fares.
 *
 * The element `check` then has `data-passed`, "true" or "false".
 *
 * @param {import("./bundle.js").Bundle} bundle
 * @param {import("./recognizer.js").Recognizer} recognizer
 */
export async function showCheck(bundle, recognizer) {
  document.documentElement.dataset.mode = "check";
  byId("plate").hidden = byId("viewfinder").hidden = true;
  const page = byId("check");
  page.hidden = false;
  const golden = new Map(bundle.manifest.golden.map((entry) => [entry.file, entry]));
  const { passed, results } = await selfCheck(bundle, recognizer, (result) => {
    byId("checks").append(row(result, golden.get(result.file), thumbnail(bundle, result.file)));
  });
  const failed = results.filter((result) => !result.passed).length;
  byId("verdict").textContent = passed ? "This device passes" : "This device fails";
  byId("verdict-why").textContent = passed
    ? `All ${results.length} photographs with known answers get them here.`
    : `${failed} of ${results.length} photographs get other answers here than the bundle promises: names may be wrong.`;
  page.dataset.passed = passed;
}

function row(result, { license, attribution }, picture) {
  const worst = Number.isNaN(result.worst)
    ? "The scores are no probabilities"
    : `Worst difference ${percent(result.worst)}, allowed ${percent(result.tolerance)}`;
  const item = make(
    "li",
    result.passed ? "passed" : "failed",
    picture,
    make("b", "", result.passed ? "Passed" : "Failed"),
    make(
      "span",
      "",
      `${result.file}, ${result.exact ? "exact pixels" : "a photograph to prepare"}`,
    ),
    make("span", "", worst),
    make("small", "", `${attribution}, ${license}`),
  );
  item.dataset.file = result.file;
  item.dataset.worst = result.worst;
  return item;
}

function thumbnail(bundle, file) {
  const picture = make("img", "");
  picture.alt = "";
  bundle.bytes(file).then((bytes) => {
    const url = URL.createObjectURL(new Blob([bytes]));
    picture.onload = picture.onerror = () => URL.revokeObjectURL(url);
    picture.src = url;
  });
  return picture;
}
