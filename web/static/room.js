// The coaching room: the lobby, the call, its end.

import { changing, closeCamera, devices, handOver, open } from "./room-devices.js";
import { named, show } from "./room-tiles.js";
import { tellReadings } from "./room-readings.js";

const { DisconnectReason, Room, RoomEvent } = globalThis.LivekitClient;
const PATIENCE = 60_000; // ms to wait for the recorder's answer before saying what else to do
const found = (id) => document.getElementById(id);
const room = new Room({ adaptiveStream: true, dynacast: true });
let sessionId = "";
let stopReadings = () => {};
let leaving = false;
let patience = 0;

// --- the lobby ---------------------------------------------------------------------------------------------------

const voiceOnly = () => found("mode").value === "voice";

async function prepare(what) {
  found("join").disabled = true;
  found("lobby-problem").textContent = (await open(what)).join(" ");
  found("join").disabled = false;
}

function chooseMode() {
  document.querySelector(".of-video").hidden = voiceOnly();
  if (voiceOnly()) closeCamera("Voice only: no picture is sent.");
  else prepare({ audio: false });
}

async function join() {
  found("join").disabled = true;
  found("lobby-problem").textContent = "";
  try {
    const name = found("name").value.trim();
    localStorage.setItem("name", name);
    const entrance = await admission(name);
    sessionId = entrance.session_id;
    const here = `/video-session?session=${sessionId}`;
    history.replaceState(null, "", here); // loading the page again leads back into this session
    found("again").href = here;
    found("after-record").href = `/session-history/${sessionId}`;
    await room.connect(entrance.server_url, entrance.participant_token);
    for (const track of handOver()) await room.localParticipant.publishTrack(track);
    began();
  } catch (error) {
    found("lobby-problem").textContent = error.told ?? "The room cannot be reached. Check your network and try again.";
    await room.disconnect();
    await open({ video: !voiceOnly() }); // the call had the devices
    found("join").disabled = false;
  }
}

async function admission(name) {
  const existing = found("lobby").dataset.room;
  const wanted = { participant_name: name };
  if (existing) wanted.room_name = existing;
  else Object.assign(wanted, { mode: found("mode").value, counselor_category: found("category").value.trim() || null });
  const answer = await fetch("/api/sessions", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(wanted),
  });
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 401) location.reload(); // to sign in, and back
  if (!answer.ok) throw Object.assign(new Error("refused"), { told: told.detail ?? "The session cannot be joined just now." });
  found("lobby").dataset.room = told.room_name;
  return told;
}

// --- the call ----------------------------------------------------------------------------------------------------

function began() {
  found("lobby").hidden = true;
  found("call").hidden = false;
  if (found("category")) found("h-call").textContent = found("category").value.trim() || "Coaching session";
  found("h-call").focus();
  state("");
  stopReadings = tellReadings(room);
  lookForRecorder();
  render();
}

function render() {
  if (found("call").hidden) return;
  show(room, found("tiles"));
  toggle("mute", !room.localParticipant.isMicrophoneEnabled, ["Mute", "Unmute"], ["voice", "voice-off"]);
  toggle("stop-video", !room.localParticipant.isCameraEnabled, ["Stop video", "Start video"], ["video", "video-off"]);
  found("sound").hidden = room.canPlaybackAudio;
}

function toggle(id, off, [ifOn, ifOff], [iconOn, iconOff]) {
  const button = found(id);
  button.setAttribute("aria-pressed", String(off));
  button.querySelector("span").textContent = off ? ifOff : ifOn;
  button.querySelector("use").setAttribute("href", `#i-${off ? iconOff : iconOn}`);
}

function state(text) {
  found("state").textContent = text;
  found("state").classList.toggle("warn", Boolean(text));
}

function say(text) {
  found("news").textContent = text;
}

/** Say that it is recorded when the record says so. */
async function lookForRecorder() {
  const chip = found("recorded");
  while (!leaving && !found("call").hidden) {
    const answer = await fetch(`/api/coaching/participants?sessionId=${sessionId}`).catch(() => null);
    const people = answer?.ok ? await answer.json() : [];
    if (people.some((stay) => stay.recorded && !stay.leftAt)) {
      chip.textContent = "Recording";
      chip.classList.add("on");
      return;
    }
    chip.textContent = "The recorder is not here yet";
    await new Promise((later) => setTimeout(later, 2_000));
  }
}

async function switching(action, what) {
  try {
    await action();
  } catch {
    unusable(what);
  }
  render();
}

function unusable(what) {
  say(`Your ${what} cannot be used.`);
  state(`Your ${what} cannot be used`);
}

/** Live captions, where somebody sends them. */
async function captions(reader) {
  const text = (await reader.readAll()).trim();
  found("captions").hidden = !text;
  found("captions").textContent = text;
}

// --- its end -----------------------------------------------------------------------------------------------------

async function end() {
  found("saving").showModal();
  found("saving-title").focus();
  patience = setTimeout(noAnswer, PATIENCE);
  try {
    await room.localParticipant.publishData(new TextEncoder().encode("{}"), { reliable: true, topic: "session.end" });
  } catch {
    noAnswer();
  }
}

function noAnswer() {
  found("saving-text").textContent =
    "The recorder has not answered yet. You can wait, or leave now: the session is saved as soon as everybody has left. Then look into your session history.";
  found("leave-anyway").hidden = false;
}

