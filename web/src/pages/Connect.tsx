// Connect a source: choose where calls are recorded, get in by signing in or by a form, and have new calls sent at once.
import { RiArrowLeftLine } from "@remixicon/react";
import { Link, useParams, useSearchParams } from "react-router";
import { usePlatforms, useSources } from "@/api/queries";
import { ButtonLink, Card, EmptyState, ErrorState, Loading, PageHeader, PlatformLogo, Skeleton } from "@/parts";
import { AtOnce } from "./connect/AtOnce";
import { PlatformTiles } from "./connect/PlatformTiles";
import { Wizard } from "./connect/Wizard";

export default function Connect() {
  const { platform } = useParams();
  return platform ? <One name={platform} key={platform} /> : <Choose />;
}

function Choose() {
  return (
    <>
      <PageHeader above={<Back to="/">Import Hub</Back>} title="Connect a source" lead="Choose where your calls are recorded. Its calls then come in by themselves." />
      <PlatformTiles />
      <p className="mt-6 text-soft">
        Not among them? <Link className="link" to="/connect/generic">Any system can send its calls</Link>, or <Link className="link" to="/?upload=1">upload files</Link>.
      </p>
    </>
  );
}

function One({ name }: { name: string }) {
  const platforms = usePlatforms();
  const sources = useSources();
  const [params] = useSearchParams();
  const platform = platforms.data?.find((each) => each.platform === name);
  const asked = params.get("again") ?? params.get("source");
  const source = sources.data?.find((each) => each.id === asked);
  if (platforms.isError && !platforms.data) return <ErrorState error={platforms.error} onRetry={platforms.refetch} />;
  if (platforms.isPending || (asked && sources.isPending)) return <Waiting />;
  if (!platform || (!platform.auths.length && !platform.webhook))
    return (
      <EmptyState icon={RiArrowLeftLine} title="There is no such platform" action={<ButtonLink kind="primary" to="/connect">Choose another one</ButtonLink>}>
        Perhaps the address was mistyped.
      </EmptyState>
    );
  const atOnce = Boolean(params.get("source")) || !platform.auths.length;
  const title = !platform.auths.length ? "Send calls from any system" : params.get("again") ? `Connect ${platform.display_name} again` : atOnce ? "Get calls at once" : `Connect ${platform.display_name}`;
  return (
    <div className="mx-auto max-w-3xl">
      <PageHeader
        above={atOnce && platform.auths.length ? <Back to="/">Import Hub</Back> : <Back to="/connect">All platforms</Back>}
        tab={title}
        title={<span className="flex items-center gap-3"><span className="contents font-sans"><PlatformLogo platform={platform.platform} size="lg" /></span><span className="min-w-0">{title}</span></span>}
        lead={atOnce ? undefined : source ? `The account ${source.account}. Its calls and its schedule stay as they are.` : "callstream only reads. It asks the account at once whether everything is right, and the first sync starts by itself."}
      />
      {atOnce ? <AtOnce platform={platform} source={source} /> : <Wizard platform={platform} again={source} />}
      {!atOnce && platform.docs_url && (
        <p className="mt-5 text-sm text-soft">
          {platform.status === "beta" && "Beta: made from the platform's own description, and not yet used by many. "}
          <a className="link" href={platform.docs_url} target="_blank" rel="noreferrer">What {platform.display_name} says about it</a>
        </p>
      )}
    </div>
  );
}

function Waiting() {
  return (
    <div className="mx-auto max-w-3xl">
      <Loading /><Skeleton className="mb-3 h-4 w-28" /><Skeleton className="mb-6 h-12 w-72" />
      <Card><Skeleton className="mb-3 w-1/2" /><Skeleton className="mb-6 h-10" /><Skeleton className="mb-6 h-10" /><Skeleton className="h-10 w-32" /></Card>
    </div>
  );
}

function Back({ to, children }: { to: string; children: string }) {
  return <Link className="link inline-flex items-center gap-1" to={to}><RiArrowLeftLine size={16} />{children}</Link>;
}
