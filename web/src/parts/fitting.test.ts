import { expect, it } from "vitest";
import { leastOf, leftOut } from "./fitting";

const COLUMNS = [{ width: "minmax(12rem, 2fr)" }, { width: "8rem", from: "md" }, { width: "10rem", from: "lg" }, {}] as const;

it("knows the least width of a column", () => {
  expect(leastOf("minmax(12.5rem, 2fr)")).toBe(200);
  expect(leastOf("8rem")).toBe(128);
  expect(leastOf("minmax(0, 1fr)")).toBe(128);
  expect(leastOf(undefined)).toBe(128);
});

it("leaves out what matters least, one kind after the other", () => {
  expect(leftOut(COLUMNS, 700, false)).toEqual(new Set());
  expect(leftOut(COLUMNS, 690, true)).toEqual(new Set(["lg"]));
  expect(leftOut(COLUMNS, 400, false)).toEqual(new Set(["lg", "md"]));
  expect(leftOut(COLUMNS, 360, false)).toBeNull();
});
