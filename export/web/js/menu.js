// The settings in the sheet: language of the names, camera, what the model is.

import { byId, make } from "./elements.js";

const NONE = "";

/**
 * @param {string[]} languages of the bundle
 * @param {string} chosen one of them, or "" for scientific names alone
 * @param {(language: string) => void} onChoice
 */
export function offerLanguages(languages, chosen, onChoice) {
  const select = byId("language");
  const options = languages.map((language) => option(language, endonym(language)));
  select.replaceChildren(...options, option(NONE, "Scientific names only"));
  select.value = chosen;
  select.addEventListener("change", () => onChoice(select.value));
}

/** A language's name in that language; its code where the browser does not know it. */
function endonym(language) {
  try {
    const tag = language.replace("_", "-");
    const name = new Intl.DisplayNames([tag], { type: "language" }).of(tag);
    return name.charAt(0).toLocaleUpperCase(tag) + name.slice(1);
  } catch {
    return language;
  }
}

/**
 * List the cameras where there are several and the browser tells what they are called.
 *
 * @param {MediaDeviceInfo[]} cameras
 * @param {string} current its device id
 */
export function listCameras(cameras, current) {
  const select = byId("camera");
  const named = cameras.filter((camera) => camera.label);
  select.parentElement.hidden = named.length < 2;
  select.replaceChildren(...named.map((camera) => option(camera.deviceId, camera.label)));
  select.value = current;
}

/** @param {(deviceId: string) => void} onChoice */
export function onCameraChosen(onChoice) {
  const select = byId("camera");
  select.addEventListener("change", () => onChoice(select.value));
}

/** @param {import("./bundle.js").Bundle} bundle */
export function tellAbout(bundle) {
  const { version, quantization } = bundle.manifest;
  const count = new Intl.NumberFormat("en").format(bundle.classes.length);
  const facts = [`knows ${count} taxa`, version && `version ${version}`, quantization];
  byId("about").replaceChildren(
    make("b", "", bundle.name),
    ` ${facts.filter(Boolean).join(", ")}.`,
  );
}

function option(value, text) {
  const made = make("option", "", text);
  made.value = value;
  return made;
}
