// Appearance: light, dark or as the system has it; and how times are shown here.
import { RiComputerLine, RiMoonLine, RiSunLine } from "@remixicon/react";
import { cn } from "@/lib/cn";
import { moment, num } from "@/lib/format";
import { Card, Facts, useNow } from "@/parts";
import { setTheme, useTheme, type Theme } from "@/theme";
import { ownZone } from "./hours";

const THEMES: { value: Theme; label: string; help: string; icon: typeof RiSunLine }[] = [
  { value: "light", label: "Light", help: "Dark letters on a light page.", icon: RiSunLine },
  { value: "dark", label: "Dark", help: "Light letters on a dark page.", icon: RiMoonLine },
  { value: "system", label: "As the system", help: "Follows this device, also by night.", icon: RiComputerLine },
];

export function Appearance() {
  const theme = useTheme();
  return (
    <>
      <fieldset className="mb-5">
        <legend className="sr-only">Theme</legend>
        <div className="grid gap-3 sm:grid-cols-3">
          {THEMES.map((each) => (
            <label
              key={each.value}
              className={cn(
                "flex cursor-pointer items-start gap-3 rounded-lg border bg-card p-4 shadow-low transition-colors has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent",
                each.value === theme ? "border-accent" : "border-line hover:border-line-strong",
              )}
            >
              <each.icon size={20} className={cn("mt-0.5 shrink-0", each.value === theme ? "text-accent" : "text-soft")} />
              <span className="min-w-0 flex-1">
                <span className="block font-semibold">{each.label}</span>
                <span className="block text-sm text-soft">{each.help}</span>
              </span>
              <input type="radio" name="theme" value={each.value} aria-label={each.label} checked={each.value === theme} onChange={() => setTheme(each.value)} className="mt-1 size-4.5 shrink-0 accent-accent outline-none" />
            </label>
          ))}
        </div>
      </fieldset>
      <Card title="Times and numbers">
        <p className="mb-3 text-soft">They follow your browser. To see others, change its language or the clock of this device.</p>
        <Facts items={[["Time zone", ownZone().replaceAll("_", " ")], ["Now", moment(useNow())], ["A number", num(12345.6)]]} />
      </Card>
    </>
  );
}
