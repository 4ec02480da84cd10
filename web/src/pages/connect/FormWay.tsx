// Connecting by a form. The platform is asked at once; what is wrong stands at its field.
import { useRef, useState, type FormEvent } from "react";
import { useNavigate } from "react-router";
import { api, asProblem, data } from "@/api/client";
import { queryClient } from "@/api/queries";
import { newKey } from "@/lib/keys";
import { Button, Checkbox, Field, Note, Problem, Select, toast } from "@/parts";
import { jobBegan, putSource } from "../hub/live";
import { Fields, type Values } from "./Fields";
import type { WayProps } from "./Wizard";
import { formErrors, missing } from "./words";

const OFTEN = [
  { value: "15", label: "Every 15 minutes" },
  { value: "60", label: "Every hour" },
  { value: "360", label: "Every 6 hours" },
  { value: "1440", label: "Every day" },
  { value: "", label: "Only when I say so" },
];

export function FormWay({ platform, way, again }: WayProps) {
  const navigate = useNavigate();
  const form = useRef<HTMLFormElement>(null);
  const sent = useRef({ content: "", key: "" });
  const [values, setValues] = useState<Values>({});
  const [keep, setKeep] = useState(false);
  const [often, setOften] = useState("60");
  const [errors, setErrors] = useState<{ fields: Record<string, string>; general: string | null }>({ fields: {}, general: null });
  const [busy, setBusy] = useState(false);
  const show = (found: typeof errors) => {
    setErrors(found);
    requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid]")?.focus());
  };
  const fields = Object.fromEntries(way.fields.map((each) => [each.name, (values[each.name] ?? each.default).trim()]).filter(([, value]) => value));
  const connect = async () => {
    if (again) {
      putSource(await data(api.PATCH("/api/sources/{source_id}", { params: { path: { source_id: again.id } }, body: { kind: way.kind, fields } })));
      toast.success(`${platform.display_name} is connected again`, { detail: "What came meanwhile is read now." });
      return again.id;
    }
    const body = { platform: platform.platform, kind: way.kind, fields, keep_recordings: keep, auto_sync: often !== "", ...(often ? { sync_frequency_minutes: Number(often) } : {}) };
    const content = JSON.stringify(body);
    if (sent.current.content !== content) sent.current = { content, key: newKey() };
    const { is_new, job_id, ...source } = await data(api.POST("/api/sources", { body, params: { header: { "idempotency-key": sent.current.key } } }));
    putSource(source);
    void queryClient.invalidateQueries({ queryKey: ["sources"] });
    if (job_id) void jobBegan(job_id, platform.display_name);
    if (!is_new) toast.info(`${source.account} was connected before`, { detail: "It has the new sign-in now, and stays one source." });
    return source.id;
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const lacking = missing(way.fields, values);
    if (Object.keys(lacking).length) return show({ fields: lacking, general: null });
    setBusy(true);
    setErrors({ fields: {}, general: null });
    try {
      const id = await connect();
      await navigate(`/?connected=${id}`);
    } catch (error) {
      sent.current = { content: "", key: "" };
      show(formErrors(asProblem(error), way.fields, platform.display_name));
      setBusy(false);
    }
  };
  return (
    <form ref={form} onSubmit={(event) => void submit(event)} noValidate className="grid gap-4">
      {way.instructions && <Note><Instructions text={way.instructions} /></Note>}
      <Fields fields={way.fields} values={values} errors={errors.fields} onChange={setValues} />
      {!again && (
        <div className="grid gap-x-5 gap-y-3 border-t border-line pt-4 sm:grid-cols-2">
          <Field label="Look for new calls"><Select value={often} onChange={(event) => setOften(event.target.value)} options={OFTEN} /></Field>
          <div className="self-end">
            <Checkbox label="Keep recordings, too" checked={keep} onChange={(event) => setKeep(event.target.checked)} />
          </div>
        </div>
      )}
      <div aria-live="polite">{errors.general && <Problem sentence={errors.general} />}</div>
      <div className="flex flex-wrap items-center gap-3">
        <Button type="submit" kind="primary" loading={busy}>{again ? "Connect again" : "Connect"}</Button>
        <span className="text-sm text-soft" role="status">{busy ? `${platform.display_name} is asked whether this is right…` : "What you enter is kept encrypted and never shown again."}</span>
      </div>
    </form>
  );
}

/** Words of a platform, its addresses as links. */
export function Instructions({ text }: { text: string }) {
  return text.split(/(https:\/\/[^\s,)]+[^\s,).])/).map((part, at) =>
    part.startsWith("https://") ? <a key={at} className="link break-all" href={part} target="_blank" rel="noreferrer">{part.replace("https://", "")}</a> : part,
  );
}
