// Modules that exist only in the build (tools/build.mjs), and globals of the Workers runtime.

declare module "worker-build" {
  /** The class that worker-build exports: it makes a new wasm instance after a panic. */
  export default class Recovering {
    constructor(ctx: unknown, env: unknown);
    fetch(request: Request): Response | Promise<Response>;
  }
  export class Registry {}
}

declare module "keyward-openapi" {
  const text: string;
  export default text;
}

declare class IdentityTransformStream extends TransformStream<Uint8Array, Uint8Array> {}
declare class FixedLengthStream extends IdentityTransformStream {
  constructor(length: number | bigint);
}

declare var __keyward_texts: { openApi: string; advice: Record<string, string> };
declare var __worker_init_state: { criticalError: boolean };
