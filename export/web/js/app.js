// The camera as a whole: which mode it is in, and what follows from what a person does.
//
// loading    the model is fetched, or the person is being asked for the camera
// live       the camera's pictures, one after the other
// frozen     one of them, standing still
// photograph one from elsewhere; it can be looked at from all other modes, and leads back there
// error      there is no camera

import { decide, suggestions } from "./answer.js";
import { cameraComplaint, photographComplaint } from "./complaints.js";
import { byId } from "./elements.js";
import { FrameLoop } from "./loop.js";
import { listCameras } from "./menu.js";
import { Announcer, notice } from "./notices.js";
import { photographOf, pixelsOf } from "./preprocess.js";
import { RollUp } from "./rollup.js";
import { keep } from "./settings.js";
import { Sheet } from "./sheet.js";
import { dotsOf, NOT_SURE, shownOf, verdictOf } from "./shown.js";
import { Smoother } from "./smoothing.js";
import { Steady } from "./steady.js";
import { Still } from "./still.js";

const GUESSES = 10;
const HALF_LIFE = 4; // frames: an eighth of a second at thirty a second

export class App {
  #bundle;
  #recognizer;
  #rollUp;
  #dots;
  #language = "";
  #names = new Map();

  #mode = "loading";
  #complaint = null; // why there is no camera
  #verdict = NOT_SURE; // what is shown
  #answer = null; // of the picture that stands still

  #viewfinder;
  #still = new Still(byId("still"), byId("backdrop"));
  #plate;
  #sheet = new Sheet();
  #announcer = new Announcer();
  #smoother = new Smoother({ halfLife: HALF_LIFE });
  #steady = new Steady(NOT_SURE);
  #loop = new FrameLoop(byId("video"), () => this.#lookAtFrame());
  /** @type {Promise<unknown>} */
  #turn = Promise.resolve(); // the recogniser takes one picture at a time
  #openings = 0; // cameras that are being asked for
  #given = 0; // photographs
  #looks = 0; // counts, so that an answer that comes too late is known

  /**
   * @param {import("./bundle.js").Bundle} bundle
   * @param {import("./recognizer.js").Recognizer} recognizer
   * @param {import("./plate.js").Plate} plate
   * @param {import("./viewfinder.js").Viewfinder} viewfinder
   */
  constructor(bundle, recognizer, plate, viewfinder) {
    this.#bundle = bundle;
    this.#recognizer = recognizer;
    this.#rollUp = new RollUp(bundle.taxonomy);
    this.#dots = dotsOf(bundle.taxonomy);
    this.#plate = plate;
    this.#viewfinder = viewfinder;
    this.#plate.setDots(this.#dots);
    byId("reticle").style.setProperty("--crop", String(bundle.cropRatio));
    this.#sheet.onBack = () => this.lookAround();
    viewfinder.onLost = () => this.#mode === "live" && this.lookAround();
  }

  /** live, frozen, photograph, error or loading */
  get mode() {
    return this.#mode;
  }

  get sheetOpen() {
    return this.#sheet.open;
  }

