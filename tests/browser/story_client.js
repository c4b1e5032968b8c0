// A platform's own coaching page, as small as it can be: it does what such pages do, in their way and with their faults.
//
// It enters a room with a token from the API, reads WebRTC statistics every so often, and tells the API of its session:
// PATCH on connect and disconnect, joins and leaves of participants, a save with figures as text that is tried again
// after 1, 2 and 4 seconds, and a last save while the tab closes.
const query = new URLSearchParams(location.search);
const session = { begun: new Date(), transcript: [], bitrates: [], rates: [], losses: 0, qualities: [], saved: false };
const log = (window.log = []); // what happened, for the test to wait for
let room;

const call = (method, path, body, more = {}) =>
  fetch(path, {
    method,
    credentials: "include",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    ...more,
  });

const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 0);

function averageQuality(readings) {
  if (!readings.length) return "unknown";
  const scores = { excellent: 4, good: 3, fair: 2, poor: 1 };
  const average = mean(readings.map((quality) => scores[quality] ?? 0));
  return average >= 3.5 ? "excellent" : average >= 2.5 ? "good" : average >= 1.5 ? "fair" : "poor";
}

function payload() {
  const ended = new Date();
  const readings = session.bitrates.length;
  return {
    session_id: session.id,
    counselor_category: query.get("category"),
    mode: query.get("mode"),
    start_time: session.begun.toISOString(),
    end_time: ended.toISOString(),
    duration_seconds: Math.floor((ended - session.begun) / 1000),
    transcript: session.transcript.map((line) => ({ ...line, timestamp: line.timestamp.toISOString() })),
    quality_metrics: {
      average_bitrate: mean(session.bitrates).toFixed(2),
      average_fps: mean(session.rates).toFixed(2),
      packet_loss_percentage: (readings ? (session.losses / readings) * 100 : 0).toFixed(2),
      connection_quality_average: averageQuality(session.qualities),
      total_readings: readings,
    },
  };
}

async function save(tried = 0) {
  if (session.saved) return true;
  try {
    const answer = await call("POST", "/api/v1/sessions/save", payload());
    if (!answer.ok) throw new Error(`answer ${answer.status}`);
    session.saved = true;
    log.push("saved");
    session.answer = await answer.json();
    document.querySelector("output").textContent = `${session.answer.message} (${session.answer.session_id})`;
    return true;
  } catch (error) {
    log.push(`failed: ${error.message}`);
    if (tried < 3) {
      await new Promise((resolve) => setTimeout(resolve, 2 ** tried * 1000));
      return save(tried + 1);
    }
    document.querySelector("output").textContent = "Failed to save session";
    return false;
  }
}

async function measure() {
  for (const { track } of room.localParticipant.trackPublications.values()) {
    const stats = await track?.getRTCStatsReport();
    stats?.forEach((stat) => {
      if (stat.type === "outbound-rtp" && stat.kind === "video") {
        session.bitrates.push((stat.bytesSent * 8) / 1000); // a running total: such pages divide by no time
        session.rates.push(stat.framesPerSecond || 0);
      }
      if (stat.packetsLost > 0) session.losses += 1;
    });
  }
  log.push("measured");
}

async function disconnected() {
  clearInterval(session.measuring);
  const ended = new Date();
  await save();
  await call("PATCH", `/api/sessions/${session.id}`, {
    status: "completed",
    ended_at: ended,
    duration_seconds: Math.floor((ended - session.connected) / 1000),
  });
  await call("PATCH", "/api/coaching/participants", { participantId: session.participant });
  log.push("left");
}

async function begin() {
  const entered = await call("POST", "/api/sessions", {
    participant_name: query.get("name"),
    counselor_category: query.get("category"),
    mode: query.get("mode"),
  });
  const { server_url, participant_token, session_id } = await entered.json();
  window.session = session;
  session.id = session_id;
  room = new LivekitClient.Room();
  room.on("connectionQualityChanged", (quality) => session.qualities.push(quality));
  room.on("disconnected", disconnected);
  await room.connect(server_url, participant_token);
  session.connected = new Date();
  await call("PATCH", `/api/sessions/${session.id}`, { status: "in_progress", started_at: session.connected });
  const joined = await call("POST", "/api/coaching/participants", {
    sessionId: session.id,
    userId: query.get("user"),
    name: query.get("name"),
  });
  session.participant = (await joined.json()).participantId;
  await room.localParticipant.setMicrophoneEnabled(true);
  if (query.get("mode") === "video") await room.localParticipant.setCameraEnabled(true);
  session.measuring = setInterval(measure, Number(query.get("every") ?? 10_000));
  log.push("connected");
}

addEventListener("transcript", ({ detail }) => session.transcript.push({ ...detail, timestamp: new Date() }));
addEventListener("beforeunload", (event) => {
  if (session.saved || !session.id) return;
  event.preventDefault();
  const body = payload();
  call("POST", "/api/v1/sessions/save", body, { keepalive: true }).catch(() => {});
  navigator.sendBeacon("/api/v1/sessions/save", JSON.stringify(body));
});
document.querySelector("button").addEventListener("click", async () => {
  await save();
  await room.disconnect();
});
begin().catch((error) => log.push(`no session: ${error.message}`));
