// Wrapper around the unchanged build: counts the accesses to its stores and makes them fail on command. Its own
// requests, under /__test/, never reach the product.

// Imported before the build, which calls WebAssembly.Instance while it loads. A bare import is not sorted.
import "./wasm-crossings.mjs";
// @ts-expect-error: the build, which is beside this file only in the worker.
import Product, { Events, Limits, Registry as ProductRegistry, Usage } from "./index.js";
import { crossings, departures, wasmBytes } from "./wasm-crossings.mjs";

// Entry and object run in one isolate here, so they share these orders.
const orders = { kvGet: "work", kvPut: "work", registry: "work", limits: "work", analytics: "work" };
// `lookup` and `changes` are also counted in `registry`.
const counts = { kvGet: 0, kvPut: 0, registry: 0, limits: 0, lookup: 0, changes: 0 };

const MISBEHAVIOURS = {
  fail: async () => {
    throw new Error("fault planted by the test");
  },
  "fail once": async () => {
    orders.registry = "work";
    throw new Error("fault planted by the test, once");
  },
  // The marks of the runtime on an object. The runtime retries neither.
  overloaded: async () => {
    throw Object.assign(new Error("Durable Object is overloaded. Requests queued for too long."), { overloaded: true });
  },
  restarting: async () => {
    throw Object.assign(new Error("Durable Object reset because its code was updated."), {
      durableObjectReset: true,
      retryable: true,
    });
  },
  // The runtime would cancel a promise that nothing can settle.
  hang: () => new Promise((resolve) => setTimeout(resolve, 60_000)),
  slow: async (work) => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    return work();
  },
  // The call succeeds, and its answer is lost.
  "fail after": async (work) => {
    await work();
    throw new Error("fault planted by the test, after the call");
  },
  500: async () => new Response("fault planted by the test", { status: 500 }),
  garbage: async () => new Response('{"neither": "this", "nor": "that"}'),
};

function runWithFault(name, work) {
  counts[name] += 1;
  return orders[name] === "work" ? work() : MISBEHAVIOURS[orders[name]](work);
}

/** Returns a proxy of `target` with some methods replaced. Other methods are called on `target` itself. */
function facade(target, methods) {
  return new Proxy(target, {
    get(object, name) {
      if (Object.hasOwn(methods, name)) return methods[name];
      const value = Reflect.get(object, name, object);
      return typeof value === "function" && name !== "constructor" ? (...values) => object[name](...values) : value;
    },
  });
}

const watchedKv = (kv) =>
  facade(kv, {
    get: (...values) => runWithFault("kvGet", () => kv.get(...values)),
    getWithMetadata: (...values) => runWithFault("kvGet", () => kv.getWithMetadata(...values)),
    put: (...values) => runWithFault("kvPut", () => kv.put(...values)),
  });

function watchedFetch(stub, values) {
  const [, what] = /^\{"(lookup|changes)"/.exec(values[1]?.body ?? "") ?? [];
  if (what !== undefined) counts[what] += 1;
  return runWithFault("registry", () => stub.fetch(...values));
}

const watchedStub = (stub) => facade(stub, { fetch: (...values) => watchedFetch(stub, values) });

const watchedRegistry = (namespace) =>
  facade(namespace, {
    get: (...values) => watchedStub(namespace.get(...values)),
    getByName: (...values) => watchedStub(namespace.getByName(...values)),
  });

const watchedLimitsStub = (stub) =>
  facade(stub, { fetch: (...values) => runWithFault("limits", () => stub.fetch(...values)) });

const watchedLimits = (namespace) =>
  facade(namespace, { getByName: (...values) => watchedLimitsStub(namespace.getByName(...values)) });

// One wrapped `env` for each `env` of the runtime, because the product takes another object for changed variables.
let faces = new WeakMap();
const changed = {};

// Points that the product wrote to its dataset.
const points = [];
const ANALYTICS = {
  writeDataPoint(point) {
    if (orders.analytics !== "work") throw new Error("fault planted by the test");
    points.push(point);
  },
};

function watched(env) {
  let face = faces.get(env);
  if (face === undefined) {
    face = {
      ...env,
      ...changed,
      ANALYTICS,
      KEY_INDEX: watchedKv(env.KEY_INDEX),
      REGISTRY: watchedRegistry(env.REGISTRY),
    };
    if (env.LIMITS) face.LIMITS = watchedLimits(env.LIMITS);
    faces.set(env, face);
  }
  return face;
}

let sql;

// Its messages to the registry are not counted.
export { Events, Limits, Usage };

export class Registry extends ProductRegistry {
  constructor(ctx, env) {
    super(ctx, watched(env));
    // Not in `this`: after a panic worker-build replaces this instance.
    sql = ctx.storage.sql;
  }

  /** Handles /__test/disturb; every other request goes to the product. */
  fetch(request) {
    if (!request.url.endsWith("/__test/disturb")) return super.fetch(request);
    return request.json().then((statements) => {
      for (const statement of statements) sql.exec(statement);
      return new Response("done");
    });
  }
}

export default {
  async fetch(request, env, ctx) {
    const at = request.url.indexOf("/__test/");
    if (request.url.endsWith("/__test/disturb")) return env.REGISTRY.getByName("registry").fetch(request);
    return at < 0
      ? Product.fetch(request, watched(env), ctx)
      : control(request.url.slice(at + "/__test/".length), request);
  },
};

async function control(action, request) {
  if (action === "say") console.log(await request.text());
  // worker-build's error handler sets this when the wasm traps.
  if (action === "break") globalThis.__worker_init_state.criticalError = true;
  if (action === "change") {
    Object.assign(changed, await request.json());
    faces = new WeakMap();
  }
  if (action === "order") Object.assign(orders, await request.json());
  const taken = {
    ...counts,
    crossings: crossings.slice(),
    departures: departures.slice(),
    wasmBytes: wasmBytes(),
    points: points.slice(),
  };
  if (action === "take") {
    for (const name of Object.keys(counts)) counts[name] = 0;
    crossings.length = 0;
    departures.length = 0;
    points.length = 0;
  }
  return Response.json(taken);
}
