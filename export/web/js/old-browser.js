// Read before all else, as a plain script in the JavaScript of 2009, so that a browser that cannot
// run the camera says so in a sentence instead of showing an empty page.
(function () {
  "use strict";

  function sentence() {
    if (typeof WebAssembly !== "object") {
      return "WebAssembly is missing or switched off, as some phones do in their lockdown mode; the model needs it. Allow it for this page, or try another browser.";
    }
    if (!hasAll()) {
      return "Any browser of the last three years will do: please update it, or try another one.";
    }
    return "";
  }

  // What the modules use without asking and came last: canvases without a page, arrays' findLast.
  function hasAll() {
    return (
      "noModule" in document.createElement("script") &&
      window.createImageBitmap &&
      window.OffscreenCanvas &&
      Array.prototype.findLast
    );
  }

  function say(text) {
    document.documentElement.setAttribute("data-mode", "error");
    document.documentElement.setAttribute("data-error", "old-browser");
    document.getElementById("name").textContent = "This browser cannot run it";
    document.getElementById("hint").textContent = text;
  }

  // A browser with modules may still stumble over newer syntax: then main.js never starts.
  window.addEventListener("error", function (event) {
    var started = document.documentElement.hasAttribute("data-started");
    if (!started && event instanceof ErrorEvent && event.error instanceof SyntaxError) {
      say("It does not understand the program of this page: please update it, or try another one.");
    }
  });

  var text = sentence();
  if (text) {
    document.documentElement.setAttribute("data-error", "old-browser"); // main.js looks for it
    document.addEventListener("DOMContentLoaded", function () {
      say(text);
    });
  }
})();
