// npm oidc-provider, major 9 or 6, as an identity provider upstream. What it is and whom it knows is in the JSON file that
// its only argument names (see oidc.py); it prints "ready" and then one JSON line per event.
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import * as nine from "oidc-provider";

const wanted = JSON.parse(readFileSync(process.argv[2], "utf8"));
const six = createRequire(import.meta.url)("oidc-provider-6");
const { interactionPolicy } = wanted.major === 6 ? six : nine;
const Provider = wanted.major === 6 ? six.Provider : nine.Provider ?? nine.default;

const prompts = interactionPolicy.base();
prompts.add(new interactionPolicy.Prompt({ name: "select_account", requestable: true }), 0);

function hash(text) {
  return createHash("sha256").update(text).digest("base64url");
}

const common = {
  clients: wanted.clients,
  jwks: wanted.jwks,
  cookies: { keys: ["a fixture's cookie key"] },
  claims: wanted.claims,
  acrValues: wanted.acr_values,
  conformIdTokenClaims: wanted.thin_id_token,
  subjectTypes: [wanted.pairwise ? "pairwise" : "public"],
  pairwiseIdentifier: (ctx, sub, client) => hash(`${client.clientId} ${sub}`),
  interactions: { url: (ctx, interaction) => `${wanted.mount}/interaction/${interaction.uid}`, policy: prompts },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...wanted.accounts[id] }) }),
  enabledJWA: { idTokenSigningAlgValues: ["RS256", "ES256", "PS256"] },
};
const features = { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } };
const configuration =
  wanted.major === 6
    ? { ...common, features: { ...features, frontchannelLogout: { enabled: true } } }
    : {
        ...common,
        features,
        loadExistingGrant,
        fetch: (url, options) => globalThis.fetch(url, { ...options, dispatcher: undefined }), // 9 refuses loopback by itself
      };

// Nobody is asked for consent: an enterprise gave it for its people.
async function loadExistingGrant(ctx) {
  const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
  grant.addOIDCScope("openid profile email groups offline_access");
  await grant.save();
  return grant;
}

const provider = new Provider(wanted.issuer, configuration);

provider.use(async (ctx, next) => {
  await next();
  if (ctx.path.endsWith("/.well-known/openid-configuration") && ctx.body?.issuer) {
    Object.assign(ctx.body, wanted.discovery);
  }
});
for (const event of ["backchannel.success", "backchannel.error", "server_error", "grant.error", "authorization.error"]) {
  provider.on(event, (...rest) => {
    const error = rest.find((part) => part instanceof Error);
    console.log(JSON.stringify({ event, error: error && [error.message, error.error_description, error.error_detail] }));
  });
}

function page(body) {
  return `<!doctype html><html lang="en"><title>${wanted.title}</title><h1>${wanted.title}</h1>${body}`;
}

// Everybody has a second factor, and proves it to whoever asks for a class that there is.
function reached(params) {
  const asked = String(params.acr_values ?? "").split(" ");
  return asked.find((name) => wanted.acr_values.includes(name));
}

async function interact(request, response) {
  const details = await provider.interactionDetails(request, response);
  if (request.method === "GET" && details.prompt.name !== "consent") {
    const hint = String(details.params.login_hint ?? "").replace(/[^\w@.-]/g, "");
    response.setHeader("content-type", "text/html");
    response.end(
      page(`<form method="post"><input name="login" value="${hint}"><input name="password" type="password">
      <button type="submit">Sign in</button></form>`),
    );
    return;
  }
  if (details.prompt.name === "consent") {
    await provider.interactionFinished(request, response, { consent: {} }, { mergeWithLastSubmission: true });
    return;
  }
  let body = "";
  for await (const chunk of request) {
    body += chunk;
  }
  const login = new URLSearchParams(body).get("login");
  const refusal = wanted.refusals[login];
  const known = wanted.major === 6 ? { account: login } : { accountId: login };
  const result = refusal
    ? { error: "access_denied", error_description: refusal }
    : { login: { ...known, remember: true, acr: reached(details.params) }, select_account: {} };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const oidc = wanted.major === 6 ? provider.callback : provider.callback();

function handle(request, response) {
  if (request.url.startsWith(`${wanted.mount}/interaction/`)) {
    interact(request, response).catch((error) => {
      console.log(JSON.stringify({ event: "interaction.error", error: [error.message] }));
      response.statusCode = 500;
      response.end();
    });
    return;
  }
  if (wanted.mount && request.url.startsWith(wanted.mount)) {
    request.originalUrl = request.url;
    request.url = request.url.slice(wanted.mount.length) || "/";
  }
  oidc(request, response);
}

const server = wanted.tls ? createTlsServer({ key: readFileSync(wanted.tls), cert: readFileSync(wanted.tls) }, handle) : createServer(handle);
server.listen(wanted.port, "127.0.0.1", () => console.log("ready"));
