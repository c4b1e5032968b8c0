// A platform's own page calls the API at another origin. The web part names the page's origin:
//   WEB_ALLOWED_ORIGINS=https://app.example.org

/** Call the API: with a bearer token, else with the cookie. Throws an Error whose message says what was wrong. */
export async function call(api, path, { token, method = "GET", body } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(new URL(path, api), {
    method,
    headers,
    credentials: token ? "omit" : "include",
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${response.status} ${answer.detail}`);
  return answer;
}
