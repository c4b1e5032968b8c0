// Times in the reader's zone, and pages that stay true while a session goes on.

const DATE = new Intl.DateTimeFormat(undefined, {
  weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "numeric", minute: "2-digit",
});
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const LATEST = 30_000; // ms after which what goes on is fetched anew, also when nobody told of a change

function inOurZone(part) {
  for (const time of part.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    time.textContent = (time.dataset.form === "date" ? DATE : CLOCK).format(moment);
    time.title = time.dateTime;
  }
}

function soFar() {
  for (const since of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, Math.floor((Date.now() - new Date(since.dataset.since)) / 1000));
    const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    const two = (n) => String(n).padStart(2, "0");
    since.textContent = hours ? `${hours}h ${two(minutes)}m` : minutes ? `${minutes}m ${two(rest)}s` : `${rest}s`;
  }
}

let fetching = false;
let fetchedAt = Date.now();

async function refresh() {
  if (fetching) return;
  fetching = true;
  try {
    const answer = await fetch(location.pathname + location.search, { headers: { accept: "text/html" } });
    if (answer.redirected) return location.reload(); // signed out meanwhile
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    inOurZone(fresh);
    let news = false;
    for (const old of document.querySelectorAll("[data-live][id]")) {
      const next = fresh.getElementById(old.id);
      if (!next || next.innerHTML === old.dataset.was) continue;
      const was = next.innerHTML;
      const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
      old.replaceChildren(...next.childNodes);
      for (const name of ["changes", "seconds"]) {
        if (next.dataset[name]) old.dataset[name] = next.dataset[name];
        else delete old.dataset[name];
      }
      old.dataset.was = was;
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
      news = true;
    }
    fetchedAt = Date.now();
    if (news) document.dispatchEvent(new Event("renewed"));
    if (!document.querySelector("[data-changes]")) source?.close(); // it is over
  } catch {
    // The network is away; the next look will tell.
  } finally {
    fetching = false;
  }
}

inOurZone(document);
soFar();
setInterval(soFar, 1000);

const changes = document.querySelector("[data-changes]")?.dataset.changes;
const source = changes ? new EventSource(changes) : null;
if (source) {
  source.addEventListener("changed", refresh);
  setInterval(() => {
    const goesOn = document.querySelector(".badge");
    if (goesOn && !document.hidden && Date.now() - fetchedAt >= LATEST) refresh();
  }, 5_000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && Date.now() - fetchedAt >= LATEST) refresh();
  });
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}
const every = document.querySelector("[data-every]")?.dataset.every; // what changes all the time is not told of
if (every) setInterval(() => document.hidden || refresh(), every * 1_000);
for (const choice of document.querySelectorAll(".filters select")) {
  choice.addEventListener("change", () => choice.form.requestSubmit());
}
