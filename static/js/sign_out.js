"use strict";
// The sign-out page: loads one frame per application, ten at once, shows what the server knows every half second, and goes
// on by itself when nothing is left to wait for. Everything shown is text; nothing is ever parsed as HTML.
(() => {
  const page = document.getElementById("sign-out");
  const POLL = 500;
  const POLL_FOR = 60_000;
  const AT_ONCE = 10; // frames that load: more of them would take the line, and their time, from each other
  const SAID = JSON.parse(page.dataset.said);
  const ACKNOWLEDGEMENT = "curfew:signed-out";
  const timeout = Number(page.dataset.timeout) * 1000;
  const part = (name, root = page) => root.querySelector(`[data-${name}]`);
  const rows = [...page.querySelectorAll("[data-app]")].map((element) => ({ element, startedAt: performance.now() }));
  let pollUntil = performance.now() + POLL_FOR;
  let going = null;
  let stays = false;
  let departed = false;
  let looked = 0;
  const queue = []; // rows whose frame waits for a place
  const loading = new Set(); // rows whose frame has one

  const state = (row) => row.element.dataset.state;
  const answered = (row) => "answered" in row.element.dataset;
  const answers = (row) => "answers" in row.element.dataset;
  const words = (row, next) => (next === "dead" && answered(row) ? SAID.answered : SAID.states[next]);

  const put = (text, values) => text.replace(/%\((\w+)\)s/g, (_, name) => values[name]);
  const number = (value, digits) =>
    value.toLocaleString(document.documentElement.lang, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const seconds = (value, digits = 0) => put(SAID.seconds, { number: number(value, digits) });

  function post(url, fields) {
    return fetch(url, {
      method: "POST",
      headers: { "X-CSRFToken": page.dataset.csrf },
      body: new URLSearchParams(fields),
      keepalive: true,
    });
  }

  function report(row, outcome) {
    row.telling = true;
    post(page.dataset.outcome, { application: row.element.dataset.app, outcome })
      .catch(() => soon())
      .finally(() => {
        row.telling = false;
        looked++; // an answer that is on its way may not know of this yet
      });
  }

  // --- frames ---
  function load(row) {
    if (!row.element.dataset.frame) return;
    remove(row);
    row.reported = "";
    if (!queue.includes(row)) queue.push(row);
    fill();
  }

  function fill() {
    while (queue.length && loading.size < AT_ONCE) start(queue.shift());
  }

  function start(row) {
    const { frame, origin, name } = row.element.dataset;
    const iframe = document.createElement("iframe");
    iframe.setAttribute("sandbox", "allow-scripts allow-same-origin allow-forms");
    iframe.referrerPolicy = "no-referrer";
    iframe.title = name;
    iframe.tabIndex = -1;
    iframe.addEventListener("load", () => {
      if (row.frame !== iframe) return;
      if (answers(row)) return; // what it loads says nothing: the server hears the answer
      if (!row.reported) tell(row, "loaded");
      loading.delete(row);
      fill();
    });
    iframe.src = frame;
    row.frame = iframe;
    row.origin = origin;
    row.deadline = setTimeout(() => end(row), timeout);
    loading.add(row);
    part("frames").append(iframe);
  }

  // Its time is over: what has not come by now would flow on for as long as the page is open.
  function end(row) {
    if (!row.reported) tell(row, "no_answer");
    remove(row);
    fill();
  }

  function remove(row) {
    clearTimeout(row.deadline);
    row.frame?.remove();
    row.frame = null;
    loading.delete(row);
  }

  function tell(row, outcome) {
    row.reported = outcome;
    report(row, outcome);
  }

  // An application may say that it is done: from its own frame and origin, with the sid that it was given.
  window.addEventListener("message", (event) => {
    const row = rows.find((r) => r.frame && r.frame.contentWindow === event.source);
    const message = event.data;
    if (!row || answers(row) || event.origin !== row.origin || typeof message !== "object" || message === null) return;
    const { sid } = row.element.dataset;
    const matches = sid ? message.sid === sid : message.sid === undefined;
    if (message.type === ACKNOWLEDGEMENT && matches && row.reported !== "acknowledged") tell(row, "acknowledged");
  });

  // --- rows ---
  function show(row, next, milliseconds) {
    const before = state(row);
    if (milliseconds !== null && milliseconds !== undefined) {
      part("time", row.element).textContent = seconds(milliseconds / 1000, 1);
    }
    if (before === next) return;
    row.element.dataset.state = next;
    part("words", row.element).textContent = words(row, next);
    part("more", row.element).hidden = next !== "dead";
    if (next === "delivered" && answers(row)) {
      remove(row);
      fill();
    }
    if (next !== "delivered") part("time", row.element).textContent = "";
    if (next !== "pending") announce(`${row.element.dataset.name}: ${words(row, next)}`);
  }

  function announce(text) {
    const line = document.createElement("span");
    line.textContent = `${text}. `;
    part("announce").append(line);
  }

  // The server's clock began with the page. A frame has its full time from when its turn came, and so has whoever is
  // tried again.
  function settle(row, next) {
    const retried = row.retriedAt && performance.now() - row.retriedAt < timeout;
    const waiting = retried || isAsked(row);
    return waiting && next === "dead" && state(row) === "pending" ? "pending" : next;
  }

  const isAsked = (row) => queue.includes(row) || row.telling || (loading.has(row) && !row.reported);

  function tick() {
    for (const row of rows) {
      if (state(row) !== "pending") continue;
      const waited = performance.now() - (row.retriedAt || row.startedAt);
      if (waited >= 1000) part("time", row.element).textContent = seconds(Math.floor(waited / 1000));
    }
    summary();
  }

  function summary() {
    const told = rows.filter((row) => state(row) !== "unreachable");
    const done = told.filter((row) => state(row) === "delivered").length;
    const pending = told.some((row) => state(row) === "pending");
    const dead = told.filter((row) => state(row) === "dead");
    const failed = dead.length;
    const failures = dead.some(answered) ? SAID.refused : SAID.silent;
    const upstream = part("upstream");
    const left = upstream === null || upstream.dataset.state === "delivered";
    const everywhere = left && rows.every((row) => state(row) === "delivered");
    page.querySelector("progress").value = done;
    part("count").textContent = put(SAID.count, { done, total: told.length });
    if (pending) return;
    const headline = everywhere
      ? SAID.everywhere
      : failed
        ? failures[failed - 1]
        : SAID.signedOut;
    if (part("headline").textContent !== headline) {
      part("headline").textContent = headline;
      document.title = headline;
      announce(headline);
    }
    if (failed || upstream?.dataset.state === "dead" || part("choice")) stop();
    else if (page.dataset.returns && !stays && !going && !departed) goOn(everywhere ? 2 : 4);
  }

  // --- going on ---
  function goOn(seconds) {
    let left = seconds;
    part("stay").hidden = false;
    part("going").hidden = false;
    const count = () => {
      part("going").textContent = put(SAID.goingOnIn, { number: left });
      if (left-- <= 0) depart();
    };
    count();
    going = setInterval(count, 1000);
  }

  function stop() {
    clearInterval(going);
    going = null;
    part("stay").hidden = true;
    if (!departed) part("going").hidden = true;
  }

  // Once: a second navigation would cancel the first one, whose answer may only be slow. After that there is the link.
  function depart() {
    leaving();
    window.location.assign(part("continue").href);
  }

  function leaving() {
    departed = true;
    stop();
    part("going").hidden = false;
    part("going").textContent = SAID.goingOn;
  }

  // --- what the server knows ---
  async function look() {
    const mine = ++looked;
    const response = await fetch(page.dataset.status, { headers: { Accept: "application/json" }, cache: "no-store" });
    if (response.status === 404) {
      pollUntil = 0;
      rows.forEach(remove);
      queue.length = 0;
      if (!departed) window.location.reload(); // it is over, or somebody else uses this browser: nothing of it stays
      return;
    }
    if (!response.ok) return;
    const answer = await response.json();
    if (mine !== looked) return;
    const known = new Map(answer.rows.map((row) => [String(row.app), row]));
    for (const row of rows) {
      const news = known.get(row.element.dataset.app);
      if (!news) continue;
      row.element.toggleAttribute("data-answered", news.answered);
      show(row, settle(row, news.state), news.ms);
    }
    tick();
  }

  function soon() {
    const unsettled = rows.some((row) => ["pending", "dead", "loaded"].includes(state(row)));
    if ((performance.now() < pollUntil || loading.size) && unsettled) setTimeout(poll, POLL);
  }

  function poll() {
    look()
      .catch(() => tick()) // offline for a moment: the next poll asks again
      .finally(soon);
  }

  // --- start ---
  for (const row of rows) {
    part("more", row.element)
      .querySelector("form")
      .addEventListener("submit", (event) => {
        event.preventDefault();
        row.retriedAt = performance.now();
        pollUntil = performance.now() + POLL_FOR;
        show(row, "pending");
        part("headline").textContent = SAID.again;
        part("continue").focus();
        post(page.dataset.retry, { application: row.element.dataset.app })
          .then(() => load(row))
          .catch(() => load(row))
          .finally(poll);
      });
    load(row); // also where the back channel was faster: the frame clears what the browser keeps
  }
  part("continue").addEventListener("click", leaving);
  part("stay").addEventListener("click", () => {
    stays = true;
    stop();
    part("continue").focus();
  });
  poll();
})();
