// The worker's entry on this machine, around the built one: the client's address, which Cloudflare adds in `CF-Connecting-IP`.

// @ts-expect-error: local-worker.mjs puts the built module beside this one.
import worker from "./index.js";

// @ts-expect-error: the same.
export { Events, Limits, Registry, Usage } from "./index.js";

/** Only this machine can reach the sockets, over IPv4 or IPv6. One address for both, so that one network in `allowed_cidrs` is enough. */
const CLIENT_ADDRESS = "127.0.0.1";

export default {
  fetch(request, env, ctx) {
    const received = new Request(request);
    // As on the edge, the client's own value does not count.
    received.headers.set("cf-connecting-ip", CLIENT_ADDRESS);
    return worker.fetch(received, env, ctx);
  },
};
