// Coverage: which time of each source is imported, and where something is missing.
import { RiArrowLeftSLine, RiArrowRightSLine, RiCalendarCheckLine } from "@remixicon/react";
import { useSearchParams } from "react-router";
import { useSources } from "@/api/queries";
import { useNarrow } from "@/lib/media";
import { ButtonLink, EmptyState, ErrorState, IconButton, Loading, PageHeader, Select, Skeleton, useNow } from "@/parts";
import { monthOf, monthShifted } from "./coverage/days";
import { SourceCard } from "./coverage/SourceCard";
import { Swatch, SWATCHES } from "./coverage/Strip";

const SPANS = [1, 3, 6, 12];

export default function Coverage() {
  const sources = useSources();
  const narrow = useNarrow();
  const thisMonth = monthOf(useNow());
  const [address, setAddress] = useSearchParams();
  const asked = Number(address.get("months"));
  const months = SPANS.includes(asked) ? asked : narrow ? 1 : 3;
  const named = address.get("until") ?? "";
  const until = /^\d{4}-(0[1-9]|1[0-2])$/.test(named) && named < thisMonth ? named : thisMonth;
  const only = address.get("source");
  const set = (name: string, value: string | null) =>
    setAddress((before) => {
      if (value === null) before.delete(name);
      else before.set(name, value);
      return before;
    }, { replace: true, preventScrollReset: true });
  const move = (by: number) => {
    const next = monthShifted(until, by);
    set("until", next >= thisMonth ? null : next);
  };
  const all = sources.data ?? [];
  const shown = all.filter((each) => !only || each.id === only);
  return (
    <>
      <PageHeader
        title="Coverage"
        lead="Which days of each source are imported. A gap is a time nobody can vouch for: backfill it, and nothing is stored twice."
      />
      {sources.isPending ? (
        <div className="grid gap-5"><Loading />{[0, 1].map((each) => <Skeleton key={each} as="card" className="h-64" />)}</div>
      ) : sources.isError && !sources.data ? (
        <ErrorState error={sources.error} onRetry={sources.refetch} />
      ) : !all.length ? (
        <EmptyState icon={RiCalendarCheckLine} title="No source is connected" action={<ButtonLink to="/connect" kind="primary">Connect a source</ButtonLink>}>
          As soon as one is, you see here day by day what of it is imported.
        </EmptyState>
      ) : (
        <>
          <div className="mb-4 flex flex-wrap items-center gap-x-5 gap-y-3">
            <div className="flex items-center gap-1">
              <IconButton kind="secondary" label="Earlier" icon={RiArrowLeftSLine} onClick={() => move(-months)} />
              <Select aria-label="How much time" className="w-36" value={String(months)} onChange={(event) => set("months", event.target.value)} options={SPANS.map((each) => ({ value: String(each), label: each === 1 ? "1 month" : `${each} months` }))} />
              <IconButton kind="secondary" label="Later" icon={RiArrowRightSLine} disabled={until >= thisMonth} onClick={() => move(months)} />
            </div>
            {all.length > 1 && (
              <Select
                aria-label="Source"
                className="w-60 max-w-full"
                value={only ?? ""}
                onChange={(event) => set("source", event.target.value || null)}
                options={[{ value: "", label: "All sources" }, ...all.map((each) => ({ value: each.id, label: `${each.display_name}, ${each.account}` }))]}
              />
            )}
            <ul aria-label="What the days mean" className="flex flex-wrap gap-x-4 gap-y-1 text-sm text-soft">
              {SWATCHES.map((each) => <li key={each.kind} className="flex items-center gap-2"><Swatch kind={each.kind} />{each.words}</li>)}
            </ul>
          </div>
          <div className="grid gap-5">{shown.map((each) => <SourceCard key={each.id} source={each} until={until} months={months} />)}</div>
        </>
      )}
    </>
  );
}
