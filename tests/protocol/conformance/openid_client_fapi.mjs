// Plays a client of FAPI 2.0 with the unmodified openid-client: private_key_jwt, a pushed request, tokens bound by DPoP.
// The person's browser is a few lines of fetch with a cookie jar. Prints one JSON object.
import * as client from "openid-client";

const { ISSUER, CLIENT_ID, PRIVATE_JWK, CALLBACK, USERNAME, PASSWORD } = process.env;
const jar = new Map();

async function request(url, options = {}) {
  const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
  const headers = { accept: "text/html", ...options.headers, ...(cookie && { cookie }) };
  const response = await fetch(url, { ...options, headers, redirect: "manual" });
  for (const line of response.headers.getSetCookie()) {
    const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
    if (value && !/max-age=0/i.test(line)) jar.set(name, value);
    else jar.delete(name);
  }
  return response;
}

// Follows redirects until one leads to the application; returns that address, or the last page.
async function walk(url, options) {
  let response = await request(url, options);
  let at = new URL(url);
  for (let hops = 0; hops < 10; hops++) {
    const location = response.headers.get("location");
    if (!location) return { at, text: await response.text() };
    at = new URL(location, at);
    if (at.href.startsWith(CALLBACK)) return { at };
    response = await request(at);
  }
  throw new Error("too many redirects");
}

const field = (html, name) => html.match(new RegExp(`name="${name}" value="([^"]*)"`))?.[1].replaceAll("&amp;", "&");

const jwk = JSON.parse(PRIVATE_JWK);
const key = await crypto.subtle.importKey("jwk", jwk, { name: "RSA-PSS", hash: "SHA-256" }, false, ["sign"]);
const authentication = client.PrivateKeyJwt({ key, kid: jwk.kid });
const config = await client.discovery(new URL(ISSUER), CLIENT_ID, undefined, authentication, {
  execute: [client.allowInsecureRequests],
});
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));

const pkceCodeVerifier = client.randomPKCECodeVerifier();
const expectedState = client.randomState();
const expectedNonce = client.randomNonce();
const parameters = {
  redirect_uri: CALLBACK,
  scope: "openid email",
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: "S256",
  state: expectedState,
  nonce: expectedNonce,
};
const url = await client.buildAuthorizationUrlWithPAR(config, parameters, { DPoP });
const login = await walk(url);
const callback = await walk(login.at, {
  method: "POST",
  body: new URLSearchParams({
    csrfmiddlewaretoken: field(login.text, "csrfmiddlewaretoken"),
    next: field(login.text, "next"),
    username: USERNAME,
    password: PASSWORD,
  }),
  headers: { origin: new URL(ISSUER).origin, referer: login.at.href },
});
const checks = { pkceCodeVerifier, expectedState, expectedNonce };
const tokens = await client.authorizationCodeGrant(config, callback.at, checks, undefined, { DPoP });
const claims = tokens.claims();
const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP });
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
const again = await client.fetchUserInfo(config, refreshed.access_token, claims.sub, { DPoP });
let borne = "accepted";
try {
  await client.fetchUserInfo(config, refreshed.access_token, claims.sub);
} catch (error) {
  borne = error.code;
}
console.log(
  JSON.stringify({
    parameters: [...url.searchParams.keys()].sort(),
    type: tokens.token_type,
    email: userinfo.email,
    emailAfterRefresh: again.email,
    typeAfterRefresh: refreshed.token_type,
    borne,
  }),
);
