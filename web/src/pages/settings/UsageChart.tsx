// Bars of a month, one a day. For screen readers a sentence; the table beside it has every number.
import { count, duration, num } from "@/lib/format";
import { roundUp, type Day } from "./months";

const HEIGHT = 160;

export function UsageChart({ days, month }: { days: readonly Day[]; month: string }) {
  const most = Math.max(...days.map((each) => each.seconds)) / 60;
  const top = roundUp(most);
  const slot = 100 / days.length;
  const used = days.filter((each) => each.seconds > 0);
  const total = used.reduce((sum, each) => sum + each.seconds, 0);
  const words = used.length ? `${duration(total)} on ${count(used.length, "day")}, at most ${duration(most * 60)} on one.` : "Nothing was transcribed in this month.";
  return (
    <figure>
      <div className="flex gap-2">
        <div className="flex w-9 shrink-0 flex-col justify-between text-right text-xs text-soft" style={{ height: HEIGHT }} aria-hidden="true">
          <span className="-mt-2">{num(top)}</span><span>{top > 1 ? num(top / 2) : ""}</span><span className="-mb-2">0</span>
        </div>
        <div className="min-w-0 flex-1">
          <svg role="img" aria-label={`Minutes transcribed, by day: ${words}`} width="100%" height={HEIGHT} className="block overflow-visible">
            {[0, 0.5, 1].map((at) => <line key={at} x1="0" x2="100%" y1={HEIGHT * at} y2={HEIGHT * at} className={at === 1 ? "stroke-line-strong" : "stroke-line"} strokeWidth="1" />)}
            {days.map((each, at) => {
              const height = (each.seconds / 60 / top) * HEIGHT;
              return each.seconds > 0 ? (
                <rect key={each.day} x={`${slot * at + slot * 0.15}%`} width={`${slot * 0.7}%`} y={HEIGHT - Math.max(2, height)} height={Math.max(2, height)} rx="2" className="fill-accent">
                  <title>{`${each.day}: ${duration(each.seconds)}`}</title>
                </rect>
              ) : null;
            })}
          </svg>
          <div className="relative mt-1.5 h-4 text-xs text-soft" aria-hidden="true">
            {days.map((each, at) =>
              at % 7 === 0 ? <span key={each.day} className="absolute -translate-x-1/2" style={{ left: `${slot * (at + 0.5)}%` }}>{Number(each.day.slice(month.length + 1))}</span> : null,
            )}
          </div>
        </div>
      </div>
      <figcaption className="mt-2 text-sm text-soft" aria-hidden="true">{words}</figcaption>
    </figure>
  );
}
