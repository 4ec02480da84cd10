// The form of an import on behalf of somebody: for whom, from where, with which sign-in, which days.
import { useRef, useState, type FormEvent, type ReactNode } from "react";
import { Link } from "react-router";
import { api, asProblem, data, type Shape } from "@/api/client";
import { followJob } from "@/api/follow";
import { queryClient, usePlatforms } from "@/api/queries";
import { newKey } from "@/lib/keys";
import { Button, Card, Checkbox, DateRange, Disclosure, Field, Loading, Note, PageHeader, Problem, Select, Skeleton, TabPanel, Tabs, toast, useNow, type Range } from "@/parts";
import { Fields, type Values } from "../connect/Fields";
import { Instructions } from "../connect/FormWay";
import { formErrors, missing, span, wayName } from "../connect/words";
import { dayOf, shifted, startOf } from "../library/filters";
import { usePeople } from "./people";

type Platform = Shape<"Platform">;
type Way = Shape<"WayIn">;
const MONTH = 30;

/** The ways in that a form can carry: nobody else can sign in at a platform on somebody's behalf. */
const formWays = (platform: Platform): Way[] => platform.auths.filter((each) => each.kind !== "oauth");

export function NewImport({ onStarted, onClose }: { onStarted: (id: string) => void; onClose: () => void }) {
  const platforms = usePlatforms();
  const people = usePeople();
  const able = (platforms.data ?? []).filter((each) => each.supports_historical_import && formWays(each).length > 0);
  const trouble = platforms.error ?? people.error;
  return (
    <>
      <PageHeader title="New import" above={<Link to="/admin" className="link">Admin</Link>} lead="Import calls for somebody with a sign-in they gave you. It is checked at once, and used for this import only." />
      {trouble && !(platforms.data && people.data) ? (
        <Problem sentence={asProblem(trouble).sentence} action={<Button size="sm" onClick={() => void Promise.all([platforms.refetch(), people.refetch()])}>Try again</Button>} />
      ) : !people.data || !platforms.data ? (
        <Card as="div" className="max-w-2xl"><Loading /><div className="grid gap-5">{[0, 1, 2, 3].map((each) => <Skeleton key={each} className="h-10 w-full" />)}</div></Card>
      ) : (
        <Form people={people.data} platforms={able} onStarted={onStarted} onClose={onClose} />
      )}
    </>
  );
}

interface Errors {
  fields: Record<string, string>;
  general: string | null;
}
const NONE: Errors = { fields: {}, general: null };