function heard(payload, sender, _kind, topic) {
  if (sender || !["session.saved", "session.save_failed"].includes(topic)) return; // only the recorder is unseen
  clearTimeout(patience);
  const told = JSON.parse(new TextDecoder().decode(payload));
  if (told.session_id !== sessionId) return;
  if (topic === "session.saved") {
    toast(told.message, { id: told.session_id });
    return leave("The session is over", "What was said, who was there and how good the call was is in your session history.");
  }
  toast(told.message, { failed: true, id: told.session_id });
  found("saving-text").textContent =
    "The session could not be saved now. The recorder has kept it and goes on trying. Nothing is lost if you leave; look into your session history later.";
  found("leave-anyway").hidden = false;
}

async function leave(title, text) {
  if (leaving) return;
  leaving = true;
  stopReadings();
  await room.disconnect();
  for (const track of Object.values(devices)) track?.stop();
  found("saving").close();
  found("confirm").close();
  found("call").hidden = true;
  found("tiles").replaceChildren();
  found("after").hidden = false;
  found("after-title").textContent = title;
  found("after-text").textContent = text;
  found("after-title").focus();
}

function disconnected(reason) {
  if (leaving || found("call").hidden) return;
  if (reason === DisconnectReason.DUPLICATE_IDENTITY) {
    leave("You joined from another window", "The call goes on there.");
  } else if ([DisconnectReason.ROOM_DELETED, DisconnectReason.ROOM_CLOSED].includes(reason)) {
    leave("The session is over", "The room was closed. What was said is saved.");
  } else {
    leave("The connection was lost", "What was said until then is saved. You can join again; it stays the same session.");
  }
}

function toast(message, { id, failed = false }) {
  const box = document.createElement("div");
  box.className = failed ? "toast failed" : "toast";
  const text = document.createElement("strong");
  text.textContent = message;
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "×";
  close.setAttribute("aria-label", "Close this message");
  close.addEventListener("click", () => box.remove());
  const link = document.createElement("a");
  link.href = `/session-history/${id}`;
  link.textContent = "See the record";
  const code = document.createElement("code");
  code.textContent = id;
  box.append(text, close, link, code);
  // What is outside of an open dialog cannot be reached.
  (failed && found("saving").open ? found("saving") : found("toasts")).append(box);
}

// --- who listens to what -----------------------------------------------------------------------------------------

for (const event of [
  "ParticipantConnected", "ParticipantDisconnected", "TrackSubscribed", "TrackUnsubscribed", "TrackMuted", "TrackUnmuted",
  "LocalTrackPublished", "LocalTrackUnpublished", "ActiveSpeakersChanged", "ConnectionQualityChanged",
  "ParticipantNameChanged", "AudioPlaybackStatusChanged",
]) room.on(RoomEvent[event], render);
room.on(RoomEvent.ParticipantConnected, (person) => say(`${named(person)} joined`));
room.on(RoomEvent.ParticipantDisconnected, (person) => say(`${named(person)} left`));
room.on(RoomEvent.SignalReconnecting, () => state("Reconnecting …"));
room.on(RoomEvent.Reconnecting, () => state("Reconnecting …"));
room.on(RoomEvent.Reconnected, () => (state(""), render()));
room.on(RoomEvent.Disconnected, disconnected);
room.on(RoomEvent.DataReceived, heard);
room.registerTextStreamHandler("lk.transcription", captions);

found("joining").addEventListener("submit", (event) => (event.preventDefault(), join()));
found("mode").addEventListener("change", chooseMode);
for (const id of ["microphone", "camera"]) {
  found(id).addEventListener("change", () => {
    localStorage.setItem(id, found(id).value);
    prepare({ audio: id === "microphone", video: id === "camera" });
  });
}
found("mute").addEventListener("click", () =>
  switching(() => room.localParticipant.setMicrophoneEnabled(!room.localParticipant.isMicrophoneEnabled), "microphone"));
found("stop-video").addEventListener("click", () =>
  switching(() => room.localParticipant.setCameraEnabled(!room.localParticipant.isCameraEnabled), "camera"));
changing(room, RoomEvent.MediaDevicesChanged, unusable);
found("sound").addEventListener("click", () => room.startAudio());
found("copy").addEventListener("click", async () => {
  const address = `${location.origin}/video-session?session=${sessionId}`;
  const copied = await navigator.clipboard.writeText(address).then(() => true, () => false);
  found("copy").querySelector("span").textContent = copied ? "Link copied" : "Copy the page’s address";
  say(copied ? "Link copied" : "Copy the page’s address");
});
found("leave").addEventListener("click", () =>
  leave("You have left", "The session is saved when everybody has left. You can join again meanwhile."));
found("leave-anyway").addEventListener("click", () =>
  leave("You have left", "The session is saved as soon as everybody has left. Look into your session history in a minute."));
found("end").addEventListener("click", () => found("confirm").showModal());
found("confirm").addEventListener("close", () => {
  if (found("confirm").returnValue === "yes" && !leaving) end();
  found("confirm").returnValue = "";
});
found("saving").addEventListener("cancel", (event) => event.preventDefault()); // Escape does not undo it

found("name").value = localStorage.getItem("name") ?? "";
document.querySelector(".of-video").hidden = voiceOnly();
if (voiceOnly()) closeCamera("Voice only: no picture is sent.");
prepare({ video: !voiceOnly() });
