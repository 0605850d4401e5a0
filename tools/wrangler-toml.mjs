// wrangler.toml, as wrangler reads it.

import { createRequire } from "node:module";
import { WRANGLER_TOML } from "./paths.mjs";

/** Returns wrangler.toml without defaults and without values from the environment. */
export function readWranglerToml() {
  // Not imported above: a fresh clone has no packages before setup.
  const { experimental_readRawConfig } = createRequire(import.meta.url)("wrangler");
  return experimental_readRawConfig({ config: WRANGLER_TOML }).rawConfig;
}
