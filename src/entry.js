// The worker's entry, bundled over worker-build's by tools/build.mjs. worker-build exports a class behind proxies, which the
// runtime makes anew for every request: 4 % of an accepted request in a profile (docs/decisions/0010-hot-path.md). A plain
// object is made once. After a panic, and only then, worker-build's class is used: it makes a new wasm instance first.

import openApi from "keyward-openapi";
import Recovering, { Registry } from "worker-build";
import advice from "../crates/control/src/advice.json";
import { verifyAccess } from "./access.js";

export { Registry };

// For the glue to answer with: src/admin/openapi.json with the version, as a text (tools/build.mjs), and the advice of each error.
globalThis.__keyward_texts = { openApi, advice };

// For the glue to call: wasm-bindgen copies glue.js alone, so it cannot import it.
globalThis.__keyward_verify_access = verifyAccess;

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
