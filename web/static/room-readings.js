// What this client sends, measured every ten seconds and told to the recorder (topic `quality.reading`).

const EVERY = 10_000;
const COUNTS = ["bytes", "frames", "packets", "lost"];

/** Tell until the returned function is called. */
export function tellReadings(room) {
  let earlier = new Map();
  const timer = setInterval(async () => {
    const now = new Map();
    for (const publication of room.localParticipant.trackPublications.values()) {
      if (!publication.track?.sender || publication.isMuted) continue;
      const counters = await read(publication.track.sender).catch(() => null);
      if (!counters) continue;
      now.set(publication.trackSid, counters);
      const before = earlier.get(publication.trackSid);
      const reading = before && between(before, counters);
      if (reading) send(room, { track_sid: publication.trackSid, source: publication.source, ...reading });
    }
    earlier = now;
  }, EVERY);
  return () => clearInterval(timer);
}

/** The counters of a track, all its layers together; sizes are those of the largest. */
async function read(sender) {
  const counters = { at: performance.now(), bytes: 0, frames: 0, packets: 0, lost: 0, video: false, told: false };
  for (const part of (await sender.getStats()).values()) {
    if (part.type === "outbound-rtp") {
      counters.bytes += part.bytesSent ?? 0;
      counters.packets += part.packetsSent ?? 0;
      counters.frames = Math.max(counters.frames, part.framesSent ?? 0);
      counters.video ||= part.kind === "video";
      if ((part.frameWidth ?? 0) > (counters.width ?? 0)) [counters.width, counters.height] = [part.frameWidth, part.frameHeight];
    } else if (part.type === "remote-inbound-rtp") {
      counters.told = true;
      counters.lost += part.packetsLost ?? 0;
      counters.jitter = Math.max(counters.jitter ?? 0, part.jitter ?? 0);
      if (part.roundTripTime !== undefined) counters.roundTrip = part.roundTripTime;
    }
  }
  return counters;
}

/** What happened between two looks; nothing when the counters began anew. */
function between(before, after) {
  const seconds = (after.at - before.at) / 1000;
  const [bytes, frames, packets, lost] = COUNTS.map((name) => after[name] - before[name]);
  if (seconds <= 0 || seconds > 120 || bytes < 0 || packets < 0) return null;
  const reading = { seconds, bitrate_kbps: (bytes * 8) / 1000 / seconds };
  if (after.video && frames >= 0) Object.assign(reading, { fps: frames / seconds });
  if (after.width) Object.assign(reading, { width: after.width, height: after.height });
  if (after.told) {
    const gone = Math.min(Math.max(lost, 0), packets);
    Object.assign(reading, { packets_lost: gone, packets_received: packets - gone, jitter_ms: (after.jitter ?? 0) * 1000 });
  }
  if (after.roundTrip !== undefined) reading.round_trip_ms = after.roundTrip * 1000;
  return reading;
}

function send(room, reading) {
  const data = new TextEncoder().encode(JSON.stringify(reading));
  room.localParticipant.publishData(data, { reliable: true, topic: "quality.reading" }).catch(() => {}); // the next one tells
}
