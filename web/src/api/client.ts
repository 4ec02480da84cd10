// The typed client. Every call of the page goes through here; types come from the API's own description (schema.d.ts).
import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
/** A shape of the API by its name: `Shape<"Job">`. */
export type Shape<Name extends keyof Schemas> = Schemas[Name];
export type Job = Shape<"Job">;
export type Source = Shape<"SourceView">;
export type Session = Shape<"Session">;

/** What went wrong, for a person (`sentence`) and for the page (`status`, `reason`, `field`). Status 0: no connection. */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    readonly sentence: string,
    readonly field: string | null = null,
    readonly body: Readonly<Record<string, unknown>> = {},
  ) {
    super(sentence);
    this.name = "ApiProblem";
  }
  /** Whether trying again may help by itself. */
  get passing(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

const NO_CONNECTION = "callstream cannot be reached. Check your connection; the page tries again by itself.";
let csrf: string | null = null;
let onSignedOut: () => void = () => undefined;

/** The token that every change must carry; the session brings it. */
export function rememberCsrf(token: string | null): void {
  csrf = token;
}
/** The token, for requests that are not made by `api` (uploads with progress). */
export const csrfToken = (): string | null => csrf;

/** Who is told when the API says that nobody is signed in. */
export function whenSignedOut(handler: () => void): void {
  onSignedOut = handler;
}

/** An answer that is not the one hoped for, as an ApiProblem. */
export function problemOf(status: number, text: string): ApiProblem {
  try {
    const body = JSON.parse(text) as Record<string, unknown>;
    const sentence = typeof body.detail === "string" ? body.detail : fallback(status);
    const field = typeof body.field === "string" && body.field ? body.field : null;
    return new ApiProblem(status, typeof body.reason === "string" ? body.reason : "unknown", sentence, field, body);
  } catch {
    return new ApiProblem(status, "unreadable_answer", fallback(status));
  }
}

function fallback(status: number): string {
  return status >= 500
    ? "callstream has trouble right now. Try again in a moment; nothing you sent before is lost."
    : "This did not work. Try again, and reload the page if it does not work then either.";
}

/** Whatever was thrown, as an ApiProblem. */
export function asProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  return new ApiProblem(0, "unknown", "Something on this page went wrong. Reload it and try again.");
}

const guard: Middleware = {
  onRequest({ request }) {
    if (csrf && request.method !== "GET" && request.method !== "HEAD") request.headers.set("X-CSRF-Token", csrf);
    return request;
  },
  async onResponse({ response }) {
    if (response.ok || response.status === 304) return undefined;
    if (response.status === 401) onSignedOut();
    throw problemOf(response.status, await response.text());
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === "AbortError") return error;
    return new ApiProblem(0, "no_connection", NO_CONNECTION);
  },
};

/** The client: `api.GET("/api/calls/{recording_id}", {params: …})`. It throws ApiProblem; `data` unwraps the answer. */
export const api = createClient<paths>({ baseUrl: globalThis.location?.origin ?? "", credentials: "same-origin" });
api.use(guard);

/** The answer's body: `await data(api.GET("/api/sources"))`. */
export async function data<T>(answer: Promise<{ data?: T }>): Promise<T> {
  return (await answer).data as T;
}

/** For a route that is not in the schema yet: JSON in, JSON out, the same problems. */
export async function raw<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
  const init: RequestInit = { method, credentials: "same-origin", headers: { Accept: "application/json", ...headers } };
  const sent = init.headers as Record<string, string>;
  if (csrf && method !== "GET") sent["X-CSRF-Token"] = csrf;
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    sent["Content-Type"] = "application/json";
  }
  const response = await fetch(path, init).catch(() => {
    throw new ApiProblem(0, "no_connection", NO_CONNECTION);
  });
  const text = await response.text();
  if (!response.ok) {
    if (response.status === 401) onSignedOut();
    throw problemOf(response.status, text);
  }
  return (text ? JSON.parse(text) : undefined) as T;
}
