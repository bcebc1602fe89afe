// A page that signs people in by oidc-client-ts and watches the session by OpenID Connect Session Management.
"use strict";
const here = `${location.origin}/`;
const manager = new oidc.UserManager({
  authority: sessionStorage.getItem("issuer") ?? new URLSearchParams(location.hash.slice(1)).get("issuer"),
  client_id: "oidc-client-ts",
  redirect_uri: here,
  silent_redirect_uri: here,
  post_logout_redirect_uri: here,
  scope: "openid email",
  monitorSession: true,
  checkSessionIntervalInSeconds: 1,
});
manager.events.addUserSignedOut(() => { document.getElementById("signed-out-at-provider").hidden = false; });

(async () => {
  if (!sessionStorage.getItem("issuer")) sessionStorage.setItem("issuer", manager.settings.authority);
  if (/[?&](code|error)=/.test(location.search)) await manager.signinCallback();
  if (window !== window.top) return;
  const user = await manager.getUser();
  document.getElementById("status").textContent = user ? `signed in as ${user.profile.email}` : "signed out";
})().catch((error) => { document.getElementById("status").textContent = `failed: ${error}`; });
