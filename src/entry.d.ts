// Modules that exist only in the build (tools/build.mjs), and globals of the Workers runtime.

declare module "worker-build" {
  /** The class that worker-build exports: it makes a new wasm instance after a panic. */
  export default class Recovering {
    constructor(ctx: unknown, env: unknown);
    fetch(request: Request): Response | Promise<Response>;
  }
  export class Limits {}
  export class Events {}
  export class Registry {}
}

declare module "keyward-console" {
  /** Manifest of the console's files by path. */
  const manifest: { files: Record<string, object> };
  export default manifest;
}

declare module "keyward-openapi" {
  const text: string;
  export default text;
}

declare class IdentityTransformStream extends TransformStream<Uint8Array, Uint8Array> {}
declare class FixedLengthStream extends IdentityTransformStream {
  constructor(length: number | bigint);
}

/** One end of a WebSocket, as the Workers runtime has it. */
interface WorkerWebSocket {
  binaryType: string;
  accept(options?: { allowHalfOpen?: boolean }): void;
  send(data: string | ArrayBuffer): void;
  close(code?: number, reason?: string): void;
  // biome-ignore lint/suspicious/noExplicitAny: each event has its own type
  addEventListener(type: "message" | "close" | "error", listener: (event: any) => void): void;
}
declare class WebSocketPair {
  0: WorkerWebSocket;
  1: WorkerWebSocket;
}
interface Response {
  webSocket: WorkerWebSocket | null;
}
interface ResponseInit {
  webSocket?: WorkerWebSocket | null;
}

declare var __keyward_texts: {
  openApi: string;
  advice: Record<string, string>;
  console: { files: Record<string, object> };
};
declare var __worker_init_state: { criticalError: boolean };
