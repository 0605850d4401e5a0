// Long-lived answers that began with a key: WebSockets and event streams. crates/edge/src/connections.rs decides how long each stays
// open; this file holds both ends, runs the checks at the times that Rust returns, and closes the ends.
//
// A verdict of Rust is a text: `open LF <ms until the next check> LF <ms until it closes> LF <reason for closing> LF <connection>`, or
// `close LF <reason>`. Only these texts and timers outlive a check, so a client that disconnects leaves no state behind.

import { edited } from "./answer.js";
import { requestText } from "./glue.js";

/** Returns the verdict about a connection, when it opens and at each check. */
let judge;
/** Logs each connection that was closed here. */
let closed;

/** Sets both. Rust calls this once for each isolate. */
export function onConnections(decide, log) {
  judge = decide;
  closed = log;
}

/** Policy violation (RFC 6455, section 7.4.1): the close code to both ends. */
const NO_LONGER_ADMITTED = 1008;

/** Time limit for a client to read the end of a stream; after it the stream is aborted. */
const END_WITHIN_MILLISECONDS = 1_000;

/**
 * Returns a long-lived answer that is held open while the key is admitted, or Rust's refusal if the key no longer is.
 * `exchange` is `{request, context, environment, requestId}`.
 */
export async function hold(exchange, response, edits) {
  const { environment, context, requestId, request } = exchange;
  const verdict = await judge(environment, context, requestId, requestText(request), true);
  if (typeof verdict !== "string") {
    discard(response);
    return verdict;
  }
  if (response.webSocket) return heldSocket(exchange, verdict, response, edits);
  return heldStream(exchange, verdict, response, edits);
}

function discard({ webSocket, body }) {
  if (webSocket) {
    webSocket.accept();
    closeSocket(webSocket, NO_LONGER_ADMITTED, "");
  } else {
    body.cancel().catch(() => {});
  }
}

/** Runs the checks of a connection, and calls `close` with the reason once it must close. Returns a function that stops the checks. */
function watch(exchange, kind, verdict, close) {
  const { environment, context, requestId } = exchange;
  let isOver = false;
  let checkTimer;
  let closeTimer;
  let connection = "";
  const stop = () => {
    isOver = true;
    clearTimeout(checkTimer);
    clearTimeout(closeTimer);
  };
  const end = (reason) => {
    if (isOver) return;
    stop();
    close(reason);
    closed(requestId, kind, reason, connection);
  };
  const follow = (text) => {
    if (isOver) return;
    const [state, ...rest] = text.split("\n");
    if (state !== "open") return end(rest[0]);
    const [checkIn, closeIn, reason] = rest;
    connection = rest[3];
    // Independent of the next check, so a failed or hanging check does not keep a connection open.
    clearTimeout(closeTimer);
    closeTimer = setTimeout(end, Number(closeIn), reason);
    checkTimer = setTimeout(check, Number(checkIn));
  };
  const check = async () => {
    try {
      follow(await judge(environment, context, requestId, connection, false));
    } catch {
      // The wasm instance is gone.
      end("internal_error");
    }
  };
  follow(verdict);
  return stop;
}

function heldSocket(exchange, verdict, response, edits) {
  const origin = response.webSocket;
  const { 0: client, 1: server } = new WebSocketPair();
  const answer = edited(response, edits, exchange.requestId, { webSocket: client });
  const ends = { isOpen: true };
  for (const end of [server, origin]) end.binaryType = "arraybuffer";
  const stop = watch(exchange, "websocket", verdict, (reason) => {
    ends.isOpen = false;
    closeSocket(server, NO_LONGER_ADMITTED, reason);
    closeSocket(origin, NO_LONGER_ADMITTED, reason);
  });
  relay(server, origin, ends, stop);
  relay(origin, server, ends, stop);
  // Half open: each end learns the other's close code.
  server.accept({ allowHalfOpen: true });
  origin.accept({ allowHalfOpen: true });
  return answer;
}

/** Passes messages and the close of one end on to the other. */
function relay(from, to, ends, stop) {
  from.addEventListener("message", ({ data }) => {
    if (ends.isOpen) to.send(data);
  });
  const over = (code, reason) => {
    stop();
    ends.isOpen = false;
    closeSocket(to, code, reason);
    closeSocket(from, code, reason);
  };
  from.addEventListener("close", ({ code, reason }) => over(code, reason));
  from.addEventListener("error", () => over(WENT_AWAY, ""));
}

/** Close codes that report a missing status or a missing close frame. They are never sent. */
const NO_STATUS = 1005;
const WENT_AWAY = 1006;
const PROTOCOL_ERROR = 1002;

function closeSocket(socket, code, reason) {
  if (code === NO_STATUS) tryToClose(socket);
  else if (code === WENT_AWAY) tryToClose(socket, 1011, "The other end is gone.");
  // A peer may send what the runtime refuses to: a reserved code, or a reason that is too long. It must not keep both ends open.
  else if (!tryToClose(socket, code, reason) && !tryToClose(socket, code)) tryToClose(socket, PROTOCOL_ERROR);
}

function tryToClose(socket, ...frame) {
  try {
    socket.close(...frame);
    return true;
  } catch {
    // The frame is refused, or the socket is closed already.
    return false;
  }
}

function heldStream(exchange, verdict, response, edits) {
  const { readable, writable } = new IdentityTransformStream();
  const answer = edited(response, edits, exchange.requestId, { body: readable });
  const end = new AbortController();
  const stop = watch(exchange, "stream", verdict, () => end.abort());
  response.body.pipeTo(writable, { signal: end.signal, preventAbort: true }).then(stop, (error) => {
    stop();
    // If the origin broke off, abort: the client must not take the stream for complete.
    const ended = end.signal.aborted ? endStream(writable) : writable.abort(error);
    return ended.catch(() => {});
  });
  return answer;
}

/** Ends a stream properly. A client that does not read cannot keep it open. */
function endStream(writable) {
  const timer = setTimeout(() => writable.abort(new Error("not read")).catch(() => {}), END_WITHIN_MILLISECONDS);
  return writable.close().finally(() => clearTimeout(timer));
}
