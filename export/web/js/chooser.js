// Photographs from elsewhere: chosen, dropped or pasted.

/**
 * @param {{file: HTMLInputElement, dropzone: HTMLElement}} elements
 * @param {(blob: Blob) => void} onPhotograph
 * @returns {() => void} opens the browser's own chooser
 */
export function acceptPhotographs({ file, dropzone }, onPhotograph) {
  file.addEventListener("change", () => {
    const [chosen] = file.files;
    file.value = ""; // so that the same one can be chosen again
    if (chosen) onPhotograph(chosen);
  });
  acceptDrops(dropzone, onPhotograph);
  document.addEventListener("paste", (event) => {
    const [pasted] = event.clipboardData?.files ?? [];
    if (pasted) onPhotograph(pasted);
  });
  return () => file.click();
}

function acceptDrops(dropzone, onPhotograph) {
  let depth = 0; // each element on the way tells of its own enter and leave
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    dropzone.classList.toggle("open", depth > 0);
  };
  addEventListener("dragenter", (event) => (event.preventDefault(), mark(1)));
  addEventListener("dragleave", () => mark(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault(); // else the browser would leave this page for the picture
    mark(-depth);
    const [dropped] = event.dataTransfer?.files ?? [];
    if (dropped) onPhotograph(dropped);
  });
}
