// What this deployment's API can do, read from its OpenAPI document. A screen whose operations are absent is not offered.

import { call } from "./client.ts";

interface Document {
  info?: { version?: string };
  paths?: Record<string, Record<string, { parameters?: { name?: string; in?: string }[] }>>;
  components?: { schemas?: Record<string, { properties?: Record<string, unknown> }> };
}

export class Capabilities {
  readonly version: string;
  readonly #operations = new Map<string, Set<string>>();
  readonly #fields = new Map<string, Set<string>>();

  constructor(document: Document) {
    this.version = document.info?.version ?? "unknown";
    for (const [path, item] of Object.entries(document.paths ?? {})) {
      for (const [method, operation] of Object.entries(item)) {
        const names = (operation.parameters ?? []).flatMap(({ name }) => name ?? []);
        this.#operations.set(`${method.toUpperCase()} ${path}`, new Set(names));
      }
    }
    for (const [name, schema] of Object.entries(document.components?.schemas ?? {})) {
      this.#fields.set(name, new Set(Object.keys(schema.properties ?? {})));
    }
  }

  /** Whether the API has an operation, such as `has("POST", "/incidents")`. */
  has(method: string, path: string): boolean {
    return this.#operations.has(`${method} /_keyward/v1${path}`);
  }

  /** Whether an operation takes a query parameter. */
  takes(method: string, path: string, parameter: string): boolean {
    return this.#operations.get(`${method} /_keyward/v1${path}`)?.has(parameter) ?? false;
  }

  /** Whether a schema has a field, such as `field("IssueKey", "deliver")`. */
  field(schema: string, name: string): boolean {
    return this.#fields.get(schema)?.has(name) ?? false;
  }
}

export async function readCapabilities(): Promise<Capabilities> {
  return new Capabilities(await call<Document>("/_keyward/openapi.json"));
}
