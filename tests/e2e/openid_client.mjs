// Plays a web application with the unmodified openid-client against Curfew: login, userinfo, refresh, logout.
// The person's browser is a few lines of fetch with a cookie jar. Prints one JSON object.
import * as client from "openid-client";

const { ISSUER, CLIENT_ID, CLIENT_SECRET, CALLBACK, AFTER, USERNAME, PASSWORD } = process.env;

class Browser {
  jar = new Map();

  async request(url, options = {}) {
    const cookie = [...this.jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { accept: "text/html", ...options.headers, ...(cookie && { cookie }) };
    const response = await fetch(url, { ...options, headers, redirect: "manual" });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      if (value && !/max-age=0/i.test(line)) this.jar.set(name, value);
      else this.jar.delete(name);
    }
    return response;
  }

  // Follows redirects until one leads to `end`; returns that URL, or the last page.
  async walk(url, end, options) {
    let response = await this.request(url, options);
    let at = new URL(url);
    for (let hops = 0; hops < 10; hops++) {
      const location = response.headers.get("location");
      if (!location) return { at, text: await response.text(), status: response.status };
      at = new URL(location, at);
      if (at.href.startsWith(end)) return { at, arrived: true };
      response = await this.request(at);
    }
    throw new Error("too many redirects");
  }
}

const field = (html, name) => html.match(new RegExp(`name="${name}" value="([^"]*)"`))?.[1].replaceAll("&amp;", "&");

const config = await client.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET, undefined, {
  execute: [client.allowInsecureRequests],
});
const browser = new Browser();

async function authorize(extra = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const nonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    scope: "openid profile email",
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
    ...extra,
  });
  return { url, checks: { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce } };
}

// --- login ---
const { url, checks } = await authorize();
const login = await browser.walk(url, CALLBACK);
const body = new URLSearchParams({
  csrfmiddlewaretoken: field(login.text, "csrfmiddlewaretoken"),
  next: field(login.text, "next"),
  username: USERNAME,
  password: PASSWORD,
});
const callback = await browser.walk(login.at, CALLBACK, {
  method: "POST",
  body,
  headers: { origin: new URL(ISSUER).origin, referer: login.at.href },
});
const tokens = await client.authorizationCodeGrant(config, callback.at, checks);
const claims = tokens.claims();
const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);

// --- refresh, and a second application's worth of silent sign-in ---
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token);
const silent = await authorize({ prompt: "none" });
const again = await browser.walk(silent.url, CALLBACK);
const second = await client.authorizationCodeGrant(config, again.at, silent.checks);

// --- logout ---
const out = client.buildEndSessionUrl(config, {
  id_token_hint: refreshed.id_token ?? tokens.id_token,
  post_logout_redirect_uri: AFTER,
  state: "the-state",
});
const gone = await fetch(out, {
  redirect: "manual",
  headers: { cookie: [...browser.jar].map((pair) => pair.join("=")).join("; ") },
});
const afterwards = await authorize({ prompt: "none" });
const refused = await browser.walk(afterwards.url, CALLBACK);
let refreshAfterLogout = "accepted";
try {
  await client.refreshTokenGrant(config, refreshed.refresh_token);
} catch (error) {
  refreshAfterLogout = error.error;
}
console.log(
  JSON.stringify({
    sub: claims.sub,
    email: userinfo.email,
    sid: claims.sid,
    sidAfterRefresh: refreshed.claims()?.sid,
    sidOfSecond: second.claims().sid,
    logoutStatus: gone.status,
    logoutLocation: gone.headers.get("location"),
    promptNone: refused.at.searchParams.get("error"),
    refreshAfterLogout,
  }),
);