function Form({ people, platforms, onStarted, onClose }: { people: Shape<"Member">[]; platforms: Platform[]; onStarted: (id: string) => void; onClose: () => void }) {
  const now = useNow();
  const form = useRef<HTMLFormElement>(null);
  const sent = useRef({ content: "", key: "" });
  const [customer, setCustomer] = useState("");
  const [chosen, setChosen] = useState("");
  const [kind, setKind] = useState("");
  const [values, setValues] = useState<Values>({});
  const [filters, setFilters] = useState<Values>({});
  const [keep, setKeep] = useState(false);
  const [range, setRange] = useState<Range>({ from: shifted(dayOf(now), -MONTH), to: dayOf(now) });
  const [errors, setErrors] = useState<Errors>(NONE);
  const [busy, setBusy] = useState(false);
  const platform = platforms.find((each) => each.platform === chosen);
  const ways = platform ? formWays(platform) : [];
  const way = ways.find((each) => each.kind === kind) ?? ways[0];
  const show = (found: Errors) => {
    setErrors(found);
    requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid]")?.focus());
  };
  const filled = (fields: readonly Shape<"FormField">[], given: Values) => Object.fromEntries(fields.map((each) => [each.name, (given[each.name] ?? each.default).trim()]).filter(([, value]) => value));
  const lacking = (): Record<string, string> => {
    const found: Record<string, string> = way ? missing(way.fields, values) : {};
    if (!customer) found.customer_id = "Choose for whom.";
    if (!platform) found.platform = "Choose where the calls are.";
    if (!range.from || !range.to) found.date_range = "Choose both days.";
    return found;
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const found = lacking();
    if (Object.keys(found).length || !platform || !way || range.from > range.to) return show({ fields: found, general: null });
    setBusy(true);
    setErrors(NONE);
    const body = {
      customer_id: customer, platform: platform.platform, kind: way.kind, fields: filled(way.fields, values), filters: filled(platform.filters, filters), keep_recordings: keep,
      date_range: { from: startOf(range.from).toISOString(), to: startOf(shifted(range.to, 1)).toISOString() },
    };
    const content = JSON.stringify(body);
    if (sent.current.content !== content) sent.current = { content, key: newKey() };
    try {
      const begun = await data(api.POST("/admin/imports", { body, params: { header: { "idempotency-key": sent.current.key } } }));
      const name = people.find((each) => each.user_id === customer)?.name ?? "somebody";
      followJob(begun.job_id, `${platform.display_name}, for ${name}`);
      toast.success("The import has begun", { detail: `From ${begun.account}, for ${name}.` });
      void queryClient.invalidateQueries({ queryKey: ["admin", "imports"] });
      onStarted(begun.job_id);
    } catch (error) {
      sent.current = { content: "", key: "" };
      const problem = asProblem(error);
      const own = ["customer_id", "platform", "date_range"].find((name) => problem.field === name || problem.field?.startsWith(`${name}.`));
      show(own ? { fields: { [own]: problem.sentence }, general: null } : formErrors(problem, [...way.fields, ...platform.filters], platform.display_name));
      setBusy(false);
    }
  };
  return (
    <form ref={form} noValidate onSubmit={(event) => void submit(event)} className="grid max-w-2xl gap-5">
      <Step title="For whom and from where">
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label="Customer" error={errors.fields.customer_id} help="The calls are filed as theirs.">
            <Select value={customer} onChange={(event) => setCustomer(event.target.value)} options={[{ value: "", label: "Choose…" }, ...people.map((each) => ({ value: each.user_id, label: each.email ? `${each.name} (${each.email})` : each.name }))]} />
          </Field>
          <Field label="Platform" error={errors.fields.platform} help={platform?.reaches_back_days ? `It keeps calls of the last ${span(platform.reaches_back_days)}.` : undefined}>
            <Select
              value={chosen}
              onChange={(event) => {
                setChosen(event.target.value);
                setValues({});
                setFilters({});
                setErrors(NONE);
              }}
              options={[{ value: "", label: "Choose…" }, ...platforms.map((each) => ({ value: each.platform, label: each.display_name }))]}
            />
          </Field>
        </div>
      </Step>
      {platform && way && (
        <Step title={`The customer's sign-in at ${platform.display_name}`}>
          <div className="mb-4"><Note>Used for this import only. It is kept encrypted while the import runs, and deleted when the import ends, fails or is cancelled.</Note></div>
          {ways.length > 1 ? (
            <Tabs label="How to sign in" value={way.kind} onChange={(next) => setKind(next)} tabs={ways.map((each) => ({ value: each.kind, label: wayName(each, platform) }))}>
              {ways.map((each) => <TabPanel key={each.kind} value={each.kind}><Credential way={each} values={values} errors={errors.fields} onChange={setValues} /></TabPanel>)}
            </Tabs>
          ) : (
            <Credential way={way} values={values} errors={errors.fields} onChange={setValues} />
          )}
        </Step>
      )}
      <Step title="Which calls">
        <div className="grid gap-4">
          <DateRange label="Days" value={range} onChange={setRange} max={dayOf(now)} error={errors.fields.date_range} />
          {platform && platform.filters.length > 0 && (
            <Disclosure label="Only some of them"><div className="grid gap-4 pb-1"><Fields fields={platform.filters} values={filters} errors={errors.fields} onChange={setFilters} /></div></Disclosure>
          )}
          <Checkbox label="Keep recordings, too" checked={keep} onChange={(event) => setKeep(event.target.checked)} />
        </div>
      </Step>
      <div aria-live="polite">{errors.general && <Problem sentence={errors.general} />}</div>
      <div className="flex flex-wrap items-center gap-3">
        <Button type="submit" kind="primary" loading={busy}>Start import</Button>
        <Button onClick={onClose}>Cancel</Button>
        <span className="text-sm text-soft" role="status">{busy && platform ? `${platform.display_name} is asked whether the sign-in is right…` : ""}</span>
      </div>
    </form>
  );
}

function Step({ title, children }: { title: string; children: ReactNode }) {
  return <Card title={title}>{children}</Card>;
}

function Credential({ way, values, errors, onChange }: { way: Way; values: Values; errors: Record<string, string>; onChange: (values: Values) => void }) {
  return (
    <div className="grid gap-4">
      {way.instructions && <p className="text-sm text-soft"><Instructions text={way.instructions} /></p>}
      <Fields fields={way.fields} values={values} errors={errors} onChange={onChange} />
    </div>
  );
}
