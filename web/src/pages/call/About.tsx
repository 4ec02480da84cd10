// Beside the transcript: what is known of the call, who spoke, where it came from.
import { Link } from "react-router";
import { useSession, useSources } from "@/api/queries";
import type { Shape } from "@/api/client";
import { percent } from "@/lib/format";
import { readable } from "@/lib/words";
import { Card, Copy, Duration, Facts, PlatformLogo, Time, usePlatformName } from "@/parts";
import { QUALITY } from "../library/calls";
import type { Speaker } from "./lines";
import { barOf, inkOf } from "./LineRow";

type Detail = Shape<"CallDetail">;

export function People({ call, speakers }: { call: Detail; speakers: ReadonlyMap<string, Speaker> }) {
  const named = new Set(call.participants.map((each) => each.name));
  const others = [...speakers.values()].filter((each) => !named.has(each.name));
  if (!call.participants.length && !others.length)
    return <Card title="People"><p className="text-soft">The source did not say who was on the call.</p></Card>;
  return (
    <Card title="People">
      <ul className="grid gap-3">
        {call.participants.map((each, at) => (
          <Person key={at} name={each.name ?? each.email ?? each.phone ?? "Somebody"} speaker={speakers.get(each.name ?? "")}>
            {each.name && [each.email, each.phone].filter(Boolean).map((line) => <span key={line} className="block break-words text-soft">{line}</span>)}
          </Person>
        ))}
        {others.map((each) => <Person key={each.name} name={each.name} speaker={each} />)}
      </ul>
    </Card>
  );
}

function Person({ name, speaker, children }: { name: string; speaker: Speaker | undefined; children?: React.ReactNode }) {
  return (
    <li className="text-sm">
      <span className={`block text-base font-semibold break-words ${inkOf(speaker)}`}>{name}</span>
      {children}
      {speaker?.share != null && (
        <span className="mt-1 flex items-center gap-2 text-soft">
          <span aria-hidden="true" className="h-1.5 w-20 shrink-0 overflow-hidden rounded-full bg-sunken">
            <span className={`block h-full rounded-full ${barOf(speaker)}`} style={{ width: `${Math.max(speaker.share * 100, 3)}%` }} />
          </span>
          {percent(speaker.share)} of what is said
        </span>
      )}
    </li>
  );
}

export function Origin({ call }: { call: Detail }) {
  const role = useSession().data?.role;
  const replay = `/replay?${new URLSearchParams({ source: call.source_app, call: call.external_id }).toString()}`;
  const platform = usePlatformName(call.source_app);
  const source = useSources().data?.find((each) => each.id === call.source_id);
  return (
    <Card title="Where it came from">
      <Facts
        items={[
          ["Source", <span key="s" className="inline-flex items-center gap-2"><PlatformLogo platform={call.source_app} size="sm" />{platform}</span>],
          source ? ["Account", source.account] : null,
          ["Imported", <Time key="i" at={call.imported_at} />],
          call.updated_at !== call.imported_at ? ["Updated", <Time key="u" at={call.updated_at} />] : null,
          call.import_job_id ? ["Import", <Link key="j" to={`/jobs/${call.import_job_id}`} className="link">Show the job</Link>] : ["Import", "Sent by the source"],
          ["Details", QUALITY[call.metadata_quality]],
          role === "owner" || role === "support" ? ["Replay", <Link key="r" to={replay} className="link">Read it again</Link>] : null,
          call.language ? ["Language", languageOf(call.language)] : null,
          ["Length", <Duration key="d" seconds={call.duration_seconds} />],
          ["Id there", <span key="x" className="flex min-w-0 items-center gap-1"><code className="min-w-0 truncate" title={call.external_id}>{call.external_id}</code><Copy text={call.external_id} what="the id" /></span>],
        ]}
      />
    </Card>
  );
}

function languageOf(code: string): string {
  try {
    const name = new Intl.DisplayNames(undefined, { type: "language" }).of(code);
    return name && name !== code ? name : readable(code);
  } catch {
    return readable(code);
  }
}
