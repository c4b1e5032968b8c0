// Camera and microphone before the call: choose them, see and hear that they work. The same tracks go into the call.

const { Room, createLocalAudioTrack, createLocalVideoTrack, createAudioAnalyser } = globalThis.LivekitClient;
const PICTURE = { width: 1280, height: 720, frameRate: 30 };
const found = (id) => document.getElementById(id);

export const devices = { audio: null, video: null };
let analyser = null;

/** Open what is chosen; says in words what cannot be had. */
export async function open({ audio = true, video = true } = {}) {
  const problems = [];
  if (!navigator.mediaDevices) return ["This page may use no microphone: browsers allow that on https only."];
  if (audio) problems.push(await openMicrophone());
  if (video) problems.push(await openCamera());
  await list();
  return problems.filter(Boolean);
}

export function closeCamera(why) {
  devices.video?.detach(found("preview"));
  devices.video?.stop();
  devices.video = null;
  found("preview").hidden = true;
  found("no-picture").hidden = false;
  found("no-picture").textContent = why;
}

/** The call has them now. */
export function handOver() {
  devices.video?.detach(found("preview"));
  analyser?.cleanup();
  analyser = null;
  return [devices.audio, devices.video].filter(Boolean);
}

async function openMicrophone() {
  analyser?.cleanup();
  devices.audio?.stop();
  analyser = devices.audio = null;
  try {
    devices.audio = await createLocalAudioTrack({ deviceId: chosen("microphone") });
    analyser = createAudioAnalyser(devices.audio);
    return "";
  } catch (error) {
    return inWords(error, "microphone", "You can join and listen.");
  }
}

async function openCamera() {
  closeCamera("Waiting for your camera …");
  try {
    devices.video = await createLocalVideoTrack({ deviceId: chosen("camera"), resolution: PICTURE });
    devices.video.attach(found("preview"));
    found("preview").hidden = false;
    found("no-picture").hidden = true;
    return "";
  } catch (error) {
    found("no-picture").textContent = "No picture";
    return inWords(error, "camera", "You can join without a picture.");
  }
}

function chosen(id) {
  const value = found(id).value || localStorage.getItem(id);
  return value ? { ideal: value } : undefined;
}

function inWords(error, device, anyway) {
  if (error.name === "NotAllowedError") return `The browser does not let this page use your ${device}. Allow it in the address bar and load the page again. ${anyway}`;
  if (error.name === "NotFoundError") return `No ${device} was found. ${anyway}`;
  return `Your ${device} does not answer; another program may be using it. ${anyway}`;
}

const KINDS = [["microphone", "audioinput"], ["camera", "videoinput"]];

async function list() {
  const tracks = { microphone: devices.audio, camera: devices.video };
  for (const [name, kind] of KINDS) await offer(found(name), name, kind, await tracks[name]?.getDeviceId());
}

async function offer(select, name, kind, used) {
  const all = await Room.getLocalDevices(kind, false).catch(() => []);
  select.replaceChildren(...all.map((device, n) => new Option(device.label || `${name} ${n + 1}`, device.deviceId, false, device.deviceId === used)));
  if (!all.length) select.replaceChildren(new Option(`No ${name}`, ""));
}

/** In the call: offer what is there whenever the menu is opened or something is plugged in, and change to what is chosen. */
export function changing(room, event, failed) {
  const menu = found("in-call");
  const renew = async () => {
    if (!menu.open) return;
    for (const [name, kind] of KINDS) await offer(found(`${name}-now`), name, kind, room.getActiveDevice(kind));
  };
  menu.addEventListener("toggle", renew);
  room.on(event, renew);
  menu.addEventListener("keydown", (key) => {
    if (key.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  for (const [name, kind] of KINDS) {
    found(`${name}-now`).addEventListener("change", async ({ target }) => {
      const changed = await room.switchActiveDevice(kind, target.value).catch(() => false);
      if (changed) localStorage.setItem(name, target.value);
      else failed(name);
      await renew();
    });
  }
}

setInterval(() => {
  if (analyser) found("level").value = Math.min(1, analyser.calculateVolume() * 2);
}, 100);
