import { expect, it } from "vitest";
import { arrived } from "./typed";

const typed = { text: "zoom", seen: "z", pending: ["zo", "zoo", "zoom"] };

it("keeps what was typed while older letters come back", () => {
  const after = arrived(typed, "zoo");
  expect(after).toEqual({ text: "zoom", seen: "zoo", pending: ["zoom"] });
  expect(arrived(after, "zoom")).toEqual({ text: "zoom", seen: "zoom", pending: [] });
});

it("takes what comes from somebody else", () => {
  expect(arrived(typed, "")).toEqual({ text: "", seen: "", pending: [] });
  expect(arrived(typed, "z")).toBe(typed);
});
