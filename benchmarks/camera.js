// The loop of the camera page over photographs that lie in memory, timed; camera.py drives it.

import { decide } from "./js/answer.js";
import { openBundle } from "./js/bundle.js";
import { photographOf, pixelsOf } from "./js/preprocess.js";
import { loadRecognizer } from "./js/recognizer.js";
import { RollUp } from "./js/rollup.js";
import { NOT_SURE, verdictOf } from "./js/shown.js";
import { Smoother } from "./js/smoothing.js";
import { Steady } from "./js/steady.js";

const HALF_LIFE = 4; // as in app.js

const bundle = await openBundle("bundle/");
const recognizer = await loadRecognizer(bundle);
const rollUp = new RollUp(bundle.taxonomy);
const smoother = new Smoother({ halfLife: HALF_LIFE });
const steady = new Steady(NOT_SURE);
const photographs = [];

/** One frame as `App` looks at it; answers what `note` makes of the times between its parts. */
async function look(photograph, note) {
  const begun = performance.now();
  const pixels = pixelsOf(photograph, bundle.size, bundle.cropRatio);
  const made = performance.now();
  const probabilities = await recognizer.score(pixels);
  const scored = performance.now();
  const smoothed = smoother.add(probabilities);
  steady.add(verdictOf(bundle, decide(bundle, rollUp, smoothed)));
  note?.(made - begun, scored - made, performance.now() - scored);
}

/** Let the browser do its own work, as it does between the frames of a camera. */
function pause() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

globalThis.bench = {
  /** Fetch and decode the photographs. */
  async load(addresses) {
    for (const address of addresses) {
      photographs.push(await photographOf(await (await fetch(address)).blob()));
    }
  },

  /** The probabilities of each photograph. */
  async scores() {
    const all = [];
    for (const photograph of photographs) {
      const pixels = pixelsOf(photograph, bundle.size, bundle.cropRatio);
      all.push(Array.from(await recognizer.score(pixels)));
    }
    return all;
  },

  /** Look at each photograph once; milliseconds of pixels, model and decision of each. */
  async time() {
    const parts = [];
    for (const photograph of photographs) {
      await look(photograph, (...times) => parts.push(times));
      await pause();
    }
    return parts;
  },

  /** Look at so many more frames. */
  async advance(frames) {
    for (let frame = 0; frame < frames; frame++) {
      await look(photographs[frame % photographs.length]);
      await pause();
    }
  },
};
