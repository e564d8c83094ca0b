// Starts the page: the bundle, the recogniser, the camera, and the hands of the person.

import { App } from "./app.js";
import { openBundle } from "./bundle.js";
import { showCheck } from "./check-page.js";
import { acceptPhotographs } from "./chooser.js";
import { modelComplaint } from "./complaints.js";
import { byId } from "./elements.js";
import { offerLanguages, onCameraChosen, tellAbout } from "./menu.js";
import { tellOffline } from "./offline-news.js";
import { Plate } from "./plate.js";
import { loadRecognizer } from "./recognizer.js";
import { kept, languageOf } from "./settings.js";
import { Viewfinder } from "./viewfinder.js";

const BUNDLE = new URL("../bundle/", import.meta.url);
const MEGABYTE = 1e6;

const plate = new Plate();
const viewfinder = new Viewfinder(byId("video"));

document.documentElement.dataset.started = "";
if (document.documentElement.dataset.error !== "old-browser") {
  addEventListener("unhandledrejection", ({ reason }) => giveUp(reason));
  tellOffline();
  start();
}

async function start() {
  const checking = new URLSearchParams(location.search).has("check");
  // Asked for at once: the person answers while the model is fetched.
  const opening = checking ? null : viewfinder.open();
  opening?.catch(() => {}); // told of later
  try {
    const bundle = await openBundle(BUNDLE, { verify: canVerify(), onProgress: tellProgress });
    tellAbout(bundle);
    const recognizer = await loadRecognizer(bundle);
    if (checking) await showCheck(bundle, recognizer);
    else await openApp(bundle, recognizer, opening);
  } catch (error) {
    giveUp(error);
  }
}

/** Without a bundle that can be used there is nothing to do but to say why. */
function giveUp(error) {
  viewfinder.close();
  document.documentElement.dataset.mode = "error";
  for (const button of byId("controls").children) button.disabled = true;
  plate.complain(modelComplaint(error), false);
  byId("retry").onclick = () => location.reload();
}

/** Over plain http, whoever could change the bundle could change this page as well. */
function canVerify() {
  return Boolean(globalThis.crypto?.subtle);
}

function tellProgress({ file, loaded, total }) {
  if (file !== "model.tflite" || document.documentElement.dataset.mode !== "loading") return;
  plate.wait(`Fetching the model, ${(total / MEGABYTE).toFixed(1)} MB, once.`, loaded / total);
}

async function openApp(bundle, recognizer, opening) {
  const app = new App(bundle, recognizer, plate, viewfinder);
  const language = languageOf(bundle.languages, kept("language"), navigator.languages);
  offerLanguages(bundle.languages, language, async (chosen) => {
    byId("language").value = await app.chooseLanguage(chosen);
  });
  onCameraChosen((deviceId) => app.chooseCamera(deviceId));
  await app.speak(language);
  listenTo(app);
  await app.openCamera(() => opening);
}

function listenTo(app) {
  const choose = acceptPhotographs({ file: byId("file"), dropzone: byId("dropzone") }, (blob) =>
    app.lookAtPhotograph(blob),
  );
  const freezeOrReturn = () => (app.mode === "live" ? app.freeze() : app.lookAround());
  const onClick = (id, action) => byId(id).addEventListener("click", action);
  onClick("shutter", freezeOrReturn);
  onClick("viewfinder", () => app.mode !== "error" && freezeOrReturn());
  onClick("choose", choose);
  onClick("choose-instead", choose);
  onClick("retry", () => app.openCamera());
  onClick("switch", () => app.switchCamera());
  onClick("open-menu", () => app.toggleMenu());
  onClick("torch", () => app.toggleLight());
  byId("choose").disabled = byId("open-menu").disabled = false;
  document.addEventListener("visibilitychange", () => app.onVisibility(document.hidden));
  document.addEventListener("keydown", (event) => onKey(event, app));
}

/** Space and Enter press the shutter wherever no control has the focus; Escape closes. */
function onKey(event, app) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const free = !event.target.closest?.("button, select, a, input, #sheet");
  if (event.key === "Escape" && (app.mode !== "live" || app.sheetOpen)) {
    app.lookAround();
    byId("shutter").focus();
  } else if (free && (event.key === " " || event.key === "Enter")) {
    event.preventDefault();
    byId("shutter").click();
  }
}
