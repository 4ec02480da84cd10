// The pure parts of Settings: hours of a day, months of usage, the audit log and webhooks in words, deliveries in a list.
import { describe, expect, it } from "vitest";
import type { Pages } from "@/api/queries";
import { aboutWords, actorWords, detailsOf, doneWords } from "./audit";
import { withNewest, type Delivery } from "./deliveries";
import { answerWords, eventsWords, healthWords, stateOf } from "./events";
import { lengthWords, minuteIn, minutesOf, openFor, openParts } from "./hours";
import { boundsOf, daysOf, monthFrom, roundUp, shifted } from "./months";

describe("the processing window", () => {
  it("is one part of the day, or two past midnight", () => {
    expect(openParts(540, 1020)).toEqual([{ from: 540, to: 1020 }]);
    expect(openParts(1200, 360)).toEqual([{ from: 0, to: 360 }, { from: 1200, to: 1440 }]);
    expect(openParts(1200, 0)).toEqual([{ from: 1200, to: 1440 }]);
    expect(openParts(60, 60)).toEqual([]);
  });
  it("has a length, past midnight too", () => {
    expect(openFor(1200, 360)).toBe(600);
    expect(lengthWords(1200, 360)).toBe("10 hours a day, past midnight");
    expect(lengthWords(1200, 0)).toBe("4 hours a day");
  });
  it("reads times, and refuses what is none", () => {
    expect(minutesOf("20:30")).toBe(1230);
    expect(minutesOf("24:00")).toBeNull();
    expect(minutesOf("")).toBeNull();
  });
  it("knows the minute in a zone, and that some zones are none", () => {
    expect(minuteIn("Asia/Tokyo", new Date("2026-05-03T20:30:00Z"))).toBe(330);
    expect(minuteIn("Nowhere/Here", new Date())).toBeNull();
  });
});

describe("usage", () => {
  const now = new Date("2026-05-03T10:00:00Z");
  it("shows no month that is still to come, and none that is no month", () => {
    expect(monthFrom("2026-06", now)).toBe("2026-05");
    expect(monthFrom("2026-04", now)).toBe("2026-04");
    expect(monthFrom("2026-13", now)).toBe("2026-05");
    expect(monthFrom(null, now)).toBe("2026-05");
  });
  it("goes over the turn of the year", () => {
    expect(shifted("2026-01", -1)).toBe("2025-12");
    expect(boundsOf("2026-12")).toEqual({ from: "2026-12-01T00:00:00.000Z", to: "2027-01-01T00:00:00.000Z" });
  });
  it("has every day of a month, and keeps an unknown price unknown", () => {
    const days = daysOf("2028-02", [{ day: "2028-02-03", seconds: 60, requests: 1, estimated_cost_usd: null, unpriced_seconds: 60 }]);
    expect(days).toHaveLength(29);
    expect(days[2]).toEqual({ day: "2028-02-03", seconds: 60, cost: null });
    expect(days[3]).toEqual({ day: "2028-02-04", seconds: 0, cost: 0 });
  });
  it("has a scale with a round top", () => expect([0, 0.2, 5.1, 43, 100, 1001].map(roundUp)).toEqual([1, 1, 10, 50, 100, 2000]));
});

describe("webhooks in words", () => {
  it("say what they hear of", () => {
    expect(eventsWords(["job.completed"])).toBe("Hears when an import is over.");
    expect(eventsWords(["job.completed", "import.completed"])).toBe("Hears when a call is imported and when an import is over.");
  });
  it("say how the last day was", () => {
    expect(healthWords({ delivered_24h: 0, failed_24h: 0 })).toBe("Nothing was sent in the last 24 hours");
    expect(healthWords({ delivered_24h: 1, failed_24h: 3 })).toBe("1 message delivered, 3 failed in the last 24 hours");
    expect(healthWords({ delivered_24h: 0, failed_24h: 2 })).toBe("2 messages failed in the last 24 hours");
  });
  it("tell a pause by hand from one that came by itself", () => {
    expect(stateOf({ active: false, paused_reason: null }).word).toBe("Paused");
    expect(stateOf({ active: false, paused_reason: "Nothing could be delivered." }).word).toBe("Stopped");
  });
  it("say what the other side answered", () => {
    expect(answerWords({ status: "delivered", last_status_code: 204, last_error: null })).toBe("Accepted (204)");
    expect(answerWords({ status: "pending", last_status_code: null, last_error: null })).toBe("Waits to be sent");
    expect(answerWords({ status: "pending", last_status_code: 500, last_error: "It answered 500." })).toBe("It answered 500.");
  });
});

describe("deliveries that are looked at again", () => {
  const delivery = (id: string, at: number, status: Delivery["status"] = "pending") => ({ id, created_at: `2026-05-03T10:00:0${at}Z`, status }) as Delivery;
  const pages = { pages: [{ items: [delivery("b", 2), delivery("a", 1)] }], pageParams: [null] } as unknown as Pages<Delivery>;
  const ids = (of: Pages<Delivery>) => of.pages.flatMap((page) => page.items.map((each) => `${each.id} ${each.status}`));
  it("are changed in their place, new ones on top", () => expect(ids(withNewest(pages, [delivery("c", 3), delivery("b", 2, "delivered")]))).toEqual(["c pending", "b delivered", "a pending"]));
  it("do not come in below what is loaded", () => expect(ids(withNewest(pages, [delivery("0", 0)]))).toEqual(["b pending", "a pending"]));
  it("leave the list alone when nothing is new to it", () => expect(ids(withNewest(pages, []))).toEqual(["b pending", "a pending"]));
});

describe("the audit log in words", () => {
  it("says what was done", () => {
    expect(doneWords({ action: "key.created", detail: { name: "Nightly report" } })).toBe("Made the API key “Nightly report”");
    expect(doneWords({ action: "member.role_changed", detail: { role: "owner", before: "member" } })).toBe("Changed a role from Member to Owner");
    expect(doneWords({ action: "something.new_here", detail: {} })).toBe("Something new here");
  });
  it("says what it was done to, as far as that has a name", () => {
    const names = new Map([["s1", "Fathom · team@acme.example"], ["fathom", "Fathom"], ["u1", "Mila"]]);
    expect(aboutWords({ action: "source.synced", target: "s1", detail: {} }, names)).toBe("Fathom · team@acme.example");
    expect(aboutWords({ action: "source.disconnected", target: "gone", detail: { platform: "fathom", account: "old@acme.example" } }, names)).toBe("Fathom · old@acme.example");
    expect(aboutWords({ action: "admin_import.started", target: "j", detail: { platform: "fathom", account: "x@y.example", customer: "u1" } }, names)).toBe("Mila · Fathom · x@y.example");
    expect(aboutWords({ action: "session.created", target: "", detail: {} }, names)).toBeNull();
  });
  it("says who did it, also when they are gone", () => {
    expect(actorWords({ actor: "user:1", actor_name: null })).toBe("Somebody who has left");
    expect(actorWords({ actor: "key:x", actor_name: "API key x" })).toBe("API key x");
  });
  it("lists what is known, without what is empty", () =>
    expect(detailsOf({ name: "x", empty: null, events: ["a", "b"], window: { from: "20:00" } })).toEqual([["Name", "x"], ["Events", "a, b"], ["Window", '{"from":"20:00"}']]));
});
