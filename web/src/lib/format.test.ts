import { describe, expect, it } from "vitest";
import { bytes, clockTime, count, duration, hue, initials, left, moment, num, percent, relative } from "./format";

const now = new Date("2026-05-03T12:00:00Z");
const after = (seconds: number) => new Date(now.getTime() + seconds * 1000);

describe("format", () => {
  it("writes numbers as the locale does", () => {
    expect(num(12345.5, {}, "en")).toBe("12,345.5");
    expect(num(12345.5, {}, "de")).toBe("12.345,5");
    expect(count(1, "call")).toBe("1 call");
    expect(count(1204, "call", "calls", "en")).toBe("1,204 calls");
  });
  it("never says all before it is all", () => {
    expect(percent(0.9999, "en")).toBe("99%");
    expect(percent(1, "en")).toBe("100%");
    expect(percent(-1, "en")).toBe("0%");
  });
  it("writes sizes in the unit that reads best", () => {
    expect(bytes(312, "en")).toBe("312 bytes");
    expect(bytes(312_400, "en")).toBe("312 kB");
    expect(bytes(999_999, "en")).toBe("1 MB");
    expect(bytes(2_000_000_000, "en")).toBe("2 GB");
  });
  it("writes lengths for a player and in words", () => {
    expect([clockTime(5), clockTime(245), clockTime(3729)]).toEqual(["0:05", "4:05", "1:02:09"]);
    expect([duration(1), duration(61), duration(4800), duration(90_000), duration(864_000)]).toEqual([
      "1 second", "1 minute", "1 hour 20 minutes", "1 day 1 hour", "10 days",
    ]);
  });
  it("says what is left without false precision", () => {
    expect(left(after(-5), now)).toBe("nearly done");
    expect(left(after(30), now)).toBe("less than a minute left");
    expect(left(after(240), now)).toBe("about 4 minutes left");
  });
  it("says when, seen from now", () => {
    expect(relative(after(-3), now, "en")).toBe("just now");
    expect(relative(after(-200), now, "en")).toBe("3 minutes ago");
    expect(relative(after(-90_000), now, "en")).toBe("yesterday");
    expect(relative(after(7300), now, "en")).toBe("in 2 hours");
  });
  it("shows a time in the given zone", () => {
    expect(moment(now, "en-GB", "Europe/Berlin")).toBe("3 May 2026, 14:00");
  });
  it("makes monograms, and gives a name the same colour each time", () => {
    expect([initials("Google Meet"), initials("fathom"), initials("")]).toEqual(["GM", "F", "?"]);
    expect(hue("Mila")).toBe(hue("Mila"));
    expect(hue("Mila")).toBeGreaterThanOrEqual(1);
    expect(hue("Mila")).toBeLessThanOrEqual(8);
  });
});
