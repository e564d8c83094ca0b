// Tells engine.js that workers start here, and that is all.

postMessage("started");
