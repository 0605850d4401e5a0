// Part of the instrumented worker, loaded before the build. Counts every call from the wasm into JavaScript by the
// name of the import, and records the settings of requests to the origin.

export const crossings = [];
export const departures = [];

const platformFetch = globalThis.fetch;
globalThis.fetch = (target, init) => {
  departures.push({ redirect: init?.redirect, cf: init?.cf ?? null });
  return platformFetch(target, init);
};

const counted = (name, body) =>
  typeof body === "function"
    ? (...values) => {
        crossings.push(name);
        return body(...values);
      }
    : body;

const wrapped = (imports) =>
  Object.fromEntries(
    Object.entries(imports).map(([module, functions]) => [
      module,
      Object.fromEntries(Object.entries(functions).map(([name, body]) => [name, counted(name, body)])),
    ]),
  );

const instances = [];

/** Returns the size of the product's wasm memory in bytes. */
export const wasmBytes = () => instances.reduce((sum, { exports }) => sum + exports.memory.buffer.byteLength, 0);

WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
  construct(target, [module, imports]) {
    const instance = new target(module, wrapped(imports));
    instances.push(instance);
    return instance;
  },
});
