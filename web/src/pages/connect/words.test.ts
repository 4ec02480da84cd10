import { describe, expect, it } from "vitest";
import { ApiProblem, type Shape } from "@/api/client";
import { brings, formErrors, matches, missing, span, waysOf } from "./words";

const field = (name: string, over: Partial<Shape<"FormField">> = {}): Shape<"FormField"> => ({ name, label: "API key", secret: true, required: true, default: "", placeholder: "", help: "", ...over });
const way = (kind: Shape<"WayIn">["kind"], available = true): Shape<"WayIn"> => ({ kind, fields: [], instructions: "", available, scopes: [], redirect_url: null });
const platform = (over: Partial<Shape<"Platform">> = {}): Shape<"Platform"> => ({
  platform: "google_meet", display_name: "Google Meet", status: "beta", logo: "", docs_url: "", supports_historical_import: true, supports_ongoing_sync: true, supports_webhook: true,
  auths: [way("oauth")], filters: [], webhook: null, reaches_back_days: null, rate_limits: [], cost_per_call_cents: 0, ...over,
});

describe("the errors of a form", () => {
  it("stand at their fields, as sentences", () => {
    const problem = new ApiProblem(422, "invalid_fields", "x", "fields.api_key", { errors: [{ field: "fields.api_key", message: "holds spaces. Copy it again" }] });
    expect(formErrors(problem, [field("api_key")], "Fathom")).toEqual({ fields: { api_key: "API key holds spaces. Copy it again." }, general: null });
  });
  it("speak of what was entered when the platform refuses it", () => {
    const problem = new ApiProblem(422, "credential_refused", "Fathom no longer accepts this account's credential.", "fields.api_key");
    expect(formErrors(problem, [field("api_key")], "Fathom").fields.api_key).toBe("Fathom does not accept this. Check it, and copy it again from there.");
  });
  it("stand above the form when they are nobody's field", () => expect(formErrors(new ApiProblem(503, "vendor_unreachable", "Fathom cannot be reached."), [field("api_key")], "Fathom").general).toBe("Fathom cannot be reached."));
  it("are found before anything is sent", () => {
    expect(missing([field("a"), field("b", { required: false }), field("c", { default: "22" })], { a: "  " })).toEqual({ a: "Enter this: API key." });
  });
});

it("a search finds a platform by any of its words", () => {
  expect(matches(platform(), "meet goo")).toBe(true);
  expect(matches(platform(), "zoom")).toBe(false);
});
it("a tile says how far back calls go and how many accounts there are", () => {
  expect(brings(platform({ reaches_back_days: 30 }), 1)).toBe("Calls of the last 30 days and new ones. One account is connected.");
  expect(span(183)).toBe("6 months");
});
it("the ways that work here come first", () => expect(waysOf(platform({ auths: [way("oauth", false), way("api_key")] })).map((each) => each.kind)).toEqual(["api_key", "oauth"]));
