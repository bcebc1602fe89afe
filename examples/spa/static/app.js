"use strict";
// A public client in a browser: authorization code with PKCE, tokens in memory only, renewal in a hidden frame
// (prompt=none, response_mode=web_message). When the session at the identity provider ends, the access token is dead at
// once and no frame gets a new one.
(() => {
  const PENDING = "spa-pending"; // sessionStorage: verifier, state and nonce of a sign-in that is under way
  const SECONDS = 10; // that a silent frame may take
  const HOME = `${location.origin}/`;
  const element = (id) => document.getElementById(id);
  let settings; // issuer, client_id
  let tokens = null; // access_token, id_token

  // --- the protocol ---
  const base64url = (bytes) =>
    btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

  async function authorizationRequest(extra) {
    const pending = { state: random(), nonce: random(), verifier: random() };
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pending.verifier));
    const url = new URL("authorize", settings.issuer);
    url.search = new URLSearchParams({
      client_id: settings.client_id,
      redirect_uri: HOME,
      response_type: "code",
      scope: "openid profile email",
      state: pending.state,
      nonce: pending.nonce,
      code_challenge: base64url(hash),
      code_challenge_method: "S256",
      ...extra,
    });
    return { url, pending };
  }

  // The answer to an authorization request, by whatever way it came: checked, and its code exchanged.
  async function accept(answer, pending) {
    if (!pending || answer.state !== pending.state || answer.iss !== settings.issuer) throw new Error("not our request");
    if (answer.error) throw Object.assign(new Error(answer.error_description), { code: answer.error });
    const response = await fetch(new URL("oauth/token", settings.issuer), {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        client_id: settings.client_id,
        redirect_uri: HOME,
        code: answer.code,
        code_verifier: pending.verifier,
      }),
    });
    const body = await response.json();
    if (!response.ok) throw Object.assign(new Error(body.error_description), { code: body.error });
    // It came straight from the token endpoint, so the connection vouches for it (OpenID Connect Core 3.1.3.7).
    if (claims(body.id_token).nonce !== pending.nonce) throw new Error("the ID token is of another request");
    tokens = body;
  }

  function claims(idToken) {
    const bytes = atob(idToken.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (letter) => letter.charCodeAt(0))));
  }

  async function silently() {
    const { url, pending } = await authorizationRequest({ prompt: "none", response_mode: "web_message" });
    const frame = document.createElement("iframe");
    frame.hidden = true;
    const answer = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("no answer")), SECONDS * 1000);
      addEventListener("message", function listen(event) {
        if (event.origin !== url.origin || event.source !== frame.contentWindow) return;
        if (event.data?.type !== "authorization_response") return;
        removeEventListener("message", listen);
        clearTimeout(timer);
        resolve(event.data.response);
      });
    });
    frame.src = url;
    document.body.append(frame);
    try {
      await accept(await answer, pending);
    } finally {
      frame.remove();
    }
  }

  // --- what the buttons do ---
  async function signIn() {
    const { url, pending } = await authorizationRequest({});
    sessionStorage.setItem(PENDING, JSON.stringify(pending));
    location.assign(url);
  }

  async function callApi() {
    const response = await fetch(new URL("userinfo", settings.issuer), {
      headers: { Authorization: `Bearer ${tokens.access_token}` },
    });
    if (response.status === 401) return signedOut("Your session has ended: you were signed out.");
    element("answer").textContent = `The API says: ${(await response.json()).email}`;
  }

  async function renew() {
    try {
      await silently();
      show("Token renewed.");
    } catch (error) {
      if (error.code !== "login_required") throw error;
      signedOut("Your session has ended: you were signed out.");
    }
  }

  function signOut() {
    tokens = null;
    const url = new URL("v2/logout", settings.issuer);
    url.search = new URLSearchParams({ client_id: settings.client_id, returnTo: HOME });
    location.assign(url);
  }

  function signedOut(why) {
    tokens = null;
    show(why);
  }

  function show(answer = "") {
    const person = tokens && claims(tokens.id_token);
    element("status").textContent = person ? `Signed in as ${person.email}` : "You are not signed in.";
    element("sign-in").hidden = Boolean(person);
    for (const id of ["call", "renew", "sign-out"]) element(id).hidden = !person;
    element("answer").textContent = answer;
  }

  function trouble(error) {
    element("answer").textContent = `That did not work: ${error.message}`;
  }

  async function start() {
    settings = await (await fetch("/settings.json")).json();
    const answer = Object.fromEntries(new URLSearchParams(location.search));
    if (answer.state) {
      const pending = JSON.parse(sessionStorage.getItem(PENDING));
      sessionStorage.removeItem(PENDING);
      history.replaceState(null, "", "/"); // the code leaves the address
      await accept(answer, pending);
    } else {
      await silently().catch((error) => {
        if (error.code !== "login_required") throw error; // nobody is signed in: not a trouble
      });
    }
  }

  for (const [id, act] of Object.entries({ "sign-in": signIn, call: callApi, renew, "sign-out": signOut })) {
    element(id).addEventListener("click", () => Promise.resolve(act()).catch(trouble));
  }
  start().then(() => show(), (error) => { show(); trouble(error); });
})();
