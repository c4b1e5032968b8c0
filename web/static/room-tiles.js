// Who is in the room, one tile each: picture, name, microphone, connection.

const { Track } = globalThis.LivekitClient;
const QUALITY = { excellent: "Excellent", good: "Good", poor: "Poor", lost: "Lost" };

/** Make the tiles tell what holds now. Called after every event: it changes what differs, and nothing else. */
export function show(room, list) {
  const people = [room.localParticipant, ...room.remoteParticipants.values()];
  for (const tile of [...list.children]) {
    if (!people.some((person) => person.identity === tile.dataset.identity)) tile.remove();
  }
  for (const person of people) {
    const tile = [...list.children].find((one) => one.dataset.identity === person.identity) ?? made(list, person);
    picture(tile, person);
    sound(tile, person);
    words(tile, person);
  }
}

export const named = (person) => person.name || person.attributes.role || person.identity;

function made(list, person) {
  const tile = document.createElement("li");
  tile.className = person.isLocal ? "tile own" : "tile";
  tile.dataset.identity = person.identity;
  tile.innerHTML = '<span class="initial" aria-hidden="true"></span><div class="label"><span class="name"></span><span class="connection"></span></div>';
  list.append(tile);
  return tile;
}

function picture(tile, person) {
  const publication = person.getTrackPublication(Track.Source.Camera);
  const track = publication && !publication.isMuted ? publication.videoTrack : undefined;
  attach(tile, "video", track);
}

function sound(tile, person) {
  if (!person.isLocal) attach(tile, "audio", person.getTrackPublication(Track.Source.Microphone)?.audioTrack);
}

function attach(tile, kind, track) {
  const old = tile.querySelector(kind);
  if (old?.dataset.sid === track?.sid) return;
  old?.remove();
  if (!track) return;
  const element = track.attach();
  element.dataset.sid = track.sid;
  if (kind === "video") element.setAttribute("aria-hidden", "true"); // the label says whose it is
  tile.prepend(element);
}

function words(tile, person) {
  const name = named(person);
  const muted = !person.isMicrophoneEnabled;
  const quality = QUALITY[person.connectionQuality];
  tile.classList.toggle("speaking", person.isSpeaking);
  tell(tile.querySelector(".initial"), name.slice(0, 1).toUpperCase());
  tell(tile.querySelector(".name"), `${name}${person.isLocal ? " (you)" : ""}${muted ? ", muted" : ""}`);
  const connection = tile.querySelector(".connection");
  connection.className = `connection ${person.connectionQuality}`;
  connection.hidden = !quality;
  tell(connection, quality ? `Connection: ${quality}` : "");
}

function tell(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
