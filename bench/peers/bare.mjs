// Forwards without changing the URL: the runtime's outbound service is the origin.

export default {
  fetch(request) {
    return fetch(request);
  },
};
