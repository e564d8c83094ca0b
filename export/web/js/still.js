// A picture that stands still, as large as screens show it.

const LONGEST = 2048; // pixels

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

  /** What is drawn, as pixels to be looked at. */
  get picture() {
    return this.#canvas;
  }

  /**
   * @param {HTMLVideoElement|ImageBitmap} source
   * @param {boolean} mirrored whether it is seen as in a mirror; its pixels are not
   */
  draw(source, mirrored) {
    const width = source.videoWidth ?? source.width;
    const height = source.videoHeight ?? source.height;
    const scale = Math.min(1, LONGEST / Math.max(width, height));
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
