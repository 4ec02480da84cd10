// Pipeline: the five steps every call goes through, as they run now.
import { RiLockLine } from "@remixicon/react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { api, asProblem, data } from "@/api/client";
import { queryClient, useSession } from "@/api/queries";
import { useCalm } from "@/lib/calm";
import { count } from "@/lib/format";
import { stageWords } from "@/lib/words";
import { ButtonLink, Card, EmptyState, ErrorState, Loading, Note, PageHeader, Skeleton } from "@/parts";
import { Flow } from "./pipeline/Flow";
import { readingOf, summary, type Picture, type Step } from "./pipeline/reading";
import { Table } from "./pipeline/Table";

const EVERY = 3000;
const KEPT = 60;
const KEY = ["pipeline"] as const;

interface Kept {
  picture: Picture;
  /** The last three minutes, for the curves. */
  history: readonly (readonly Step[])[];
}

/** The picture, renewed every three seconds while the page is looked at. */
function usePicture(allowed: boolean) {
  return useQuery<Kept>({
    queryKey: KEY,
    enabled: allowed,
    staleTime: 0,
    retry: false,
    refetchInterval: EVERY,
    refetchIntervalInBackground: false,
    queryFn: async () => {
      const picture = await data(api.GET("/api/pipeline"));
      const before = queryClient.getQueryData<Kept>(KEY)?.history ?? [];
      return { picture, history: [...before, picture.stages].slice(-KEPT) };
    },
  });
}

export default function Pipeline() {
  const role = useSession().data?.role;
  const allowed = role === "owner" || role === "support";
  const found = usePicture(allowed);
  const header = <PageHeader title="Pipeline" lead="The five steps every call goes through, and how each is doing right now." />;
  if (!allowed)
    return <>{header}<Card><EmptyState icon={RiLockLine} title="This page is for owners and support" action={<ButtonLink kind="primary" to="/jobs">Show my imports</ButtonLink>}>How far your own imports are stands under Jobs. Ask an owner of the workspace if you need this page.</EmptyState></Card></>;
  if (!found.data)
    return (
      <>
        {header}
        {found.isError ? <Card><ErrorState error={found.error} onRetry={found.refetch} title="The steps cannot be read" /></Card> : <><Loading label="Loading the steps" /><Skeleton as="card" className="mb-5 h-60" /><Skeleton as="card" className="h-80" /></>}
      </>
    );
  return <>{header}<Shown kept={found.data} problem={found.isError ? asProblem(found.error).sentence : null} /></>;
}

function Shown({ kept: { picture, history }, problem }: { kept: Kept; problem: string | null }) {
  const words = summary(picture);
  const said = useCalm(words, picture.stages.some((each) => !each.healthy));
  const advised = picture.stages.map((step) => ({ step, reading: readingOf(step, picture.oldest_waiting_seconds) })).filter(({ reading }) => reading.advice).sort((one, other) => Number(other.reading.tone === "bad") - Number(one.reading.tone === "bad"));
  return (
    <>
      <div className="mb-4 flex flex-wrap items-baseline justify-between gap-x-6 gap-y-1">
        <p className="font-serif text-lg font-semibold">{words}</p>
        {picture.failed_open > 0 && <Link to="/failed" className="link">{count(picture.failed_open, "failed import")} not solved yet</Link>}
      </div>
      <p role="status" className="sr-only">{said}</p>
      {problem && <div className="mb-4"><Note tone="warn" role="status">This is how it was a moment ago: {problem}</Note></div>}
      <div className="mb-5"><Flow steps={picture.stages} history={history} oldest={picture.oldest_waiting_seconds} /></div>
      {advised.length > 0 && (
        <ul className="mb-5 grid gap-2" aria-label="What needs attention">
          {advised.map(({ step, reading }) => (
            <li key={step.name}><Note tone={reading.tone === "bad" ? "bad" : "warn"}><span className="font-semibold">{stageWords(step.name)}: {reading.word.toLowerCase()}. </span>{reading.advice}</Note></li>
          ))}
        </ul>
      )}
      <Table picture={picture} />
    </>
  );
}
