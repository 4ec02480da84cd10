// The picture: five strips of a desk with a level each, and channels between them that move when something flows.
// It is drawn for the eye; the table below says the same in words.
import { RiAlertLine, RiCheckLine, RiHourglassLine, RiMoonLine } from "@remixicon/react";
import { Fragment } from "react";
import { cn } from "@/lib/cn";
import { num } from "@/lib/format";
import { stageWords } from "@/lib/words";
import { Badge, type Icon } from "@/parts";
import { curve, level, rateWords, readingOf, SEGMENTS, type Condition, type Step } from "./reading";

export const ICONS: Record<Condition, Icon> = { stopped: RiAlertLine, slowed: RiHourglassLine, held: RiHourglassLine, working: RiCheckLine, quiet: RiMoonLine };

export function Flow({ steps, history, oldest }: { steps: readonly Step[]; history: readonly (readonly Step[])[]; oldest: number | null }) {
  return (
    <div aria-hidden="true" className="grid grid-cols-1 lg:grid-cols-[minmax(0,1fr)_1.75rem_minmax(0,1fr)_1.75rem_minmax(0,1fr)_1.75rem_minmax(0,1fr)_1.75rem_minmax(0,1fr)]">
      {steps.map((step, at) => (
        <Fragment key={step.name}>
          {at > 0 && <Channel rate={step.per_second} stopped={!step.healthy} />}
          <Strip step={step} oldest={oldest} rates={history.map((each) => each.find((one) => one.name === step.name)?.per_second ?? 0)} />
        </Fragment>
      ))}
    </div>
  );
}

function Strip({ step, oldest, rates }: { step: Step; oldest: number | null; rates: readonly number[] }) {
  const reading = readingOf(step, oldest);
  return (
    <div className={cn("flex min-w-0 gap-3 rounded-lg border bg-card p-3.5 shadow-low", reading.condition === "stopped" ? "border-bad" : "border-line")}>
      <Level waiting={step.waiting} />
      <div className="flex min-w-0 flex-1 flex-col gap-1.5">
        <p className="leading-5 font-semibold text-pretty lg:min-h-10">{stageWords(step.name)}</p>
        <div><Badge tone={reading.tone} icon={ICONS[reading.condition]}>{reading.word}</Badge></div>
        <p className="text-sm"><span className="font-semibold">{rateWords(step.per_second)}</span></p>
        <Curve rates={rates} />
        <p className="flex flex-wrap gap-x-3 text-sm text-soft">
          <span className="whitespace-nowrap">{num(step.waiting)} waiting</span>
          {step.failed > 0 && <span className="font-medium whitespace-nowrap text-bad">{num(step.failed)} failed</span>}
        </p>
      </div>
    </div>
  );
}

/** Like the level beside a fader: from below, the higher the more waits. */
function Level({ waiting }: { waiting: number }) {
  const lit = level(waiting);
  return (
    <svg viewBox={`0 0 10 ${SEGMENTS * 10}`} preserveAspectRatio="none" className="h-auto min-h-24 w-2.5 shrink-0 self-stretch">
      {Array.from({ length: SEGMENTS }, (_, at) => {
        const on = at < lit;
        const colour = at < 7 ? "fill-good" : at < 10 ? "fill-warn" : "fill-bad";
        return <rect key={at} x="0" y={(SEGMENTS - 1 - at) * 10 + 1} width="10" height="8" rx="2" className={cn("transition-colors duration-500", on ? colour : "fill-line")} />;
      })}
    </svg>
  );
}

function Curve({ rates }: { rates: readonly number[] }) {
  const path = curve(rates, 120, 24);
  return (
    <svg viewBox="0 0 120 24" preserveAspectRatio="none" className="h-6 w-full">
      <path d="M0 23.5H120" className="stroke-line" strokeWidth="1" vectorEffect="non-scaling-stroke" />
      {path && <path d={path} fill="none" className="stroke-accent" strokeWidth="1.5" strokeLinejoin="round" vectorEffect="non-scaling-stroke" />}
    </svg>
  );
}

/** What flows from one step to the next. The faster, the quicker it moves; it stands still where nothing flows. */
function Channel({ rate, stopped }: { rate: number; stopped: boolean }) {
  const flows = rate > 0 && !stopped;
  const seconds = Math.max(0.35, 1.4 / (1 + Math.log10(1 + rate)));
  const line = (path: string, box: string, className: string) => (
    <svg viewBox={box} preserveAspectRatio="none" className={className}>
      <path d={path} className={stopped ? "stroke-bad" : "stroke-line"} strokeWidth="6" vectorEffect="non-scaling-stroke" />
      {flows && (
        <path d={path} className="stroke-accent motion-safe:animate-flow" style={{ animationDuration: `${seconds.toFixed(2)}s` }} strokeWidth="3" strokeLinecap="round" strokeDasharray="2 14" vectorEffect="non-scaling-stroke" />
      )}
    </svg>
  );
  return (
    <div className="grid place-items-center">
      {line("M0 4H28", "0 0 28 8", "hidden h-2 w-full lg:block")}
      {line("M4 0V20", "0 0 8 20", "h-5 w-2 lg:hidden")}
    </div>
  );
}
