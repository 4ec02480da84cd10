// Keys that name one thing a person wanted, so that sending it twice does it once (Idempotency-Key).

/** A new one. `crypto.randomUUID` is only there under https, random bytes always. */
export function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join("");
}
