"use strict";
// Asks who is signed in where, loads the logout page of every application that we know in a frame, and shows which of
// them loaded within the time. A frame that loaded may still be an error page: there is no way to see that from here.
(() => {
  const WORDS = { pending: "Signing out…", loaded: "✓ Signed out", error: "✕ No answer" };
  const element = (id) => document.getElementById(id);

  async function start() {
    if (location.hash === "#complete") return complete();
    const settings = await (await fetch("/settings.json")).json();
    const answer = await fetch(new URL("user/ssodata", settings.issuer), { credentials: "include" });
    if (!answer.ok) throw new Error(`ssodata answered ${answer.status}`);
    const data = await answer.json();
    const known = (data.sso ? data.sessionClients : []).filter((id) => id in settings.clients);
    const target = new URL("v2/logout", settings.issuer);
    target.searchParams.set("returnTo", `${location.origin}/#complete`);
    if (known.length === 0) return location.assign(target);
    element("user").textContent = data.lastUsedUsername;
    element("continue").href = target;
    await Promise.all(known.map((id) => signOut(settings.clients[id], settings.seconds * 1000)));
    element("continue").hidden = false;
    element("continue").focus();
  }

  // The first outcome counts: a page that loads after the time does not turn green.
  function signOut(client, milliseconds) {
    const row = document.createElement("li");
    const state = document.createElement("span");
    row.append(client.name, state);
    element("apps").append(row);
    const show = (status) => {
      row.dataset.status = status;
      state.textContent = WORDS[status];
    };
    show("pending");
    return new Promise((resolve) => {
      const settle = (status) => {
        if (row.dataset.status === "pending") show(status);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => settle("error"), milliseconds);
      const frame = document.createElement("iframe");
      frame.title = client.name;
      frame.addEventListener("load", () => settle("loaded"));
      frame.src = client.logout_url;
      element("frames").append(frame);
    });
  }

  function complete() {
    document.title = "Logout complete";
    element("working").hidden = true;
    element("complete").hidden = false;
  }

  start().catch((error) => {
    element("trouble").textContent = `We could not find out where you are signed in: ${error.message}`;
    element("trouble").hidden = false;
  });
})();
