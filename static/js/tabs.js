// @ts-check
// Links to the parts of a long form become tabs. Without this they lead down the page, which then shows every part.
// Keys as in the ARIA Authoring Practices: arrows, Home and End move between tabs, and the tab that has the focus is open.

const list = document.querySelector("[data-tabs]");

function start(list) {
  const tabs = [...list.querySelectorAll("a[href^='#']")];
  const panel = (tab) => document.getElementById(tab.hash.slice(1));
  const named = (name) => tabs.find((tab) => tab.hash === name);

  function open(tab, { focus = false } = {}) {
    for (const other of tabs) {
      const isOpen = other === tab;
      other.setAttribute("aria-selected", String(isOpen));
      other.tabIndex = isOpen ? 0 : -1;
      panel(other).hidden = !isOpen;
    }
    if (focus) tab.focus();
  }

  function choose(tab) {
    open(tab, { focus: true });
    history.replaceState(null, "", tab.hash);
  }

  for (const tab of tabs) {
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", tab.hash.slice(1));
    tab.parentElement.setAttribute("role", "presentation");
    panel(tab).setAttribute("role", "tabpanel");
    tab.addEventListener("click", (event) => {
      event.preventDefault();
      choose(tab);
    });
  }
  list.setAttribute("role", "tablist");
  list.addEventListener("keydown", (event) => {
    const here = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: -1 }[event.key];
    if (here < 0 || to === undefined) return;
    event.preventDefault();
    choose(tabs.at(to % tabs.length));
  });
  window.addEventListener("hashchange", () => named(location.hash) && open(named(location.hash)));
  const refused = tabs.find((tab) => "refused" in tab.dataset);
  open(refused ?? named(location.hash) ?? tabs[0]);
  document.documentElement.classList.add("has-tabs");
}

if (list) start(list);
