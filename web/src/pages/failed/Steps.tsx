// The five steps of a call as a small picture: which it passed, where it failed, which it did not reach. The words say the same.
import { RiAlertLine, RiCheckLine } from "@remixicon/react";
import { cn } from "@/lib/cn";
import { STAGES, stageWords } from "@/lib/words";
import type { Failed } from "./filters";

type Fate = "passed" | "failed" | "ahead";
const SAID: Record<Fate, string> = { passed: "passed", failed: "failed here", ahead: "not reached" };

export function Steps({ failed }: { failed: Pick<Failed, "stage" | "status" | "source_app"> }) {
  const at = STAGES.findIndex((each) => each === failed.stage);
  if (at < 0) return <p className="text-soft">It failed at: {stageWords(failed.stage)}.</p>;
  const through = failed.status === "resolved";
  const handed = failed.source_app === "upload" || failed.source_app === "generic";
  return (
    <ol aria-label="The steps of this call" className="grid gap-0 sm:grid-cols-5">
      {STAGES.map((stage, index) => {
        const fate: Fate = through || index < at ? "passed" : index === at ? "failed" : "ahead";
        const words = stage === "pull" && handed ? "Receiving" : stageWords(stage);
        return (
          <li key={stage} className="relative flex items-start gap-3 pb-4 last:pb-0 sm:flex-col sm:items-center sm:gap-2 sm:pb-0 sm:text-center">
            {index > 0 && <span aria-hidden="true" className={cn("absolute max-sm:-top-4 max-sm:bottom-[calc(100%-0.25rem)] max-sm:left-[1.06rem] max-sm:w-0.5 sm:top-[1.06rem] sm:right-[calc(50%+1.35rem)] sm:left-[calc(-50%+1.35rem)] sm:h-0.5", fate === "ahead" ? "bg-line" : "bg-good")} />}
            <span
              aria-hidden="true"
              className={cn(
                "relative grid size-9 shrink-0 place-items-center rounded-full border-2 font-semibold",
                fate === "passed" && "border-good bg-good-wash text-good",
                fate === "failed" && "border-bad bg-bad text-on-bad",
                fate === "ahead" && "border-dashed border-line-strong bg-card text-soft",
              )}
            >
              {fate === "passed" ? <RiCheckLine size={18} /> : fate === "failed" ? <RiAlertLine size={18} /> : index + 1}
            </span>
            <span className="min-w-0 max-sm:pt-1.5">
              <span className={cn("block text-sm", fate === "failed" ? "font-semibold" : "font-medium", fate === "ahead" && "text-soft")}>{words}</span>
              <span className={cn("block text-xs", fate === "failed" ? "font-semibold text-bad" : "text-soft")}>{SAID[fate]}</span>
            </span>
          </li>
        );
      })}
    </ol>
  );
}
