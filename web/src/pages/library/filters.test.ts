import { describe, expect, it } from "vitest";
import { addressWith, filtersOf, lastDays, mayFit, narrowed, NONE, queryOf, shifted, startOf, uncertain } from "./filters";

describe("filters in the address", () => {
  it("are read back as they were written, and leave the rest alone", () => {
    const address = addressWith(new URLSearchParams("view=wide"), { q: " budget ", source: "zoom", from: "2026-05-01" });
    expect(filtersOf(address)).toEqual({ ...NONE, q: "budget", source: "zoom", from: "2026-05-01" });
    expect(address.get("view")).toBe("wide");
    expect(addressWith(address, { q: "" }).has("q")).toBe(false);
  });
  it("drop what is no day", () => {
    expect(filtersOf(new URLSearchParams("from=2026-02-31&to=soon"))).toEqual(NONE);
  });
  it("say whether anything narrows the list", () => {
    expect(narrowed(NONE)).toBe(false);
    expect(narrowed({ ...NONE, speaker: "Mila" })).toBe(true);
  });
});

describe("what the API is asked", () => {
  it("both days are included, from the first moment to the last", () => {
    const asked = queryOf({ ...NONE, from: "2026-05-01", to: "2026-05-03" });
    expect(asked.from).toBe(startOf("2026-05-01").toISOString());
    expect(asked.to).toBe(startOf("2026-05-04").toISOString());
    expect(asked.q).toBeUndefined();
  });
  it("walks the calendar over the end of a month and a year", () => {
    expect(shifted("2026-02-28", 1)).toBe("2026-03-01");
    expect(shifted("2026-01-01", -1)).toBe("2025-12-31");
    expect(lastDays(7, startOf("2026-05-07"))).toEqual({ from: "2026-05-01", to: "2026-05-07" });
  });
});

describe("a call that has just arrived", () => {
  const call = { source_app: "zoom", recording_start_time: startOf("2026-05-03").toISOString(), imported_at: startOf("2026-06-01").toISOString() };
  it("fits a list that asks for its source and day", () => {
    expect(mayFit(call, { ...NONE, source: "zoom", from: "2026-05-03", to: "2026-05-03" })).toBe(true);
  });
  it("does not fit a list of another source or another day", () => {
    expect(mayFit(call, { ...NONE, source: "gong" })).toBe(false);
    expect(mayFit(call, { ...NONE, to: "2026-05-02" })).toBe(false);
    expect(mayFit(call, { ...NONE, from: "2026-05-04" })).toBe(false);
  });
  it("without a time of its own counts from when it was imported", () => {
    expect(mayFit({ ...call, recording_start_time: null }, { ...NONE, from: "2026-06-01" })).toBe(true);
  });
  it("is a guess where words are searched", () => {
    expect(uncertain({ ...NONE, q: "x" })).toBe(true);
    expect(uncertain({ ...NONE, source: "zoom" })).toBe(false);
  });
});
