// check_session_iframe of OpenID Connect Session Management 1.0. A frame of the application (section 3.1: a sibling of this
// one) or its page asks "client_id session_state"; the answer is "unchanged", "changed" or "error". The browser state never
// leaves this page.
"use strict";

const COOKIE = document.documentElement.dataset.cookie;
const MESSAGE = /^([\x21-\x7e][\x20-\x7e]*) ([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{1,64})$/;

function browserState() {
  const pair = document.cookie.split("; ").find((each) => each.startsWith(`${COOKIE}=`));
  return pair === undefined ? null : pair.slice(COOKIE.length + 1);
}

// Without this, a browser that hides our cookies from other sites' pages would answer "changed" for ever, and the
// application would ask us again for ever (section 4.1 tells it not to after "error").
async function storageIsHidden() {
  if (!navigator.cookieEnabled) return true;
  return "hasStorageAccess" in document && !(await document.hasStorageAccess());
}

async function sha256(text) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

async function answer(data, origin) {
  const parts = typeof data === "string" ? MESSAGE.exec(data) : null;
  if (parts === null || !window.isSecureContext) return "error";
  const [, clientId, hash, salt] = parts;
  const state = browserState();
  if (state === null) return (await storageIsHidden()) ? "error" : "changed";
  return (await sha256(`${clientId} ${origin} ${state} ${salt}`)) === hash ? "unchanged" : "changed";
}

// The origin of the page that frames us. Browsers that do not list ancestors say it as the referrer; it is "" if the page
// hides it from both.
function originOfParent() {
  const listed = window.location.ancestorOrigins?.[0];
  if (listed && listed !== "null") return listed;
  return listed === undefined && URL.canParse(document.referrer) ? new URL(document.referrer).origin : "";
}

// Section 3.3: "the caller has the same origin as its parent frame". A sandboxed one has no origin to answer to.
function mayAsk(event) {
  if (window.parent === window || !event.source || event.origin === "null") return false;
  return event.source === window.parent || event.origin === originOfParent();
}

window.addEventListener("message", async (event) => {
  if (!mayAsk(event)) return;
  const status = await answer(event.data, event.origin).catch(() => "error");
  event.source.postMessage(status, event.origin);
});
