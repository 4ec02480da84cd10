// What is known of a source's time, kept current by the ends of its imports.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api, data, type Job, type Shape, type Source } from "@/api/client";
import { useLive } from "@/api/events";
import { queryClient, useJob } from "@/api/queries";
import { isOver } from "@/lib/jobs";
import type { Known, Stretch } from "./days";

const keyOf = (id: string) => ["coverage", id] as const;
const SOON = 800;

/** What is imported of a source; null while nothing is. */
export function useCoverage(id: string) {
  return useQuery({
    queryKey: keyOf(id),
    placeholderData: undefined,
    queryFn: () => data(api.GET("/api/sources/{source_id}/coverage", { params: { path: { source_id: id } } })),
  });
}

export function knownOf(found: Shape<"Coverage"> | undefined): Known | null {
  if (!found?.covered.length) return null;
  return { from: new Date(found.from), to: new Date(found.to), gaps: found.gaps.map(stretchOfSpan) };
}

/** The API counts in millionths of a second and a Date in thousandths: rounded up, else what is left over stays a gap. */
const stretchOfSpan = (span: Shape<"Span">): Stretch => ({ from: new Date(span.from), to: new Date(+new Date(span.to) + (FINER.test(span.to) ? 1 : 0)) });
const FINER = /\.\d{3}\d*[1-9]/;

/** A sync went through and nothing was missing: what is known reaches further, and nobody has to be asked. */
function reachFurther(id: string, job: Job): boolean {
  const old = queryClient.getQueryData<Shape<"Coverage">>(keyOf(id));
  const last = old?.covered.at(-1);
  if (!old || !last || old.gaps.length || job.job_type !== "sync" || job.status !== "completed" || job.started_at < old.to) return false;
  queryClient.setQueryData<Shape<"Coverage">>(keyOf(id), { ...old, to: job.started_at, covered: [...old.covered.slice(0, -1), { ...last, to: job.started_at }] });
  return true;
}

/** The import of a source that is under way: one begun here, or one that was. Its end renews what is known. */
export function useImportOf(source: Source, begun: string | null): Job | null {
  const [latest, setLatest] = useState<Job | null>(null);
  const asked = useJob(begun ?? source.running_job_id).data ?? null;
  const timer = useRef(0);
  const renew = () => {
    timer.current ||= window.setTimeout(() => {
      timer.current = 0;
      void queryClient.invalidateQueries({ queryKey: keyOf(source.id) });
    }, SOON);
  };
  useLive("job.progress", (job) => {
    if (job.source_id !== source.id) return;
    setLatest(job);
    if (isOver(job) && !reachFurther(source.id, job)) renew();
  });
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const over = asked !== null && isOver(asked);
  useEffect(() => {
    // A quick one may be over before its first event was heard.
    if (begun && over) void queryClient.invalidateQueries({ queryKey: keyOf(source.id) });
  }, [begun, over, source.id]);
  const mine = [asked, latest].filter((each): each is Job => each !== null && !isOver(each));
  return mine.find((each) => each.id === begun && !(latest?.id === begun && isOver(latest))) ?? mine.find((each) => latest?.id !== each.id || each === latest) ?? null;
}
