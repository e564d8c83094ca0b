// Read before all else, as a plain script in the JavaScript of 2009, so that a browser that cannot
// run the camera says so in a sentence instead of showing an empty page.
(function () {
  "use strict";

  function sentence() {
    if (!("noModule" in document.createElement("script"))) {
      return "This browser is too old for the camera. Any browser of the last three years will do: please update it, or try another one.";
    }
    if (typeof WebAssembly !== "object" || typeof createImageBitmap !== "function") {
      return "This browser cannot run the recogniser, because WebAssembly is missing or switched off (some phones do so in their lockdown mode). Please try another browser.";
    }
    return "";
  }

  function say(text) {
    document.documentElement.setAttribute("data-mode", "error");
    document.documentElement.setAttribute("data-error", "old-browser");
    document.getElementById("name").textContent = "This browser is too old";
    document.getElementById("hint").textContent = text;
  }

  // A browser with modules may still stumble over newer syntax: then main.js never starts.
  window.addEventListener("error", function (event) {
    var started = document.documentElement.hasAttribute("data-started");
    if (!started && event instanceof ErrorEvent && event.error instanceof SyntaxError) {
      say("This browser does not understand the camera's program. Please update it, or try another one.");
    }
  });

  var text = sentence();
  if (text) {
    document.addEventListener("DOMContentLoaded", function () {
      say(text);
    });
  }
})();
