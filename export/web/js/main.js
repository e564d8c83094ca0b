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

const BUNDLE = new URL("../bundle/", import.meta.url);
const MIB = 2 ** 20;

const plate = new Plate();

document.documentElement.dataset.started = "";
addEventListener("unhandledrejection", ({ reason }) => giveUp(reason));
tellOffline();
start();

async function start() {
  try {
    const bundle = await openBundle(BUNDLE, { verify: canVerify(), onProgress: tellProgress });
    tellAbout(bundle);
    const recognizer = await loadRecognizer(bundle);
    if (new URLSearchParams(location.search).has("check")) await showCheck(bundle, recognizer);
    else await openApp(bundle, recognizer);
  } catch (error) {
    giveUp(error);
  }
}

/** Without a bundle that can be used there is nothing to do but to say why. */
function giveUp(error) {
  document.documentElement.dataset.mode = "error";
  plate.complain(modelComplaint(error), false);
  byId("retry").onclick = () => location.reload();
}

/** Over plain http, whoever could change the bundle could change this page as well. */
function canVerify() {
  return Boolean(globalThis.crypto?.subtle);
}

function tellProgress({ file, loaded, total }) {
  if (file !== "model.tflite" || document.documentElement.dataset.mode !== "loading") return;
  plate.wait(`Fetching the model, ${(total / MIB).toFixed(1)} MB, once.`, loaded / total);
}

async function openApp(bundle, recognizer) {
  const app = new App(bundle, recognizer, plate);
  const language = languageOf(bundle.languages, kept("language"), navigator.languages);
  offerLanguages(bundle.languages, language, (chosen) => app.chooseLanguage(chosen));
  onCameraChosen((deviceId) => app.chooseCamera(deviceId));
  await app.speak(language);
  listenTo(app);
  await app.openCamera();
}

function listenTo(app) {
  const choose = acceptPhotographs(
    { file: byId("file"), dropzone: byId("dropzone") },
    (blob) => app.lookAtPhotograph(blob),
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
  onClick("torch", ({ currentTarget: button }) => {
    const on = button.getAttribute("aria-pressed") !== "true";
    app.light(on).then(() => button.setAttribute("aria-pressed", on));
  });
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
