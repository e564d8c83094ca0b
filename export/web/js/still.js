// A picture that stands still: a frame as it is, a photograph as large as screens show it.

const LONGEST = 2048; // pixels of a photograph

export class Still {
  #canvas;
  #backdrop;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLCanvasElement} backdrop what is seen beside the picture, a few pixels large
   */
  constructor(canvas, backdrop) {
    this.#canvas = canvas;
    this.#backdrop = backdrop;
  }

  /** What is drawn; of a frame, all its pixels. */
  get picture() {
    return this.#canvas;
  }

  /**
   * @param {HTMLVideoElement|ImageBitmap} source
   * @param {boolean} mirrored whether it is seen as in a mirror; its pixels are not
   */
  draw(source, mirrored) {
    const isFrame = "videoWidth" in source;
    const [width, height] = isFrame
      ? [source.videoWidth, source.videoHeight]
      : [source.width, source.height];
    const scale = isFrame ? 1 : Math.min(1, LONGEST / Math.max(width, height));
    this.#canvas.width = Math.max(1, Math.round(width * scale));
    this.#canvas.height = Math.max(1, Math.round(height * scale));
    const context = this.#canvas.getContext("2d");
    context.fillStyle = "white"; // behind transparent pictures, as the contract asks for
    context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(source, 0, 0, this.#canvas.width, this.#canvas.height);
    this.#canvas.classList.toggle("mirrored", mirrored);
    this.#canvas.classList.toggle("tall", height > width);
    const { width: few } = this.#backdrop;
    this.#backdrop.getContext("2d").drawImage(this.#canvas, 0, 0, few, few);
    this.#canvas.hidden = this.#backdrop.hidden = false;
  }

  hide() {
    this.#canvas.hidden = this.#backdrop.hidden = true;
    this.#canvas.width = this.#canvas.height = 1; // gives the memory back
  }
}
