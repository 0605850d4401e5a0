// The worker's entry, which tools/build.mjs bundles in place of worker-build's. worker-build exports a class behind proxies, and the
// runtime makes an instance for every request: 4 % of an accepted request in a profile (docs/decisions/0010-hot-path.md). This plain
// object is made once. Only after a panic is worker-build's class used: it makes a new wasm instance first.

import consoleFiles from "keyward-console";
import openApi from "keyward-openapi";
import Recovering, { Events, Limits, Registry, Usage } from "worker-build";
import advice from "../crates/control/src/advice.json";

export { Events, Limits, Registry, Usage };

// Texts for glue.js: the OpenAPI document with its version and the manifest of the console's files (tools/build.mjs), and the advice for each
// error code.
globalThis.__keyward_texts = { openApi, advice, console: consoleFiles };

const { fetch } = Recovering.prototype;
const state = globalThis.__worker_init_state;

export default {
  fetch(request, env, ctx) {
    if (state.criticalError) return new Recovering(ctx, env).fetch(request);
    try {
      return fetch.call({ env, ctx }, request);
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) state.criticalError = true;
      throw error;
    }
  },
};
