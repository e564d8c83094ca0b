// Tells, in passing, whether the page works without a network, and when a newer one is here.

import { byId } from "./elements.js";
import { notice } from "./notices.js";
import { keepOffline } from "./offline.js";
import { keep, kept } from "./settings.js";

export function tellOffline() {
  const status = byId("offline");
  keepOffline({
    onReady() {
      status.textContent = "It works without a network too.";
      if (!kept("offline")) notice("Ready for use without a network");
      keep("offline", "ready"); // news only once
    },
    onUpdate(apply) {
      notice("A newer version is here", { label: "Use it", onClick: apply });
    },
    onFailure(error) {
      status.textContent = reason(error);
      if (error.name === "SecurityError") notice(status.textContent);
    },
  });
}

/** Browsers refuse a service worker with a SecurityError where they do not trust the certificate. */
function reason(error) {
  if (error.name === "SecurityError" || !isSecureContext) {
    return "Use without a network needs a trusted certificate; the one of this address is not.";
  }
  return `It needs a network here: ${error.message}.`;
}
