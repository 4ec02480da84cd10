// Why a call has no transcript or no recording, and what can be done.
import { RiFileTextLine } from "@remixicon/react";
import type { Shape, Source } from "@/api/client";
import { useSources } from "@/api/queries";
import { ButtonLink, EmptyState, Note, usePlatformName } from "@/parts";

type Detail = Shape<"CallDetail">;

/** The sentence where the player would be; empty when there is a recording. */
export function whyNoRecording(call: Pick<Detail, "media" | "source_app">, source: Pick<Source, "keep_recordings"> | undefined, platform: string): string {
  if (call.media?.available) return "";
  if (call.source_app === "upload") return "There is no recording: a transcript was uploaded.";
  if (source && !source.keep_recordings) return `There is no recording here: recordings of this ${platform} account are not kept. Its card in the Import Hub has the switch for calls to come.`;
  if (call.media) return `There is no recording here: it is kept at ${platform} only.`;
  return `There is no recording: ${platform} gave none with this call.`;
}

export function NoRecording({ call }: { call: Detail }) {
  const source = useSources().data?.find((each) => each.id === call.source_id);
  const platform = usePlatformName(call.source_app);
  const words = whyNoRecording(call, source, platform);
  return words ? <p className="text-sm text-soft">{words}</p> : null;
}

export function NoTranscript({ call }: { call: Detail }) {
  const platform = usePlatformName(call.source_app);
  return (
    <div className="rounded-lg border border-line bg-card shadow-low">
      <EmptyState icon={RiFileTextLine} title="There is no transcript" action={call.import_job_id ? <ButtonLink to={`/jobs/${call.import_job_id}`}>Show its import</ButtonLink> : undefined}>
        {call.media?.available
          ? "The recording was kept, but no words came of it: nobody may have spoken, or it was not transcribed."
          : `${platform} gave neither a transcript nor a recording that could be transcribed. If it sends one later, it appears here by itself.`}
      </EmptyState>
      {call.original_transcript && <div className="p-4"><Note>What the source gave is shown under Original.</Note></div>}
    </div>
  );
}
