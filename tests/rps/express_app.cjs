// A web application on express-openid-connect as its documentation shows it; the back-channel logout store is in memory.
"use strict";
const express = require("express");
const { auth } = require("express-openid-connect");

const { PORT, ISSUER, CLIENT_ID, CLIENT_SECRET, OWN_SESSION_DAYS } = process.env;

class MemoryStore {
  entries = new Map();
  get(id, done) { done(null, this.entries.get(id)); }
  set(id, value, done) { this.entries.set(id, value); done(null); }
  destroy(id, done) { this.entries.delete(id); done(null); }
}

const app = express();
app.use(auth({
  issuerBaseURL: ISSUER,
  baseURL: `http://localhost:${PORT}`,
  clientID: CLIENT_ID,
  clientSecret: CLIENT_SECRET,
  secret: "a secret of this test that signs the application's own cookie",
  authRequired: false,
  idpLogout: true,
  authorizationParams: { response_type: "code", scope: "openid profile email" },
  session: {
    name: `${CLIENT_ID}_session`,
    ...(OWN_SESSION_DAYS ? { rolling: false, absoluteDuration: Number(OWN_SESSION_DAYS) * 86400 } : {}),
  },
  backchannelLogout: { store: new MemoryStore() },
}));
app.get("/", (request, response) => {
  response.json({ signedIn: request.oidc.isAuthenticated(), email: request.oidc.user?.email ?? null });
});
app.listen(Number(PORT), "127.0.0.1");
