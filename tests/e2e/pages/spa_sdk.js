// A page that signs people in by the unmodified auth0-spa-js; tests drive it as `sdk`. Settings are in the fragment of
// the first visit: issuer, and whether to use refresh tokens.
"use strict";
const given = new URLSearchParams(location.hash.slice(1));
for (const [name, value] of given) sessionStorage.setItem(name, value);
const status = (text) => { document.getElementById("status").textContent = text; };

const ready = auth0
  .createAuth0Client({
    domain: sessionStorage.getItem("issuer").replace(/\/$/, ""),
    clientId: "auth0-spa-js",
    useRefreshTokens: sessionStorage.getItem("refresh") === "yes",
    cacheLocation: sessionStorage.getItem("cache") ?? "memory",
    authorizationParams: { redirect_uri: `${location.origin}/`, scope: "openid profile email" },
  })
  .then(async (client) => {
    window.sdk = client;
    if (/[?&]state=/.test(location.search)) {
      await client.handleRedirectCallback();
      history.replaceState(null, "", "/");
    }
    const user = await client.getUser();
    status(user ? `signed in as ${user.email}` : "signed out");
  })
  .catch((error) => status(`failed: ${error.error ?? error}: ${error.message}`));

// What a call of the SDK came to, once there is one, as data: tests cannot see its errors otherwise.
window.outcome = (act) => ready.then(act).then((value) => ({ value: value ?? null }), (error) => ({ error: error.error, message: error.message }));
