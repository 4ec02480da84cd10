// The Hub of an empty workspace: what callstream does, and three ways to begin. Gone by itself with the first source or call.
import { RiBookOpenLine, RiCodeSSlashLine, RiDownloadCloud2Line, RiFileList3Line, RiFilterLine, RiPlugLine, RiUpload2Line } from "@remixicon/react";
import type { ReactNode } from "react";
import { Link } from "react-router";
import { ButtonLink, Card, PageHeader, type Icon } from "@/parts";
import { PlatformTiles } from "../connect/PlatformTiles";
import { DropArea } from "../upload/DropArea";

const STEPS: readonly [Icon, string, string][] = [
  [RiDownloadCloud2Line, "Calls are fetched", "The last weeks at once, new ones from then on, by themselves."],
  [RiFilterLine, "Each is stored once", "However often a call arrives, you have it one time."],
  [RiFileList3Line, "Speech becomes text", "Recordings without a transcript get one."],
  [RiBookOpenLine, "You find what was said", "Search all of it, and play a call at the very line."],
];

export function Onboarding() {
  return (
    <>
      <PageHeader title="Welcome to callstream" tab="Import Hub" lead="All your calls in one library, from wherever they are recorded. Begin in one of three ways; the others stay open." />
      <div className="grid gap-5 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <Card className="lg:row-span-2">
          <Way icon={RiPlugLine} title="Connect where you record" lead="Choose it and sign in there. The first calls arrive within a minute." />
          <PlatformTiles compact />
        </Card>
        <Card>
          <Way icon={RiUpload2Line} title="Upload files" lead="Recordings or transcripts you have at hand." />
          <DropArea />
        </Card>
        <Card>
          <Way icon={RiCodeSSlashLine} title="Send from your own system" lead="Any program can deliver calls, signed, to an address of yours, or by the API with a key." />
          <div className="flex flex-wrap gap-2">
            <ButtonLink to="/connect/generic">Make an address</ButtonLink>
            <ButtonLink kind="quiet" to="/settings/keys">API keys</ButtonLink>
          </div>
        </Card>
      </div>
      <h2 className="mt-9 mb-4 font-serif text-xl font-semibold">What happens then</h2>
      <ol className="grid gap-x-6 gap-y-5 sm:grid-cols-2 lg:grid-cols-4">
        {STEPS.map(([IconPart, title, text]) => (
          <li key={title} className="flex gap-3">
            <IconPart size={22} className="mt-0.5 shrink-0 text-accent" />
            <div><p className="font-semibold">{title}</p><p className="text-sm text-soft">{text}</p></div>
          </li>
        ))}
      </ol>
      <p className="mt-8 text-sm text-soft">Do you look after an installation? <Link className="link" to="/settings">Settings</Link> has keys, webhooks and the hours in which imports may run.</p>
    </>
  );
}

function Way({ icon: IconPart, title, lead }: { icon: Icon; title: string; lead: ReactNode }) {
  return (
    <div className="mb-4 flex gap-3">
      <span className="grid size-10 shrink-0 place-items-center rounded-full bg-accent-wash text-accent"><IconPart size={20} /></span>
      <div><h2 className="text-lg leading-6 font-semibold">{title}</h2><p className="text-soft">{lead}</p></div>
    </div>
  );
}
