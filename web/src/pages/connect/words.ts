// What a platform brings and how one gets in, in words. Pure.
import type { ApiProblem, Shape } from "@/api/client";
import { count } from "@/lib/format";

type Platform = Shape<"Platform">;
type Way = Shape<"WayIn">;

/** Whether a search means this platform: every word of it is in the name. */
export function matches(platform: Platform, asked: string): boolean {
  const name = `${platform.display_name} ${platform.platform}`.toLowerCase();
  return asked.toLowerCase().split(/\s+/).every((word) => name.includes(word));
}

/** One line for the tile: what comes from there, and whether it is connected already. */
export function brings(platform: Platform, connected: number): string {
  if (!platform.auths.length) return "Your own program sends calls to an address you make here.";
  const reach = platform.reaches_back_days ? `Calls of the last ${span(platform.reaches_back_days)} and new ones.` : platform.supports_historical_import ? "Old calls and new ones." : "New calls.";
  return connected ? `${reach} ${connected === 1 ? "One account is" : `${connected} accounts are`} connected.` : reach;
}

/** Days as people say them: "30 days", "6 months". */
export const span = (days: number): string => (days >= 60 ? count(Math.round(days / 30.5), "month") : count(days, "day"));

const NAMES: Record<string, string> = { oauth: "Sign in", api_key: "With a key", basic: "With a key and its secret", password: "With an app or user of your own" };

/** The name of a way in. */
export const wayName = (way: Way, platform: Platform): string => (way.kind === "oauth" ? `Sign in at ${platform.display_name}` : (NAMES[way.kind] ?? "With a form"));

/** The ways in, the ones that work here first. */
export const waysOf = (platform: Platform): Way[] => [...platform.auths].sort((a, b) => Number(b.available) - Number(a.available));

/** Their sentences speak of an account that was connected before. */
const REFUSED: ReadonlySet<string> = new Set(["credential_refused", "sign_in_refused"]);

/** What is wrong with which field of a form, and what is wrong with all of it. */
export function formErrors(problem: ApiProblem, fields: readonly Shape<"FormField">[], platform: string): { fields: Record<string, string>; general: string | null } {
  const labels = new Map(fields.map((each) => [each.name, each.label]));
  const found: Record<string, string> = {};
  const listed = Array.isArray(problem.body.errors) ? (problem.body.errors as { field?: unknown; message?: unknown }[]) : [];
  for (const each of listed) {
    const name = String(each.field ?? "").replace(/^fields\./, "");
    if (labels.has(name) && typeof each.message === "string") found[name] = sentence(labels.get(name)!, each.message);
  }
  const said = REFUSED.has(problem.reason) ? `${platform} does not accept this. Check it, and copy it again from there.` : problem.sentence;
  const sole = problem.field?.replace(/^fields\./, "");
  if (sole && labels.has(sole) && !found[sole]) found[sole] = said;
  return { fields: found, general: Object.keys(found).length ? null : said };
}

function sentence(label: string, message: string): string {
  const text = message.startsWith("is missing") ? "This is missing." : /^[a-z]/.test(message) ? `${label} ${message}` : message;
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** The fields of a form that must be filled in and are not. */
export function missing(fields: readonly Shape<"FormField">[], values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(fields.filter((each) => each.required && !(values[each.name] ?? "").trim() && !each.default).map((each) => [each.name, `Enter this: ${each.label}.`]));
}

/** The line for the settings of an installation that registers it with a platform. */
export const registration = (platform: string): string => `CALLSTREAM_OAUTH_CLIENTS='{"${platform}": {"client_id": "…", "client_secret": "…"}}'`;