  /** @param {string} language of the common names; "" for scientific names alone */
  async speak(language) {
    this.#names = await this.#bundle.names(language);
    this.#language = language;
    if (this.#mode !== "loading" && this.#mode !== "error") this.#show(this.#verdict);
    if (this.#answer) this.#fillSheet();
  }

  /**
   * @param {string} language chosen by the person
   * @returns {Promise<string>} the language that the names are in from now on
   */
  async chooseLanguage(language) {
    try {
      await this.speak(language);
      keep("language", language);
    } catch (error) {
      notice(error.message); // its names are damaged or out of reach: the others still do
    }
    return this.#language;
  }

  /**
   * Open a camera and look through it.
   *
   * @param {(viewfinder: import("./viewfinder.js").Viewfinder) => Promise<void>} [opening]
   */
  async openCamera(opening = (viewfinder) => viewfinder.open()) {
    this.#complaint = null;
    this.#openings += 1;
    if (this.#mode === "loading") this.lookAround();
    try {
      await opening(this.#viewfinder);
      if (this.#mode !== "photograph") this.lookAround();
      const cameras = await this.#viewfinder.cameras();
      listCameras(cameras, this.#viewfinder.device);
      byId("switch").disabled = cameras.length < 2;
    } catch (error) {
      this.#complaint = cameraComplaint(error);
      if (this.#mode !== "photograph") this.lookAround();
    } finally {
      this.#openings -= 1;
    }
    byId("torch").disabled = !this.#viewfinder.hasTorch;
    byId("torch").setAttribute("aria-pressed", "false");
  }

  switchCamera() {
    return this.openCamera((viewfinder) => viewfinder.next());
  }

  /** @param {string} deviceId */
  chooseCamera(deviceId) {
    return this.openCamera((viewfinder) => viewfinder.open({ deviceId: { exact: deviceId } }));
  }

  /** Turn the camera's light on or off. */
  async toggleLight() {
    const on = byId("torch").getAttribute("aria-pressed") !== "true";
    try {
      await this.#viewfinder.light(on);
      byId("torch").setAttribute("aria-pressed", on);
    } catch {
      notice("The light cannot be used now");
    }
  }

  /** Back to the live picture, or to what is said where there is none. */
  lookAround() {
    this.#looks += 1;
    this.#answer = null;
    this.#sheet.hide();
    this.#still.hide();
    if (this.#complaint) {
      this.#enter("error");
      this.#plate.complain(this.#complaint, true);
      return;
    }
    if (!this.#viewfinder.running) {
      this.#enter("loading");
      this.#plate.wait("Allow the camera, or choose a photograph.");
      if (!this.#openings) this.openCamera(); // it was taken away
      return;
    }
    this.#smoother.reset();
    this.#steady.reset(NOT_SURE);
    this.#enter("live");
    this.#show(NOT_SURE);
    this.#loop.start();
  }

  /** Keep the picture of this moment and say all that is known of it. */
  async freeze() {
    if (this.#mode !== "live" || !byId("video").videoWidth) return;
    this.#still.draw(byId("video"), byId("video").classList.contains("mirrored"));
    await this.#study("frozen", this.#still.picture);
  }

  /** @param {Blob} blob a photograph chosen, dropped or pasted */
  async lookAtPhotograph(blob) {
    const given = ++this.#given;
    let photograph;
    try {
      photograph = await photographOf(blob);
      if (given !== this.#given) return; // another was given while it was decoded
      this.#plate.wait("Looking at the photograph.");
      this.#still.draw(photograph, false);
      await this.#study("photograph", photograph);
    } catch (error) {
      if (given !== this.#given) return;
      notice(photographComplaint(error));
      if (this.#mode === "photograph" && !this.#answer) this.lookAround();
    } finally {
      photograph?.close();
    }
  }

  /** Pause while nobody sees the page; a camera that a phone took away is opened again. */
  onVisibility(hidden) {
    if (hidden) this.#loop.stop();
    else if (this.#mode === "live" && !this.#viewfinder.running) this.lookAround();
    else if (this.#mode === "live") this.#loop.start();
  }

  toggleMenu() {
    if (this.#mode === "frozen" || this.#mode === "photograph") byId("menu").scrollIntoView();
    else if (this.#sheet.open) this.#sheet.hide();
    else this.#sheet.show(false);
  }

  async #study(mode, picture) {
    this.#loop.stop();
    this.#answer = null;
    this.#enter(mode);
    const look = ++this.#looks;
    const probabilities = await this.#probabilitiesOf(picture);
    if (look !== this.#looks) return; // closed in the meantime, or there is another
    const decision = decide(this.#bundle, this.#rollUp, probabilities);
    const verdict = verdictOf(this.#bundle, decision);
    this.#answer = {
      decision,
      verdict,
      guesses: suggestions(this.#bundle, probabilities, GUESSES),
    };
    this.#fillSheet();
    this.#sheet.show(true);
    this.#show(verdict);
    byId("name").focus({ preventScroll: true });
  }

  async #lookAtFrame() {
    const probabilities = await this.#probabilitiesOf(byId("video"));
    if (this.#mode !== "live") return;
    const smoothed = this.#smoother.add(probabilities);
    const decision = decide(this.#bundle, this.#rollUp, smoothed);
    const verdict = this.#steady.add(verdictOf(this.#bundle, decision));
    if (verdict !== this.#verdict) this.#show(verdict);
  }

  #probabilitiesOf(picture) {
    const { size, cropRatio } = this.#bundle;
    const scored = this.#turn.then(() =>
      this.#recognizer.score(pixelsOf(picture, size, cropRatio)),
    );
    this.#turn = scored.catch(() => {}); // whoever asked hears of it
    return scored;
  }

  #enter(mode) {
    this.#mode = mode;
    document.documentElement.dataset.mode = mode;
    if (mode !== "error") delete document.documentElement.dataset.error;
    const shutter = byId("shutter");
    shutter.disabled = mode === "error" || mode === "loading";
    shutter.setAttribute("aria-label", mode === "live" ? "Freeze" : "Back to the camera");
  }

  #show(verdict) {
    this.#verdict = verdict;
    const live = this.#mode === "live";
    const shown = shownOf(verdict, this.#bundle.taxonomy, this.#dots, this.#names, live);
    this.#plate.show(shown, this.#language);
    this.#announcer.say(shown.spoken);
  }

  #fillSheet() {
    this.#sheet.fill(this.#answer, this.#bundle.taxonomy, this.#names, this.#language);
  }
}
