"use strict";
// Keeps the page up to date, and sends the operator's orders. What it shows is either a part of a
// newer page, which the server rendered, or set as text.
(() => {
  const byId = (id) => document.getElementById(id);
  const root = document.documentElement;
  root.classList.add("script");

  // Times ---------------------------------------------------------------------------------------

  // The gateway's clock decides: this machine's may be wrong.
  let ahead = 0;
  const setClock = () => {
    ahead = Date.parse(byId("now").dateTime) - Date.now();
  };

  const distance = (seconds) => {
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} days`;
  };

  const showTimes = () => {
    const now = Date.now() + ahead;
    for (const time of document.querySelectorAll("time:not([data-fixed])")) {
      const seconds = Math.floor((now - Date.parse(time.dateTime)) / 1000);
      const text = seconds >= 0 ? `${distance(seconds)} ago` : `in ${distance(-seconds)}`;
      const shown = "lasts" in time.dataset ? distance(Math.max(seconds, 0)) : text;
      if (time.textContent !== shown) time.textContent = shown;
      time.title = new Date(time.dateTime).toLocaleString();
    }
  };

  // A newer page --------------------------------------------------------------------------------

  const show = (text) => {
    const connection = byId("connection");
    if (connection.textContent !== text) connection.textContent = text;
    connection.classList.toggle("lost", text !== "live");
    root.classList.toggle("lost", text !== "live");
  };

  // A ring without a colour.
  const lostIcon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E" +
    "%3Ccircle cx='8' cy='8' r='5.5' fill='none' stroke='%23808890' stroke-width='2' " +
    "stroke-dasharray='3 2'/%3E%3C/svg%3E";

  // What is shown may be untrue now: no sentence of it is left to stand at the top.
  const lose = (error) => {
    if (!root.classList.contains("lost")) {
      const since = new Date(Date.now() + ahead).toISOString().slice(11, 19);
      const what = error.status ? `No newer page (${error.status})` : "Not reachable";
      document.querySelector("h1").textContent = `${what} since ${since} UTC.`;
      document.title = `${what.toLowerCase()} · superoffice-gateway`;
      document.querySelector("link[rel=icon]").href = lostIcon;
    }
    show(`${error.status ? "no newer page" : "not reachable"}: what you see may be old`);
  };

  const load = async (url) => {
    // A gateway that hangs is not reachable either.
    const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(20000) });
    if (!response.ok) {
      const error = new Error(`${response.status} ${response.statusText}`);
      throw Object.assign(error, { status: response.status });
    }
    return new DOMParser().parseFromString(await response.text(), "text/html");
  };

  // Replaces parts and leaves the focus where it is.
  const keepingFocus = (replace) => {
    const active = document.activeElement;
    const { id, href } = active || {};
    replace();
    if (document.activeElement === active || active === document.body) return;
    const links = href ? [...document.links] : [];
    const again = (id && byId(id)) || links.find((link) => link.href === href);
    if (again) again.focus({ preventScroll: true });
  };

  const addEvents = (fresh) => {
    const [list, newer] = [byId("events"), fresh.getElementById("events")];
    const number = (item) => Number(item.dataset.number);
    const last = list.firstElementChild ? number(list.firstElementChild) : -1;
    const first = newer.firstElementChild ? number(newer.firstElementChild) : -1;
    // After a restart the numbers begin again.
    if (first < last) list.replaceChildren();
    const added = [...newer.children].filter((item) => first < last || number(item) > last);
    list.prepend(...added.map((item) => document.adoptNode(item)));
    for (const item of added) item.classList.add("new");
    while (list.children.length > Number(list.dataset.most)) list.lastElementChild.remove();
  };

  const settle = (fresh) => {
    document.title = fresh.title;
    const icon = fresh.querySelector("link[rel=icon]");
    if (icon) document.querySelector("link[rel=icon]").href = icon.getAttribute("href");
    setClock();
    showTimes();
  };

  const update = (fresh) => keepingFocus(() => {
    for (const newer of fresh.querySelectorAll("[data-live]")) {
      const older = byId(newer.id);
      if (older && older.outerHTML !== newer.outerHTML) older.replaceWith(document.adoptNode(newer));
    }
    addEvents(fresh);
    settle(fresh);
  });

  // One request at a time, and pauses in proportion to what it costs the gateway.
  let loading = false;
  let again = false;
  let timer = 0;
  let due = Infinity;
  let earliest = 0;
  let place = 0;
  const later = (wait) => {
    const at = Math.max(performance.now() + wait, earliest);
    // Many events in a row do not put it off.
    if (at >= due) return;
    due = at;
    clearTimeout(timer);
    timer = setTimeout(refresh, at - performance.now());
  };
  const soon = () => (loading ? (again = true) : later(200));
  const refresh = async () => {
    due = Infinity;
    if (loading) {
      again = true;
      return;
    }
    [loading, again] = [true, false];
    const [start, asked] = [performance.now(), place];
    try {
      const fresh = await load(location.pathname + location.search);
      if (asked === place) update(fresh);
      show("live");
    } catch (error) {
      lose(error);
    }
    loading = false;
    earliest = performance.now() + Math.max(300, 10 * (performance.now() - start));
    later(again ? 0 : 15000);
  };

  // Search, groups and pages, without losing the token.
  const go = async (url, push) => {
    place += 1;
    const asked = place;
    try {
      const fresh = await load(url);
      if (asked !== place) return;
      if (push) history.pushState(null, "", url);
      keepingFocus(() => {
        document.querySelector("main").replaceWith(fresh.querySelector("main"));
        for (const id of ["as-of", "uptime"]) byId(id).replaceWith(fresh.getElementById(id));
        document.querySelector(".reload").href = url;
        settle(fresh);
      });
      show("live");
    } catch (error) {
      // The browser says what is wrong.
      location.assign(url);
    }
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-go]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.href, true);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form.search")) return;
    event.preventDefault();
    const fields = [...new FormData(event.target)].filter(([, value]) => value);
    go(`/?${new URLSearchParams(fields)}`, true);
  });
  addEventListener("popstate", () => go(location.pathname + location.search, false));

  // Events --------------------------------------------------------------------------------------

  const names = ["changed", "notified", "restored", "moved", "unknown", "confirmed", "corrected", "missed"];
  let source = null;
  const unfollow = () => {
    if (source) source.close();
    source = null;
  };
  const follow = () => {
    if (source || document.hidden) return;
    source = new EventSource("/events?snapshot=off");
    // What happened while it was not connected is on the newer page.
    source.addEventListener("open", soon);
    for (const name of names) source.addEventListener(name, soon);
    source.addEventListener("error", () => {
      later(1000);
      // The browser connects again by itself, unless it was refused.
      if (source && source.readyState === EventSource.CLOSED) {
        unfollow();
        setTimeout(follow, 10000);
      }
    });
  };
  // A browser has six connections to an origin: hidden windows leave them to the one that is seen.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return unfollow();
    follow();
    soon();
  });

  // Orders --------------------------------------------------------------------------------------

  // Not kept by the browser: pages that tenants' servers answer with have the same origin.
  let token = "";

  const dialog = byId("order");
  const zone = byId("zone");
  // The field takes the browser's time, and the page shows the gateway's.
  if (zone) zone.textContent = ` (your time, ${Intl.DateTimeFormat().resolvedOptions().timeZone})`;
  const form = byId("order-form");
  const fail = (text) => {
    byId("order-error").textContent = text;
  };

  const chosen = () => form.elements.order.value;
  const showFields = () => {
    for (const field of form.querySelectorAll("[data-for]")) {
      const fits = field.dataset.for.split(" ").includes(chosen());
      field.hidden = !fits;
      for (const input of field.querySelectorAll("input")) {
        input.disabled = !fits;
        if (input.type === "checkbox") input.required = fits;
      }
    }
  };

  const open = (tenant, prefix) => {
    form.reset();
    form.elements.tenant.value = tenant;
    if (prefix) form.elements.prefix.value = prefix;
    if (form.elements.token) form.elements.token.value = token;
    byId("order-title").textContent = tenant ? `Give an order for ${tenant}` : "Give an order";
    byId("done").textContent = "";
    fail("");
    showFields();
    dialog.showModal();
    if (tenant) form.querySelector("[name=order]").focus();
  };

  // The words of the list, of an answer's tenant.
  const stateOf = ({ available, reason, evidence }) => {
    if (available) return evidence === "operator" ? "open by order" : "open";
    return reason === "operator" ? "closed by order" : reason.replaceAll("_", " ");
  };
  const shownState = (tenant, prefix) => {
    const is = ({ dataset }) =>
      dataset.prefix === prefix && dataset.order.toLowerCase() === tenant.toLowerCase();
    const button = [...document.querySelectorAll("button[data-order]")].find(is);
    return button?.closest("tr")?.querySelector(".state")?.textContent;
  };

  // Waits longer than the gateway does for SuperOffice.
  const post = async (path, headers, terms) => {
    const signal = AbortSignal.timeout(60000);
    try {
      return await fetch(path, { method: "POST", headers, body: JSON.stringify(terms), signal });
    } catch (error) {
      throw new Error("The gateway did not answer: the order may or may not be in force.");
    }
  };

  const send = async () => {
    const value = (name) => {
      const field = form.elements[name];
      return field && !field.disabled ? field.value.trim() : "";
    };
    const [order, tenant] = [chosen(), value("tenant")];
    const terms = {};
    if (value("note")) terms.note = value("note");
    if (value("until")) terms.until = new Date(value("until")).toISOString();
    const headers = { "content-type": "application/json" };
    if (form.elements.token) {
      token = value("token");
      headers.authorization = `Bearer ${token}`;
    }
    const path = `${value("prefix")}/tenants/${encodeURIComponent(tenant)}/${order}`;
    const before = shownState(tenant, value("prefix"));
    const response = await post(path, headers, terms);
    if (response.ok) {
      const answer = await response.json().catch(() => null);
      // An answer that breaks off is one of an order that was carried out.
      if (!answer) return `${tenant}: ${order} is carried out.`;
      if (order === "forget") return `${answer.tenant}: forgotten.`;
      const state = stateOf(answer);
      return `${answer.tenant} is ${state === before ? "still " : ""}${state}.`;
    }
    if (response.status === 401) token = "";
    const problem = await response.json().catch(() => ({}));
    throw new Error(problem.detail || `${response.status} ${response.statusText}`);
  };

  if (dialog) {
    document.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-order]");
      if (button) open(button.dataset.order, button.dataset.prefix);
    });
    form.addEventListener("change", showFields);
    form.querySelector("[data-cancel]").addEventListener("click", () => dialog.close());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("[type=submit]");
      button.disabled = true;
      fail("");
      try {
        byId("done").textContent = await send();
        dialog.close();
        soon();
      } catch (error) {
        fail(error.message);
      }
      button.disabled = false;
    });
  }

  setClock();
  showTimes();
  setInterval(showTimes, 1000);
  follow();
})();
