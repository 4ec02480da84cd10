// All platforms as tiles, with a search. A tile leads to the way in.
import { RiAddLine, RiSearchLine } from "@remixicon/react";
import { Link } from "react-router";
import type { Shape } from "@/api/client";
import { usePlatforms, useSources } from "@/api/queries";
import { useAddress } from "@/lib/address";
import { cn } from "@/lib/cn";
import { useTyped } from "@/lib/typed";
import { Badge, Button, EmptyState, ErrorState, Field, Loading, PlatformLogo, Skeleton, TextInput } from "@/parts";
import { brings, matches } from "./words";

export function PlatformTiles({ compact }: { compact?: boolean }) {
  const platforms = usePlatforms();
  const sources = useSources().data;
  const [params, change] = useAddress();
  const [asked, search] = useTyped(params.get("q") ?? "", (q) => change({ q }));
  if (platforms.isError && !platforms.data) return <ErrorState error={platforms.error} onRetry={platforms.refetch} />;
  const shown = (platforms.data ?? []).filter((each) => (each.auths.length > 0 || (each.webhook && !compact)) && matches(each, asked)).sort((a, b) => rank(a) - rank(b));
  const grid = cn("grid gap-2.5", compact ? "grid-cols-1 min-[420px]:grid-cols-2" : "min-[480px]:grid-cols-2 lg:grid-cols-3");
  return (
    <div>
      {!compact && (
        <Field label="Find a platform" hideLabel className="relative mb-5 max-w-sm">
          <RiSearchLine size={18} className="pointer-events-none absolute top-0 bottom-0 left-3 my-auto text-soft" />
          <TextInput type="search" value={asked} placeholder="Find a platform" onChange={(event) => search(event.target.value)} className="pl-9.5" />
        </Field>
      )}
      {platforms.isPending && <Loading />}
      <ul className={grid}>
        {platforms.isPending && Array.from({ length: 12 }, (_, at) => <li key={at}><Skeleton as="card" className={compact ? "h-16" : "h-28"} /></li>)}
        {shown.map((each) => (
          <li key={each.platform}>
            <Link
              to={`/connect/${each.platform}`}
              className={cn("group flex h-full min-w-0 gap-3 rounded-lg border border-line bg-card transition-colors hover:border-accent hover:shadow-mid", compact ? "items-center px-3 py-2.5" : "p-4 shadow-low")}
            >
              <PlatformLogo platform={each.platform} size={compact ? "md" : "lg"} />
              <span className="min-w-0 flex-1">
                <span className="flex flex-wrap items-center gap-x-2 gap-y-0.5">
                  <span className="font-semibold">{each.display_name}</span>
                  {each.status === "beta" && each.auths.length > 0 && !compact && <Badge>Beta</Badge>}
                </span>
                {!compact && <span className="mt-0.5 block text-sm text-soft">{brings(each, sources?.filter((one) => one.platform === each.platform).length ?? 0)}</span>}
              </span>
              <RiAddLine size={20} className="shrink-0 text-soft group-hover:text-accent" />
            </Link>
          </li>
        ))}
      </ul>
      {platforms.data && !shown.length && (
        <EmptyState icon={RiSearchLine} title={`Nothing is called “${asked}”`} action={<><Button onClick={() => search("")}>Show all</Button></>}>
          Any system can still send its calls: choose “Any system”, or upload files.
        </EmptyState>
      )}
    </div>
  );
}

const rank = (platform: Shape<"Platform">) => (platform.auths.length ? 0 : 1);
