// One moment, everywhere: choose it on the time line, in a chart or in the words, and see it in the others.

const paper = document.getElementById("overview");

const length = () => Number(paper.dataset.seconds) || 1;
const utterances = () => [...document.querySelectorAll(".utterance")];
let chosen = null; // seconds into the session

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, String(whole % 60).padStart(2, "0")];
  return h ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
}

/** What is being said then; in a silence, what was said last before it. */
function saidAt(seconds) {
  let best = null;
  for (const words of utterances()) {
    if (Number(words.dataset.begin) > seconds) break;
    if (!best || Number(words.dataset.end) > seconds || Number(best.dataset.end) <= seconds) best = words;
  }
  return best ?? utterances()[0] ?? null;
}

function show(seconds) {
  chosen = Math.min(Math.max(seconds, 0), length());
  const slider = document.getElementById("moment");
  slider.value = String(chosen);
  slider.setAttribute("aria-valuetext", clock(chosen));
  const track = paper.querySelector(".axis .track").getBoundingClientRect();
  const cursor = paper.querySelector(".cursor");
  cursor.hidden = false;
  cursor.style.left = `${track.left - paper.getBoundingClientRect().left + (chosen / length()) * track.width}px`;
  for (const words of document.querySelectorAll(".utterance.now")) words.classList.remove("now");
  const words = saidAt(chosen);
  words?.classList.add("now");
  return words;
}

function jump(seconds) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  show(seconds)?.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
}

function prepare() {
  const slider = document.getElementById("moment");
  slider.hidden = false;
  slider.addEventListener("input", () => jump(Number(slider.value)));
  for (const track of paper.querySelectorAll("svg.lane, svg.plot")) {
    track.addEventListener("click", (event) => {
      const box = track.getBoundingClientRect();
      jump(((event.clientX - box.left) / box.width) * length());
    });
  }
  if (chosen !== null) show(chosen);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a.jump");
  if (!link) return;
  const words = link.hash.startsWith("#at-") ? document.getElementById(link.hash.slice(1)) : null;
  if (words) show(Number(words.dataset.begin));
  else if (link.dataset.at) {
    event.preventDefault();
    jump(Number(link.dataset.at));
  }
});
document.addEventListener("renewed", prepare);
addEventListener("resize", () => chosen !== null && show(chosen));

/** A link to a moment: `#at-` and milliseconds, whether or not somebody begins to speak just then. */
function follow() {
  const moment = /^#at-(\d+)$/.exec(location.hash);
  if (moment) show(Number(moment[1]) / 1000)?.scrollIntoView({ block: "center" });
}

prepare();
follow();
addEventListener("hashchange", follow);
