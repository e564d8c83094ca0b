// One frame after the other: the next is asked for when the last one is done, so that a slow
// device skips frames and never queues them.

/** Calls a function with each new frame of a video. */
export class FrameLoop {
  #video;
  #onFrame;
  #running = false;
  #waiting = false;

  /**
   * @param {HTMLVideoElement} video
   * @param {() => Promise<void>} onFrame
   */
  constructor(video, onFrame) {
    this.#video = video;
    this.#onFrame = onFrame;
  }

  start() {
    this.#running = true;
    this.#ask();
  }

  stop() {
    this.#running = false;
  }

  #ask() {
    if (!this.#running || this.#waiting) return;
    this.#waiting = true;
    if (this.#video.requestVideoFrameCallback) this.#video.requestVideoFrameCallback(this.#take);
    else requestAnimationFrame(this.#take);
  }

  #take = async () => {
    try {
      if (this.#running && this.#video.videoWidth && !document.hidden) await this.#onFrame();
    } catch (error) {
      this.stop(); // else it would fail again thirty times a second
      throw error;
    } finally {
      this.#waiting = false;
      this.#ask();
    }
  };
}
