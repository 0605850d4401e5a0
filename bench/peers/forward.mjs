// Baseline: forwards to the origin's address, as a gate must, without any check.

export default {
  fetch(request, env) {
    const { url, method, headers, body } = request;
    return fetch(env.ORIGIN + url.slice(url.indexOf("/", 8)), { method, headers, body, redirect: "manual" });
  },
};
