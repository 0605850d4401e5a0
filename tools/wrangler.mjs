// Runs wrangler in the pinned Node, without telemetry and without checks for updates.

import { delimiter, join } from "node:path";
import { NODE_BIN, ROOT } from "./paths.mjs";
import { run } from "./run.mjs";

export function wrangler(args) {
  return run(join(NODE_BIN, "node"), [join(NODE_BIN, "wrangler"), ...args], {
    env: {
      // [build] in wrangler.toml calls `node`.
      PATH: [NODE_BIN, process.env.PATH].join(delimiter),
      WRANGLER_SEND_METRICS: "false",
      WRANGLER_SEND_ERROR_REPORTS: "false",
      WRANGLER_HIDE_BANNER: "true", // the banner queries the npm registry for a newer version
      WRANGLER_LOG_PATH: join(ROOT, ".keyward", "logs"),
    },
  });
}
