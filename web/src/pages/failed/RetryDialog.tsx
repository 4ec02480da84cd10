// "Retry all": shows first how many that are, by cause, and how fast; then begins, and its progress stands on the page.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, asProblem, data } from "@/api/client";
import { count, duration } from "@/lib/format";
import { reasonWords, stageWords } from "@/lib/words";
import { Button, Dialog, Field, Problem, Select, Skeleton } from "@/parts";
import { reread } from "./data";
import { begun } from "./BulkProgress";
import type { FailedStatus } from "./filters";

export interface Wanted {
  /** The question of the dialog: "Retry all like this?" */
  title: string;
  filter: { status?: FailedStatus[]; stage?: string; reason?: string; source_app?: string; q?: string; job_id?: string; fingerprint?: string };
}

const SPEEDS = [
  { value: "5", label: "Gently: 5 a second" },
  { value: "50", label: "Normal: 50 a second" },
  { value: "200", label: "Fast: 200 a second" },
];

export function RetryDialog({ wanted, onClose, onBegun }: { wanted: Wanted | null; onClose: () => void; onBegun: (id: string) => void }) {
  return (
    <Dialog open={wanted !== null} onOpenChange={(open) => !open && onClose()} title={wanted?.title ?? "Retry all?"} lead="Each goes on from the step where it failed. Nothing is imported twice.">
      {wanted && <Preview wanted={wanted} onClose={onClose} onBegun={onBegun} />}
    </Dialog>
  );
}

function Preview({ wanted, onClose, onBegun }: { wanted: Wanted; onClose: () => void; onBegun: (id: string) => void }) {
  const [rate, setRate] = useState("50");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const preview = useQuery({
    queryKey: ["failed-preview", wanted.filter],
    staleTime: 0,
    gcTime: 0,
    placeholderData: undefined,
    queryFn: () => data(api.POST("/api/failed-imports/retry", { body: { filter: wanted.filter, dry_run: true, rate: 50 } })),
  });
  const many = preview.data?.retry_count ?? 0;
  const begin = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const answer = await data(api.POST("/api/failed-imports/retry", { body: { filter: wanted.filter, dry_run: false, rate: Number(rate) } }));
      if (answer.bulk_retry_id) {
        begun.add(answer.bulk_retry_id);
        onBegun(answer.bulk_retry_id);
      }
      onClose();
      void reread();
    } catch (error) {
      setProblem(asProblem(error).sentence);
      setBusy(false);
    }
  };
  return (
    <div className="grid gap-4">
      <div aria-live="polite">
        {preview.isPending && <Skeleton className="h-20" />}
        {preview.isError && <Problem sentence={asProblem(preview.error).sentence} action={<Button size="sm" onClick={() => void preview.refetch()}>Try again</Button>} />}
        {preview.data && (
          <>
            <p className="font-serif text-lg font-semibold">{many ? `${count(many, "call")} will be tried again` : "There is nothing to try again"}</p>
            {many === 0 && <p className="text-soft">What is shown is on its way already, came through since, or was discarded.</p>}
            <ul className="mt-2 max-h-60 divide-y divide-line overflow-y-auto">
              {preview.data.groups?.map((each) => (
                <li key={each.fingerprint} className="flex items-baseline justify-between gap-4 py-2">
                  <span className="min-w-0"><span className="font-medium">{reasonWords(each.reason)}</span> <span className="text-soft">· {stageWords(each.stage)}</span></span>
                  <span className="whitespace-nowrap text-soft">{count(each.count, "call")}</span>
                </li>
              ))}
            </ul>
          </>
        )}
      </div>
      {many > 1 && (
        <Field label="How fast" help={`${wordsFor(many, Number(rate))} More can be too much for a source that has just come back.`}>
          <Select value={rate} onChange={(event) => setRate(event.target.value)} options={SPEEDS} />
        </Field>
      )}
      {problem && <Problem sentence={problem} />}
      <div className="flex flex-wrap justify-end gap-2">
        <Button onClick={onClose}>{many ? "Cancel" : "Close"}</Button>
        {many > 0 && <Button kind="primary" loading={busy} onClick={() => void begin()}>{`Retry ${count(many, "call")}`}</Button>}
      </div>
    </div>
  );
}

function wordsFor(many: number, rate: number): string {
  const seconds = many / rate;
  return seconds < 2 ? "They go at once." : `They go within ${duration(seconds)}.`;
}
