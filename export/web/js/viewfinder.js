// The camera: opening, switching and closing it, and the picture it stands still at.

import { Insecure } from "./complaints.js";

// As the sensor gives it: browsers would cut the picture to get the size exactly.
const SIZE = { width: { ideal: 1280 }, height: { ideal: 720 }, resizeMode: "none" };
const OPPOSITE = { environment: "user", user: "environment" };

/** A video element that shows a camera. */
export class Viewfinder {
  #video;
  #stream = null;
  #asked = 0;

  /** Called when the camera is pulled out, or taken by the phone. */
  onLost = () => {};

  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.#video = video;
  }

  /** Whether pictures are coming. */
  get running() {
    return this.#track?.readyState === "live";
  }

  get #track() {
    return this.#stream?.getVideoTracks()[0];
  }

  /** The device that is open, or "" */
  get device() {
    return this.#track?.getSettings().deviceId ?? "";
  }

  /**
   * Open a camera: the one asked for, else the one on the back of a phone.
   *
   * Once another is asked for, or none any more, what becomes of this one is no news.
   *
   * @param {MediaTrackConstraints} [which]
   * @throws {DOMException|Insecure} why there is none
   */
  async open(which = { facingMode: { ideal: "environment" } }) {
    if (!navigator.mediaDevices?.getUserMedia) throw new Insecure();
    this.close(); // many phones give the second camera only after the first is free
    const asked = this.#asked;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { ...SIZE, ...which },
      });
      if (asked === this.#asked) await this.#show(stream);
      else stop(stream);
    } catch (error) {
      if (asked === this.#asked) throw error;
    }
  }

  async #show(stream) {
    this.#stream = stream;
    this.#track.onended = () => this.onLost();
    this.#video.srcObject = stream;
    const { facingMode } = this.#track.getSettings();
    this.#video.classList.toggle("mirrored", facingMode === "user");
    this.#video.classList.add("open");
    await this.#video.play();
  }

  /** Let go of the camera, also of one that is being asked for. */
  close() {
    this.#asked += 1;
    if (this.#stream) stop(this.#stream);
    this.#stream = null;
    this.#video.srcObject = null;
    this.#video.classList.remove("open");
  }

  /** @returns {Promise<MediaDeviceInfo[]>} all cameras; their labels are known once one was allowed */
  async cameras() {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return devices.filter((device) => device.kind === "videoinput");
  }

  /** Turn to the other side of a phone; where there are no sides, to the next camera. */
  async next() {
    const facing = OPPOSITE[this.#track?.getSettings().facingMode];
    if (facing) return this.open({ facingMode: { ideal: facing } });
    const cameras = await this.cameras();
    const at = cameras.findIndex((camera) => camera.deviceId === this.device);
    const next = cameras[(at + 1) % cameras.length];
    return this.open(next && { deviceId: { exact: next.deviceId } });
  }

  /** Whether the camera has a light. */
  get hasTorch() {
    return Boolean(this.#track?.getCapabilities?.().torch);
  }

  /** @param {boolean} on */
  async light(on) {
    await this.#track?.applyConstraints({ advanced: [{ torch: on }] });
  }
}

function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}
