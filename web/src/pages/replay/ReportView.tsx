// What a dry run found: how many calls would come out how, and a sample of what would change.
import type { Shape } from "@/api/client";
import { cn } from "@/lib/cn";
import { count } from "@/lib/format";
import { reasonWords } from "@/lib/words";
import { Num, PlatformLogo, usePlatformName } from "@/parts";
import { fieldWords, valueWords } from "./words";

type Report = Shape<"Report">;

const TILES: readonly { key: "would_import" | "would_change" | "unchanged" | "older" | "would_fail"; words: string; help: string; tone: string }[] = [
  { key: "would_import", words: "would be imported", help: "They are missing in your library.", tone: "text-good" },
  { key: "would_change", words: "would change", help: "They come out differently today.", tone: "text-info" },
  { key: "unchanged", words: "stay as they are", help: "They come out the same.", tone: "text-ink" },
  { key: "older", words: "are older", help: "A newer version is in your library, and stays.", tone: "text-ink" },
  { key: "would_fail", words: "would fail", help: "They would stand under Failed imports.", tone: "text-bad" },
];

export function ReportView({ report }: { report: Report }) {
  const { sample = [], failures = [] } = report;
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-6">
      <ul aria-label="What would happen" className="grid grid-cols-2 gap-3 md:grid-cols-5">
        {TILES.map((each) => (
          <li key={each.key} className="rounded-md bg-sunken px-3.5 py-3">
            <span className={cn("block text-xl font-semibold", report[each.key] ? each.tone : "text-soft")}><Num value={report[each.key]} /></span>
            <span className="block font-medium">{each.words}</span>
            <span className="mt-0.5 block text-sm text-soft">{each.help}</span>
          </li>
        ))}
      </ul>
      {sample.length > 0 && (
        <section aria-label="Changes">
          <h3 className="mb-2 font-semibold">{sample.length < report.would_change ? `${count(sample.length, "change")} of ${report.would_change}, as a sample` : count(sample.length, "change")}</h3>
          <ul className="grid grid-cols-[minmax(0,1fr)] gap-3">{sample.map((each) => <Change key={`${each.source_app} ${each.external_id}`} change={each} />)}</ul>
        </section>
      )}
      {failures.length > 0 && (
        <section aria-label="Would fail">
          <h3 className="mb-2 font-semibold">{failures.length < report.would_fail ? `${count(failures.length, "call")} of ${report.would_fail} that would fail` : `${count(failures.length, "call")} that would fail`}</h3>
          <ul className="grid grid-cols-[minmax(0,1fr)] gap-2">
            {failures.map((each) => (
              <li key={`${each.source_app} ${each.external_id}`} className="rounded-md border border-line px-3.5 py-2.5">
                <Which app={each.source_app} id={each.external_id} />
                <p className="mt-1"><span className="font-medium text-bad">{reasonWords(each.reason)}.</span> {each.message}</p>
              </li>
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}

function Which({ app, id }: { app: string; id: string }) {
  const name = usePlatformName(app);
  return (
    <p className="flex min-w-0 items-center gap-2 text-sm">
      <PlatformLogo platform={app} size="sm" /> <span className="font-medium">{name}</span> <code className="min-w-0 truncate text-soft" title={id}>{id}</code>
    </p>
  );
}

function Change({ change }: { change: Shape<"Change"> }) {
  const fields = [...new Set([...Object.keys(change.before), ...Object.keys(change.after)])];
  return (
    <li className="rounded-md border border-line px-3.5 py-2.5">
      <Which app={change.source_app} id={change.external_id} />
      <dl className="mt-2 grid gap-3">
        {fields.map((field) => (
          <div key={field}>
            <dt className="mb-1 text-sm text-soft">{fieldWords(field)}</dt>
            <dd className="grid gap-1.5 text-sm md:grid-cols-2">
              <p className="rounded-sm bg-bad-wash px-2.5 py-1.5 break-words whitespace-pre-wrap"><span className="font-semibold text-bad">Before </span>{valueWords(change.before[field])}</p>
              <p className="rounded-sm bg-good-wash px-2.5 py-1.5 break-words whitespace-pre-wrap"><span className="font-semibold text-good">After </span>{valueWords(change.after[field])}</p>
            </dd>
          </div>
        ))}
      </dl>
    </li>
  );
}
