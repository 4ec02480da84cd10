// Import Hub: the connected accounts, what they bring in right now, and files to upload. Empty, it shows how to begin.
import { RiAddLine, RiCloseLine, RiFlashlightLine, RiUpload2Line } from "@remixicon/react";
import type { ReactNode } from "react";
import { Link } from "react-router";
import type { Source } from "@/api/client";
import { usePlatforms, useSession, useSources } from "@/api/queries";
import { useAddress } from "@/lib/address";
import { Button, ButtonLink, ConfirmDialog, ErrorState, IconButton, Loading, Note, PageHeader, Skeleton } from "@/parts";
import { disconnect } from "./hub/actions";
import { useAnyCall, useConnected, useHubLive, useQuota, useRunning } from "./hub/live";
import { Now } from "./hub/Now";
import { OlderCalls } from "./hub/OlderCalls";
import { Onboarding } from "./hub/Onboarding";
import { SourceCard } from "./hub/SourceCard";
import { DropAnywhere } from "./upload/DropAnywhere";
import { UploadDialog } from "./upload/UploadDialog";
import { UploadPanel } from "./upload/UploadPanel";

export default function Hub() {
  const sources = useSources();
  const [params, change] = useAddress();
  const none = sources.data?.length === 0;
  const anyCall = useAnyCall(none);
  useHubLive();
  const open = (name: string, value: string | null) => change({ [name]: value }, { push: value !== null });
  const of = (name: string) => sources.data?.find((each) => each.id === params.get(name));
  const connected = of("connected");
  useConnected(params.get("connected"), connected);
  return (
    <>
      <DropAnywhere />
      {sources.isError && !sources.data ? (
        <Framed upload={() => open("upload", "1")}><ErrorState error={sources.error} onRetry={sources.refetch} title="Your sources could not be shown" /></Framed>
      ) : !sources.data || (none && anyCall === undefined) ? (
        <Framed upload={() => open("upload", "1")}><Waiting /></Framed>
      ) : none && !anyCall ? (
        <><UploadPanel /><Onboarding /></>
      ) : (
        <Framed upload={() => open("upload", "1")}>
          {connected && <Connected source={connected} onClose={() => open("connected", null)} />}
          <Full sources={sources.data} fresh={connected?.id} onOlder={(id) => open("older", id)} onDisconnect={(id) => open("disconnect", id)} />
        </Framed>
      )}
      {params.has("upload") && <UploadDialog onClose={() => open("upload", null)} />}
      <Older source={of("older")} onClose={() => open("older", null)} />
      <Disconnect source={of("disconnect")} onClose={() => open("disconnect", null)} />
    </>
  );
}

function Framed({ upload, children }: { upload: () => void; children: ReactNode }) {
  return (
    <>
      <PageHeader
        title="Import Hub"
        lead="Your connected accounts, and what they bring in."
        actions={<><Button icon={RiUpload2Line} onClick={upload}>Upload files</Button><ButtonLink kind="primary" icon={RiAddLine} to="/connect">Add source</ButtonLink></>}
      />
      {children}
    </>
  );
}

const GRID = "grid gap-5 md:grid-cols-2 xl:grid-cols-3";

function Full({ sources, fresh, onOlder, onDisconnect }: { sources: Source[]; fresh?: string; onOlder: (id: string) => void; onDisconnect: (id: string) => void }) {
  const session = useSession().data;
  const platforms = usePlatforms().data;
  const jobs = useRunning();
  const quota = useQuota();
  return (
    <>
      <Now jobs={jobs} quota={quota} />
      <UploadPanel />
      <section aria-labelledby="sources">
        <h2 id="sources" className="mb-3 font-serif text-xl font-semibold">Sources</h2>
        <ul className={GRID}>
          {sources.map((each) => (
            <SourceCard
              key={each.id}
              source={each}
              platform={platforms?.find((one) => one.platform === each.platform)}
              jobs={jobs.filter((job) => job.source_id === each.id)}
              mayChange={session?.role !== "member" || session.user_id === each.owner_user_id}
              fresh={fresh === each.id}
              onOlder={() => onOlder(each.id)}
              onDisconnect={() => onDisconnect(each.id)}
            />
          ))}
          <li className="grid">
            <Link to="/connect" className="grid min-h-40 place-content-center justify-items-center gap-2 rounded-lg border-2 border-dashed border-line p-5 text-center text-soft transition-colors hover:border-accent hover:text-accent">
              <span className="grid size-11 place-items-center rounded-full bg-accent-wash text-accent"><RiAddLine size={24} /></span>
              <span className="font-semibold">Add source</span>
              <span className="text-sm">Zoom, Fathom, Gong and more</span>
            </Link>
          </li>
        </ul>
      </section>
    </>
  );
}

/** Just connected: what happens now, and how new calls come at once. */
function Connected({ source, onClose }: { source: Source; onClose: () => void }) {
  const syncing = useRunning().some((each) => each.source_id === source.id);
  const platform = usePlatforms().data?.find((each) => each.platform === source.platform);
  return (
    <div className="mb-5">
      <Note tone="good" role="status" action={<IconButton label="Close this note" icon={RiCloseLine} onClick={onClose} className="-my-1.5" />}>
        <p className="font-semibold">{source.display_name} is connected</p>
        <p>{syncing || !source.last_sync_at ? "Its first sync runs." : "Its first sync is through."} New calls come {source.auto_sync ? "by themselves from now on" : "when you press Sync now"}.</p>
        {platform?.webhook && <ButtonLink size="sm" icon={RiFlashlightLine} className="mt-2" to={`/connect/${source.platform}?source=${source.id}`}>Get calls at once</ButtonLink>}
      </Note>
    </div>
  );
}

function Older({ source, onClose }: { source: Source | undefined; onClose: () => void }) {
  const platform = usePlatforms().data?.find((each) => each.platform === source?.platform);
  return source ? <OlderCalls source={source} platform={platform} onClose={onClose} /> : null;
}

function Disconnect({ source, onClose }: { source: Source | undefined; onClose: () => void }) {
  if (!source) return null;
  return (
    <ConfirmDialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Disconnect ${source.display_name}?`}
      lead={<>No new calls of {source.account} come in, and what is running stops. <strong className="font-semibold text-ink">The calls that are there stay in your library.</strong></>}
      action="Disconnect"
      danger
      onConfirm={() => disconnect(source)}
    />
  );
}

function Waiting() {
  return (
    <>
      <Loading />
      <Skeleton as="card" className="mb-7 h-18" />
      <Skeleton className="mb-4 h-6 w-28" />
      <div className={GRID}>{[0, 1, 2].map((each) => <Skeleton key={each} as="card" className="h-60" />)}</div>
    </>
  );
}
