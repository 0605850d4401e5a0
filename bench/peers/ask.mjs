// Passes a message to the registry's object as Keyward's edge does, and returns the answer, to measure the object alone.

export default {
  fetch(request, env) {
    return env.REGISTRY.getByName("registry").fetch("https://registry/", { method: "POST", body: request.body });
  },
};
