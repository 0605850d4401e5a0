// Hands a message to the registry's object as Keyward's edge does, and its answer back: to measure the object by itself.

export default {
  fetch(request, env) {
    return env.REGISTRY.getByName("registry").fetch("https://registry/", { method: "POST", body: request.body });
  },
};
