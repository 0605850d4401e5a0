// Not even the address is changed: the runtime's own outbound service leads to the origin.

export default {
  fetch(request) {
    return fetch(request);
  },
};
