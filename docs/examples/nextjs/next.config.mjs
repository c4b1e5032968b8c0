// The platform's own origin also answers /api/sessions... : no cross-origin request, and its cookie comes along.
// The web part then sees another Host than the page's Origin, so it has to be told (SESSIONS_URL is where it listens):
//   WEB_ALLOWED_ORIGINS=https://app.example.org WEB_COOKIE_NAME=platform_session python -m web

const sessions = process.env.SESSIONS_URL ?? "http://127.0.0.1:8080";

export default {
  async rewrites() {
    return [
      { source: "/api/sessions/:path*", destination: `${sessions}/api/sessions/:path*` },
      { source: "/api/v1/sessions/:path*", destination: `${sessions}/api/v1/sessions/:path*` },
      { source: "/api/coaching/:path*", destination: `${sessions}/api/coaching/:path*` },
    ];
  },
};
