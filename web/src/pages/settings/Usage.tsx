// Usage: what a month brought in, how much of it was transcribed, what that probably cost, and what the plan has left.
import { RiArrowLeftSLine, RiArrowRightSLine } from "@remixicon/react";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api, data, type Shape } from "@/api/client";
import { useAddress } from "@/lib/address";
import { count, duration, num } from "@/lib/format";
import { Card, Disclosure, ErrorState, IconButton, Loading, Note, Progress, Skeleton, Time, useNow } from "@/parts";
import { boundsOf, daysOf, monthFrom, monthOf, monthWords, shifted } from "./months";
import { UsageChart } from "./UsageChart";

type Usage = Shape<"Usage">;

/** Dollars as the locale writes them; small sums keep their cents' fractions. */
const dollars = (value: number) => num(value, { style: "currency", currency: "USD", minimumFractionDigits: 2, maximumFractionDigits: value > 0 && value < 0.1 ? 4 : 2 });

export function Usage() {
  const now = useNow();
  const [address, change] = useAddress();
  const month = monthFrom(address.get("month"), now);
  const present = monthOf(now);
  const found = useQuery({
    queryKey: ["settings", "usage", month],
    refetchInterval: month === present ? 60_000 : false,
    queryFn: () => data(api.GET("/api/usage", { params: { query: boundsOf(month) } })),
  });
  const show = (next: string) => change({ month: next >= present ? null : next });
  return (
    <>
      <div className="mb-4 flex items-center gap-1" role="group" aria-label="Month">
        <IconButton kind="secondary" label="Month before" icon={RiArrowLeftSLine} onClick={() => show(shifted(month, -1))} />
        <p className="min-w-40 px-2 text-center font-medium" aria-live="polite">{monthWords(month)}</p>
        <IconButton kind="secondary" label="Month after" icon={RiArrowRightSLine} disabled={month >= present} onClick={() => show(shifted(month, 1))} />
      </div>
      {found.isPending ? (
        <><Loading /><div className="mb-5 grid gap-4 sm:grid-cols-3">{[0, 1, 2].map((each) => <Skeleton key={each} as="card" className="h-28" />)}</div><Skeleton as="card" className="h-72" /></>
      ) : !found.data ? (
        <Card pad={false}><ErrorState error={found.error} onRetry={found.refetch} /></Card>
      ) : (
        <Month usage={found.data} month={month} stale={found.isPlaceholderData} />
      )}
    </>
  );
}

function Month({ usage, month, stale }: { usage: Usage; month: string; stale: boolean }) {
  const days = daysOf(month, usage.by_day);
  return (
    <div className={stale ? "opacity-70" : undefined} aria-busy={stale || undefined}>
      <div className="mb-5 grid gap-4 sm:grid-cols-3">
        <Figure name="Calls imported" value={num(usage.imports)}>from all sources, uploads included</Figure>
        <Figure name="Transcribed here" value={usage.transcribed_seconds ? duration(usage.transcribed_seconds) : "Nothing"}>{usage.requests ? count(usage.requests, "paid answer") : "Calls that bring their own transcript need none"}</Figure>
        <Figure name="Probable cost" value={usage.estimated_cost_usd === null ? "Not known" : dollars(usage.estimated_cost_usd)}>
          {usage.estimated_cost_usd === null ? `${duration(usage.unpriced_seconds)} without a known price` : "by the price list; the invoice is what counts"}
        </Figure>
      </div>
      <Quota quota={usage.quota} />
      <Card title="Minutes transcribed, by day" className="mb-5">
        <UsageChart days={days} month={month} />
        <Disclosure label="The same as a table" className="mt-2">
          <Days days={days} />
        </Disclosure>
      </Card>
      {usage.by_model.length > 0 && <Models usage={usage} />}
      <p className="mt-4 text-sm text-soft">Months and days are those of UTC, as the plan counts them.</p>
    </div>
  );
}

function Figure({ name, value, children }: { name: string; value: string; children: ReactNode }) {
  return (
    <Card as="div">
      <p className="text-sm text-soft">{name}</p>
      <p className="my-0.5 font-serif text-xl font-semibold">{value}</p>
      <p className="text-sm text-soft text-pretty">{children}</p>
    </Card>
  );
}

function Quota({ quota }: { quota: Usage["quota"] }) {
  const limit = quota.imports_a_month;
  if (limit === null)
    return <Card title="Your plan" className="mb-5"><p>There is no limit here: import as many calls as you like. <span className="text-soft">This month: {count(quota.used, "call")} so far.</span></p></Card>;
  const left = quota.remaining ?? 0;
  return (
    <Card title={quota.plan ? `Your plan: ${quota.plan}` : "Your plan"} className="mb-5">
      <Progress label="Imports used this month" value={Math.min(quota.used, limit)} max={limit} tone={left ? "accent" : "bad"} text={`${num(quota.used)} of ${count(limit, "import")} used this month`} />
      <p className="mt-2 text-soft">
        {left ? `${count(left, "import")} left. ` : ""}It begins anew <Time at={quota.resets_at} as="relative" />, on <Time at={quota.resets_at} as="day" />.
      </p>
      {!left && (
        <div className="mt-3">
          <Note tone="warn">The imports of this month are used up. Syncs wait until then and go on by themselves; uploads are refused; what sources send by themselves is still accepted, and comes in next month.</Note>
        </div>
      )}
    </Card>
  );
}

function Models({ usage }: { usage: Usage }) {
  return (
    <Card title="By model" pad={false} className="overflow-hidden">
      <div className="overflow-x-auto">
        <table className="w-full text-left">
          <thead className="border-b border-line text-sm text-soft">
            <tr><th scope="col" className={HEAD}>Model</th><th scope="col" className={`${HEAD} text-right`}>Transcribed</th><th scope="col" className={`${HEAD} text-right`}>Probable cost</th></tr>
          </thead>
          <tbody>
            {usage.by_model.map((each) => (
              <tr key={each.model} className="border-b border-line last:border-0">
                <td className="px-4 py-2.5 break-all sm:px-5"><code>{each.model}</code></td>
                <td className="px-4 py-2.5 text-right sm:px-5">{duration(each.seconds)}</td>
                <td className="px-4 py-2.5 text-right sm:px-5">{each.estimated_cost_usd === null ? "Not known" : dollars(each.estimated_cost_usd)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

const HEAD = "px-4 py-2 font-medium sm:px-5";

function Days({ days }: { days: ReturnType<typeof daysOf> }) {
  const used = days.filter((each) => each.seconds > 0);
  if (!used.length) return <p className="text-soft">Nothing was transcribed in this month.</p>;
  return (
    <table className="w-full max-w-md text-left text-sm">
      <thead className="text-soft"><tr><th scope="col" className="py-1 font-medium">Day</th><th scope="col" className="py-1 text-right font-medium">Transcribed</th><th scope="col" className="py-1 text-right font-medium">Probable cost</th></tr></thead>
      <tbody>
        {used.map((each) => (
          <tr key={each.day} className="border-t border-line">
            <td className="py-1">{new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" }).format(new Date(each.day))}</td>
            <td className="py-1 text-right">{duration(each.seconds)}</td>
            <td className="py-1 text-right">{each.cost === null ? "Not known" : dollars(each.cost)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
