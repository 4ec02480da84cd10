// Which calls are read again. It stands in the address, so that another page can lead here with a call chosen.
import { useState, type SubmitEvent } from "react";
import { useSearchParams } from "react-router";
import { ApiProblem, asProblem } from "@/api/client";
import { usePlatforms } from "@/api/queries";
import { newKey } from "@/lib/keys";
import { useTyped } from "@/lib/typed";
import { Button, Card, DateRange, Field, Problem, Select, TextInput } from "@/parts";
import { dayOf } from "../library/filters";
import { startReplay } from "./data";
import { bodyOf, wantedOf, type Replay, type Wanted } from "./words";

export function Choose({ onStarted }: { onStarted: (replay: Replay) => void }) {
  const [address, setAddress] = useSearchParams();
  const wanted = wantedOf(address);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiProblem | null>(null);
  const platforms = (usePlatforms().data ?? []).map((each) => ({ value: each.platform, label: each.display_name }));
  const known = new Set(platforms.map((each) => each.value));
  const sources = [
    { value: "", label: "All sources" },
    ...platforms.sort((a, b) => a.label.localeCompare(b.label)),
    ...[{ value: "upload", label: "Upload" }, { value: "generic", label: "Webhook" }].filter((each) => !known.has(each.value)),
  ];
  const change = (part: Partial<Wanted>) => {
    setProblem(null);
    setAddress((before) => {
      for (const [name, value] of Object.entries(part)) {
        if (value) before.set(name, value);
        else before.delete(name);
      }
      return before;
    }, { replace: true, preventScrollReset: true });
  };
  const [call, setCall] = useTyped(wanted.call, (words) => change({ call: words }));
  const wrong = wanted.from && wanted.to && wanted.from > wanted.to;
  const submit = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      onStarted(await startReplay(bodyOf(wanted, true, null), newKey()));
    } catch (error) {
      setProblem(asProblem(error));
    } finally {
      setBusy(false);
    }
  };
  const at = (field: string) => (problem?.field === field ? problem.sentence : null);
  const elsewhere = problem && !["from", "source_app", "external_id"].includes(problem.field ?? "");
  return (
    <Card title="Which calls">
      <form onSubmit={(event) => void submit(event)} className="grid gap-4">
        <div className="grid gap-4 lg:grid-cols-2">
          <DateRange label="When they arrived (optional)" value={{ from: wanted.from, to: wanted.to }} onChange={change} max={dayOf(new Date())} error={at("from")} />
          <div className="grid content-end gap-4 sm:grid-cols-2">
            <Field label="Source" error={at("source_app")}><Select value={wanted.source} onChange={(event) => change({ source: event.target.value })} options={sources} /></Field>
            <Field label="Only one call" optional error={at("external_id")}>
              <TextInput value={call} maxLength={512} placeholder="Its id at the source" onChange={(event) => setCall(event.target.value)} />
            </Field>
          </div>
        </div>
        {elsewhere && <Problem sentence={problem.sentence} />}
        <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
          <Button type="submit" kind="primary" loading={busy} disabled={Boolean(wrong)}>Dry run</Button>
          <p className="text-sm text-soft">Looks at what would happen and changes nothing. You start it for real afterwards, if you like.</p>
        </div>
      </form>
    </Card>
  );
}
