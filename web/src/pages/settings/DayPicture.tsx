// A day from midnight to midnight: when imports may run, when they rest, and where the present is.
import { minuteIn, openParts } from "./hours";

const DAY = 24 * 60;
const share = (minutes: number) => `${(100 * minutes) / DAY}%`;
const label = (hour: number) => `${String(hour % 24).padStart(2, "0")}:00`;

export function DayPicture({ from, to, zone, now }: { from: number; to: number; zone: string; now: Date }) {
  const at = minuteIn(zone, now);
  return (
    <figure className="min-w-0">
      <div className="relative mb-1 h-12 overflow-hidden rounded-md bg-sunken shadow-[inset_0_0_0_1px_var(--line)]" aria-hidden="true">
        {openParts(from, to).map((part) => (
          <span key={part.from} className="absolute inset-y-0 flex items-center justify-center overflow-hidden bg-accent text-sm font-semibold text-on-accent" style={{ left: share(part.from), width: share(part.to - part.from) }}>
            {part.to - part.from >= 180 && "Runs"}
          </span>
        ))}
        {[6, 12, 18].map((hour) => <span key={hour} className="absolute inset-y-0 w-px bg-line-strong/40" style={{ left: share(hour * 60) }} />)}
        {at !== null && <span className="absolute inset-y-0 -ml-0.5 w-1 bg-ink shadow-[0_0_0_1.5px_var(--card)]" style={{ left: share(at) }} />}
      </div>
      <div className="relative h-5 text-xs text-soft" aria-hidden="true">
        {[0, 6, 12, 18, 24].map((hour) => (
          <span key={hour} className={hour === 0 ? "absolute left-0" : hour === 24 ? "absolute right-0" : "absolute -translate-x-1/2"} style={hour % 24 ? { left: share(hour * 60) } : undefined}>{label(hour)}</span>
        ))}
      </div>
      <figcaption className="mt-1 flex flex-wrap gap-x-4 text-sm text-soft">
        <span className="flex items-center gap-1.5"><span className="size-2.5 rounded-sm bg-accent" aria-hidden="true" />Imports may run</span>
        <span className="flex items-center gap-1.5"><span className="size-2.5 rounded-sm bg-sunken shadow-[inset_0_0_0_1px_var(--line-strong)]" aria-hidden="true" />They wait</span>
        {at !== null && <span className="flex items-center gap-1.5"><span className="h-3 w-1 bg-ink" aria-hidden="true" />Now in {zone.replaceAll("_", " ")}: {label(Math.floor(at / 60)).slice(0, 3)}{String(at % 60).padStart(2, "0")}</span>}
      </figcaption>
    </figure>
  );
}
